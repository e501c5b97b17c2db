"""Where masks come from: files, boxes, GrabCut, or SAM."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mimicbrush.errors import UnusableInput, UserError
from mimicbrush.evaluation.benchmark_faults import MAX_GREY, grey_share
from mimicbrush.evaluation.build.config import PhotographMaskConfig
from mimicbrush.evaluation.build.photographs import ScaledPhotograph
from mimicbrush.evaluation.build.region_files import read_regions
from mimicbrush.files import sha256
from mimicbrush.pictures.conversion import is_masked, to_pil
from mimicbrush.pictures.reading import read_levels
from mimicbrush.segmentation.prompt import Box, Mask, SegmentationPrompt, box_mask, central_box

if TYPE_CHECKING:
    from mimicbrush.segmentation.segment_anything import SegmentAnything


class Masker(ABC):
    """Masks the photographs of one collection."""

    @abstractmethod
    def knows(self, file: str) -> bool:
        """Whether somebody has told where that photograph's mask belongs."""

    @abstractmethod
    def describe(self, file: str) -> dict:
        """Method and settings of that photograph's mask, as JSON."""

    @abstractmethod
    def mask(self, picture: ScaledPhotograph) -> Mask:
        """Raises UnusableInput where there is none to be had."""


def make_masker(config: PhotographMaskConfig, files: Iterable[str], *, seed: int) -> Masker:
    """The masker of that method; raises UserError where its inputs are missing or unsound."""
    regions = read_regions(config.regions, files) if config.regions else {}
    match config.method:
        case "files":
            return FileMasker(config.folder)
        case "box":
            return BoxMasker(regions)
        case "grabcut":
            return GrabCutMasker(regions, None if config.regions else config.central_box, config.iterations, seed)
        case "sam":
            return SamMasker(regions, _load_sam(config))


def _load_sam(config: PhotographMaskConfig) -> SegmentAnything:
    """Raises UserError, with what to set, where SAM's weights are not to be had."""
    # Imported here: torch and transformers are needed for this method alone.
    from mimicbrush.segmentation.segment_anything import SegmentAnything

    try:
        return SegmentAnything(config.sam, download=config.sam_download)
    except UserError as error:
        hint = "" if config.sam_download else ", or set masks.sam_download to fetch it"
        raise UserError(f"{error}{hint}") from None


def check_area(mask: Mask, config: PhotographMaskConfig) -> None:
    """Raises UnusableInput where the mask covers too little or too much."""
    share = float(mask.mean())
    if share == 0:
        raise UnusableInput("mask_empty", "the mask is empty")
    if share < config.min_area:
        raise UnusableInput("mask_small", f"the mask covers {share:.2%}, expected at least {config.min_area:.2%}")
    if share > config.max_area:
        raise UnusableInput("mask_large", f"the mask covers {share:.1%}, expected at most {config.max_area:.1%}")


class FileMasker(Masker):
    """Masks that somebody drew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def knows(self, file: str) -> bool:
        return self._path(file).is_file()

    def describe(self, file: str) -> dict:
        return {"method": "files", "file": self._path(file).name, "sha256": sha256(self._path(file))}

    def mask(self, picture: ScaledPhotograph) -> Mask:
        path = self._path(picture.file)
        try:
            levels = to_pil(read_levels(path)[0].numpy())
        except UserError:
            raise UnusableInput("mask_unreadable", f"{path.name} is not a readable picture") from None
        if levels.size not in (picture.full_size, picture.image.size):
            found, expected = ("x".join(map(str, size)) for size in (levels.size, picture.full_size))
            raise UnusableInput("mask_size", f"the mask is {found}, the photograph {expected}")
        grey = grey_share(np.array(levels))
        if grey > MAX_GREY:
            raise UnusableInput("mask_grey", f"the mask is grey in {grey:.1%} of its pixels")
        return is_masked(np.array(levels.resize(picture.image.size, Image.Resampling.BOX)))

    def _path(self, file: str) -> Path:
        return (self.folder / file).with_suffix(".png")


class RegionMasker(Masker):
    """Masks that follow from a box or clicks."""

    def __init__(self, regions: dict[str, SegmentationPrompt]) -> None:
        self.regions = regions

    def knows(self, file: str) -> bool:
        return file in self.regions

    def region(self, picture: ScaledPhotograph) -> SegmentationPrompt:
        """In pixels of the picture."""
        region = self.regions[picture.file]
        if not region.fits(*picture.full_size):
            size = "x".join(map(str, picture.full_size))
            raise UnusableInput("bad_region", f"its box is empty, or box or clicks lie outside the {size} photograph")
        return region.scaled(picture.scale)


class BoxMasker(RegionMasker):
    """The box itself."""

    def describe(self, file: str) -> dict:
        return {"method": "box"} | self.regions[file].describe()

    def mask(self, picture: ScaledPhotograph) -> Mask:
        return box_mask(self.region(picture).whole_box(), *picture.image.size)


class GrabCutMasker(RegionMasker):
    """Masks of the object in a box, found by GrabCut."""

    def __init__(
        self, regions: dict[str, SegmentationPrompt], central_box: float | None, iterations: int, seed: int
    ) -> None:
        super().__init__(regions)
        self.central_box, self.iterations, self.seed = central_box, iterations, seed

    def knows(self, file: str) -> bool:
        return self.central_box is not None or super().knows(file)

    def describe(self, file: str) -> dict:
        where = self.regions[file].describe() if self.central_box is None else {"central_box": self.central_box}
        return {"method": "grabcut", "iterations": self.iterations, "seed": self.seed} | where

    def mask(self, picture: ScaledPhotograph) -> Mask:
        # Imported here: OpenCV is needed for this method alone.
        from mimicbrush.segmentation.grabcut import resize_mask, segment_grabcut, shrink_for_grabcut

        small = shrink_for_grabcut(picture.image)
        box = self._box(ScaledPhotograph(picture.file, small, picture.full_size))
        mask = segment_grabcut(small, box, iterations=self.iterations, seed=self.seed)
        return resize_mask(mask, picture.image.size)

    def _box(self, picture: ScaledPhotograph) -> Box:
        if self.central_box is None:
            return self.region(picture).whole_box()
        return central_box(*picture.image.size, self.central_box)


class SamMasker(RegionMasker):
    """Masks of the object that a box or clicks mean to Segment Anything."""

    def __init__(self, regions: dict[str, SegmentationPrompt], model: SegmentAnything) -> None:
        super().__init__(regions)
        self.model = model

    def describe(self, file: str) -> dict:
        return {"method": "sam", "model": self.model.name} | self.regions[file].describe()

    def mask(self, picture: ScaledPhotograph) -> Mask:
        return self.model.segment(picture.image, self.region(picture))

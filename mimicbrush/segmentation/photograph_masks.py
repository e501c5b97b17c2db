"""Kinds of masks of photographs: files, boxes, GrabCut, and SAM.

A new kind is a subclass of Masker here, a case in `make_masker`, and a name in `Method` of config.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mimicbrush.errors import UnusableInput, UserError
from mimicbrush.files import sha256
from mimicbrush.pictures.conversion import is_masked, to_pil
from mimicbrush.pictures.mask_geometry import MAX_GREY, grey_share
from mimicbrush.pictures.reading import read_levels
from mimicbrush.segmentation.config import PhotographMaskConfig
from mimicbrush.segmentation.photographs import ScaledPhotograph
from mimicbrush.segmentation.prompt import Box, Mask, SegmentationPrompt, box_mask, central_box
from mimicbrush.segmentation.region_files import read_regions

if TYPE_CHECKING:
    from mimicbrush.segmentation.segment_anything import SegmentAnything


class Masker(ABC):
    """Masks the photographs of one collection."""

    @abstractmethod
    def can_mask(self, file: str) -> bool:
        """Whether the input has a mask, box or click for a photograph."""

    @abstractmethod
    def describe(self, file: str) -> dict:
        """Describe method and settings of a photograph's mask, as JSON."""

    @abstractmethod
    def mask(self, picture: ScaledPhotograph) -> Mask:
        """Mask a photograph; raises UnusableInput if that fails."""


def make_masker(config: PhotographMaskConfig, files: Iterable[str], *, seed: int) -> Masker:
    """Make the masker of the chosen method; raises UserError if its inputs are missing or unsound."""
    return masker_of_regions(config, read_regions(config.regions, files) if config.regions else {}, seed=seed)


def masker_of_regions(config: PhotographMaskConfig, regions: dict[str, SegmentationPrompt], *, seed: int) -> Masker:
    """Make the masker of the chosen method; regions: boxes and clicks by photograph.

    Raises UserError if weights are missing.
    """
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
    """Load SAM; raises UserError with advice if its weights are missing."""
    # Imported here, because only this method needs torch and transformers.
    from mimicbrush.segmentation.segment_anything import SegmentAnything

    try:
        return SegmentAnything(config.sam, download=config.sam_download)
    except UserError as error:
        hint = "" if config.sam_download else ", or set masks.sam_download to fetch it"
        raise UserError(f"{error}{hint}") from None


def check_area(mask: Mask, config: PhotographMaskConfig) -> None:
    """Raise UnusableInput if the mask covers too little or too much of the photograph."""
    share = float(mask.mean())
    if share == 0:
        raise UnusableInput("mask_empty", "the mask is empty")
    if share < config.min_area:
        raise UnusableInput("mask_small", f"the mask covers {share:.2%}, expected at least {config.min_area:.2%}")
    if share > config.max_area:
        raise UnusableInput("mask_large", f"the mask covers {share:.1%}, expected at most {config.max_area:.1%}")


def read_mask_file(path: Path, picture: ScaledPhotograph) -> Mask:
    """Read a mask that was drawn for a photograph, at the picture's size.

    Raises UnusableInput (mask_unreadable, mask_size, mask_grey).
    """
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


class FileMasker(Masker):
    """Masks that were drawn by hand and saved as files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def can_mask(self, file: str) -> bool:
        return self._path(file).is_file()

    def describe(self, file: str) -> dict:
        return {"method": "files", "file": self._path(file).name, "sha256": sha256(self._path(file))}

    def mask(self, picture: ScaledPhotograph) -> Mask:
        return read_mask_file(self._path(picture.file), picture)

    def _path(self, file: str) -> Path:
        return (self.folder / file).with_suffix(".png")


class RegionMasker(Masker):
    """Masks made from a box or clicks."""

    def __init__(self, regions: dict[str, SegmentationPrompt]) -> None:
        self.regions = regions

    def can_mask(self, file: str) -> bool:
        return file in self.regions

    def region(self, picture: ScaledPhotograph) -> SegmentationPrompt:
        """Box and clicks of a photograph, scaled to the picture's pixels."""
        region = self.regions[picture.file]
        if not region.fits(*picture.full_size):
            size = "x".join(map(str, picture.full_size))
            raise UnusableInput("bad_region", f"its box is empty, or box or clicks lie outside the {size} photograph")
        return region.scaled(picture.scale)


class BoxMasker(RegionMasker):
    """Masks that fill the box."""

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

    def can_mask(self, file: str) -> bool:
        return self.central_box is not None or super().can_mask(file)

    def describe(self, file: str) -> dict:
        where = self.regions[file].describe() if self.central_box is None else {"central_box": self.central_box}
        return {"method": "grabcut", "iterations": self.iterations, "seed": self.seed} | where

    def mask(self, picture: ScaledPhotograph) -> Mask:
        # Imported here, because only this method needs OpenCV.
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
    """Masks of the object at a box or clicks, found by Segment Anything."""

    def __init__(self, regions: dict[str, SegmentationPrompt], model: SegmentAnything) -> None:
        super().__init__(regions)
        self.model = model

    def describe(self, file: str) -> dict:
        return {"method": "sam", "model": self.model.name} | self.regions[file].describe()

    def mask(self, picture: ScaledPhotograph) -> Mask:
        return self.model.segment(picture.image, self.region(picture))

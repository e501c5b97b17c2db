"""Where masks come from: files, boxes, GrabCut, or SAM."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_fill_holes

from mimicbrush.errors import UserError
from mimicbrush.evaluation.build.config import MaskConfig
from mimicbrush.evaluation.build.photographs import Picture, Unusable
from mimicbrush.evaluation.build.regions import Region, read_regions
from mimicbrush.evaluation.build.segment_anything import SegmentAnything
from mimicbrush.evaluation.faults import MAX_GREY, grey_share
from mimicbrush.files import sha256
from mimicbrush.pictures.conversion import mask_bytes
from mimicbrush.pictures.decoding import decode_file

Mask = NDArray[np.bool_]
"""(H, W), true where the edit happens."""

GRABCUT_SIDE = 320
"""Pixels of the longer side: at 512 a photograph takes three times as long, and central boxes of the 26 photographs
tried were right as often, about every other time."""


class Masker(ABC):
    """Masks the photographs of one collection."""

    @abstractmethod
    def knows(self, file: str) -> bool:
        """Whether somebody has told where that photograph's mask belongs."""

    @abstractmethod
    def describe(self, file: str) -> dict:
        """Method and settings of that photograph's mask, as JSON."""

    @abstractmethod
    def mask(self, picture: Picture) -> Mask:
        """Raises Unusable where there is none to be had."""


def make_masker(config: MaskConfig, files: Iterable[str], *, seed: int) -> Masker:
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
            return SamMasker(regions, SegmentAnything(config.sam, download=config.sam_download))


def check_area(mask: Mask, config: MaskConfig) -> None:
    """Raises Unusable where the mask covers too little or too much."""
    share = float(mask.mean())
    if share == 0:
        raise Unusable("mask_empty", "the mask is empty")
    if share < config.min_area:
        raise Unusable("mask_small", f"the mask covers {share:.2%}, expected at least {config.min_area:.2%}")
    if share > config.max_area:
        raise Unusable("mask_large", f"the mask covers {share:.1%}, expected at most {config.max_area:.1%}")


class FileMasker(Masker):
    """Masks that somebody drew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def knows(self, file: str) -> bool:
        return self._path(file).is_file()

    def describe(self, file: str) -> dict:
        return {"method": "files", "file": self._path(file).name, "sha256": sha256(self._path(file))}

    def mask(self, picture: Picture) -> Mask:
        path = self._path(picture.file)
        try:
            levels = Image.fromarray(mask_bytes(decode_file(path).levels))
        except UserError:
            raise Unusable("mask_unreadable", f"{path.name} is not a readable picture") from None
        if levels.size not in (picture.full_size, picture.image.size):
            found, expected = ("x".join(map(str, size)) for size in (levels.size, picture.full_size))
            raise Unusable("mask_size", f"the mask is {found}, the photograph {expected}")
        grey = grey_share(np.array(levels))
        if grey > MAX_GREY:
            raise Unusable("mask_grey", f"the mask is grey in {grey:.1%} of its pixels")
        return np.array(levels.resize(picture.image.size, Image.Resampling.BOX)) > 127

    def _path(self, file: str) -> Path:
        return (self.folder / file).with_suffix(".png")


class RegionMasker(Masker):
    """Masks that follow from a box or clicks."""

    def __init__(self, regions: dict[str, Region]) -> None:
        self.regions = regions

    def knows(self, file: str) -> bool:
        return file in self.regions

    def region(self, picture: Picture) -> Region:
        """In pixels of the picture."""
        region = self.regions[picture.file]
        if not region.fits(*picture.full_size):
            size = "x".join(map(str, picture.full_size))
            raise Unusable("bad_region", f"its box is empty, or box or clicks lie outside the {size} photograph")
        return region.scaled(picture.scale)


class BoxMasker(RegionMasker):
    """The box itself."""

    def describe(self, file: str) -> dict:
        return {"method": "box"} | self.regions[file].describe()

    def mask(self, picture: Picture) -> Mask:
        x0, y0, x1, y1 = whole_box(self.region(picture))
        mask = np.zeros(picture.image.size[::-1], bool)
        mask[y0:y1, x0:x1] = True
        return mask


class GrabCutMasker(RegionMasker):
    """What differs in colour from all that lies outside the box (Rother et al. 2004), as OpenCV does it."""

    def __init__(self, regions: dict[str, Region], central_box: float | None, iterations: int, seed: int) -> None:
        super().__init__(regions)
        self.central_box, self.iterations, self.seed = central_box, iterations, seed

    def knows(self, file: str) -> bool:
        return self.central_box is not None or super().knows(file)

    def describe(self, file: str) -> dict:
        where = self.regions[file].describe() if self.central_box is None else {"central_box": self.central_box}
        return {"method": "grabcut", "iterations": self.iterations, "seed": self.seed} | where

    def mask(self, picture: Picture) -> Mask:
        small = picture.image.copy()
        small.thumbnail((GRABCUT_SIDE, GRABCUT_SIDE), Image.Resampling.LANCZOS)
        x0, y0, x1, y1 = self._box(Picture(picture.file, small, picture.full_size))
        labels = np.zeros(small.size[::-1], np.uint8)
        models = np.zeros((1, 65)), np.zeros((1, 65))
        image = cv2.cvtColor(np.array(small), cv2.COLOR_RGB2BGR)
        cv2.setRNGSeed(self.seed)
        try:
            cv2.grabCut(image, labels, (x0, y0, x1 - x0, y1 - y0), *models, self.iterations, cv2.GC_INIT_WITH_RECT)
        except cv2.error:
            raise Unusable("grabcut_failed", "GrabCut found no background outside the box") from None
        found = largest_piece((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD))
        levels = Image.fromarray(found.astype(np.uint8) * 255)
        return np.array(levels.resize(picture.image.size, Image.Resampling.BICUBIC)) > 127

    def _box(self, picture: Picture) -> tuple[int, int, int, int]:
        if self.central_box is None:
            return whole_box(self.region(picture))
        width, height = picture.image.size
        left, top = (round(side * (1 - self.central_box) / 2) for side in (width, height))
        return left, top, width - left, height - top


class SamMasker(RegionMasker):
    """What Segment Anything (Kirillov et al. 2023) takes a box or clicks to mean."""

    def __init__(self, regions: dict[str, Region], model: SegmentAnything) -> None:
        super().__init__(regions)
        self.model = model

    def describe(self, file: str) -> dict:
        return {"method": "sam", "model": self.model.name} | self.regions[file].describe()

    def mask(self, picture: Picture) -> Mask:
        return self.model.segment(picture.image, self.region(picture))


def whole_box(region: Region) -> tuple[int, int, int, int]:
    """The region's box in whole pixels; raises Unusable where it has none."""
    if region.box is None:
        raise Unusable("no_box", "only clicks are given for it; this method needs a box")
    x0, y0, x1, y1 = (round(edge) for edge in region.box)
    return x0, y0, x1, y1


def largest_piece(mask: Mask) -> Mask:
    """The largest connected piece, its holes filled: GrabCut leaves specks."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count == 1:
        return mask
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    return binary_fill_holes(labels == largest)

"""A folder of photographs with their masks, each prepared on first use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from torch import Tensor

from mimicbrush.errors import UnusableInput, UserError
from mimicbrush.evaluation.build.config import CollectionConfig, SizeConfig
from mimicbrush.files import sha256
from mimicbrush.pictures.reading import read_mask
from mimicbrush.pictures.writing import write_image
from mimicbrush.segmentation.photograph_masks import check_area, make_masker
from mimicbrush.segmentation.photographs import (
    PhotographFile,
    list_photographs,
    read_picture,
)
from mimicbrush.segmentation.prompt import Mask


class MaskedPhotograph(NamedTuple):
    """A scaled photograph with its mask."""

    photograph: PhotographFile
    image: Image.Image
    mask: Mask
    provenance: dict
    """Origin of picture and mask, as JSON."""


class Collection:
    """Photographs by their relative path; those without a mask file, box or click are left out.

    Masks are kept in the folder `masks`, so that an interrupted build can be resumed.
    Raises UserError if the folder, or the input of the masks, is missing or unsound.
    """

    def __init__(self, config: CollectionConfig, size: SizeConfig, *, seed: int, masks: Path) -> None:
        self.config, self.size, self.masks = config, size, masks
        found = list_photographs(config.folder, config.metadata)
        self.masker = make_masker(config.masks, found, seed=seed)
        self.photographs = {file: photograph for file, photograph in found.items() if self.masker.can_mask(file)}
        self.unmarked = [file for file in found if file not in self.photographs]
        if not self.photographs:
            given = config.masks.folder if config.masks.method == "files" else config.masks.regions
            raise UserError(
                f"{given}: has a mask, box or click for none of the {len(found)} photographs in {config.folder}"
            )
        self.tried: set[str] = set()
        self.skipped: dict[str, UnusableInput] = {}

    def prepare(self, file: str) -> MaskedPhotograph:
        """Scale a photograph and mask it; if that fails, count it as skipped and raise UnusableInput."""
        if file in self.skipped:
            raise self.skipped[file]
        self.tried.add(file)
        try:
            return self._prepare(self.photographs[file])
        except UnusableInput as error:
            self.skipped[file] = error
            raise

    def _prepare(self, photograph: PhotographFile) -> MaskedPhotograph:
        picture = read_picture(photograph, max_side=self.size.max_side, min_side=self.size.min_side)
        path = (self.masks / photograph.file).with_suffix(".png")
        if path.is_file():
            mask = read_mask(path)[0].numpy() > 0.5
        else:
            mask = self.masker.mask(picture)
            check_area(mask, self.config.masks)
            write_once(mask, path)
        provenance = {
            "file": photograph.file,
            "sha256": photograph.sha256,
            "size": list(picture.full_size),
            **photograph.origin,
            "mask": self.masker.describe(photograph.file),
        }
        return MaskedPhotograph(photograph, picture.image, mask, provenance)

    def inputs(self) -> Iterator[str]:
        """Yield a line with name and hash for each file that the result depends on."""
        for file, photograph in self.photographs.items():
            yield f"{file} {photograph.sha256}"
        masks = self.config.masks
        drawn = sorted(masks.folder.rglob("*.png")) if masks.method == "files" else []
        for path in [*drawn, *([masks.regions] if masks.regions else [])]:
            yield f"{path.name} {sha256(path)}"


def write_once(picture: Image.Image | Tensor | Mask, path: Path) -> None:
    """Write a picture with `write_image`, unless the file exists: then the same build has written it earlier."""
    if not path.is_file():
        write_image(picture, path)

"""Photographs: found in a folder, and read as RGB of a limited size."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from mimicbrush.errors import UnusableInput, UserError
from mimicbrush.files import PICTURE_SUFFIXES, sha256
from mimicbrush.metadata import read_metadata
from mimicbrush.pictures.conversion import shrink_to_fit, to_pil
from mimicbrush.pictures.reading import read_rgb
from mimicbrush.segmentation.mask_inputs import require_photographs


@dataclass(frozen=True, kw_only=True)
class PhotographFile:
    """A photograph's file with its hash and its metadata."""

    file: str
    """Path relative to its collection, with forward slashes."""
    path: Path
    sha256: str
    origin: dict[str, str]
    """The columns group, licence and url of the metadata, without empty cells."""


class ScaledPhotograph(NamedTuple):
    """A photograph scaled to the size at which it is stored in a benchmark or a shard."""

    file: str
    image: Image.Image
    """RGB, upright, of limited size."""
    full_size: tuple[int, int]
    """Width and height before scaling; boxes and clicks are given in these pixels."""

    @property
    def scale(self) -> float:
        """Width of the scaled picture relative to the photograph."""
        return self.image.width / self.full_size[0]


def list_photographs(folder: Path, metadata: Path | None = None) -> dict[str, PhotographFile]:
    """Find every picture file under the folder, by its relative path.

    Raises UserError if there is none, or if two differ only by their suffix and so could not have two masks.
    """
    require_photographs(folder)
    paths = sorted(path for path in folder.rglob("*") if _is_picture(path.relative_to(folder)) and path.is_file())
    if not paths:
        raise UserError(f"{folder}: holds no photographs; expected files such as dog/00.jpg")
    stems = Counter(path.relative_to(folder).with_suffix("").as_posix() for path in paths)
    twice = [stem for stem, count in stems.items() if count > 1]
    if twice:
        raise UserError(f"{folder}: {', '.join(twice)}: there in more than one format; keep one of each")
    files = {path.relative_to(folder).as_posix(): path for path in paths}
    origins = read_metadata(metadata, files)
    return {
        file: PhotographFile(file=file, path=path, sha256=sha256(path), origin=origins.get(file, {}))
        for file, path in files.items()
    }


def _is_picture(relative: Path) -> bool:
    hidden = any(part.startswith(".") for part in relative.parts)
    return not hidden and relative.suffix.lower() in PICTURE_SUFFIXES


def read_picture(photograph: PhotographFile, *, max_side: int, min_side: int) -> ScaledPhotograph:
    """Read a photograph as upright RGB on white, scaled so that no side exceeds `max_side`.

    Raises UnusableInput if it cannot be read, or a side is shorter than `min_side`.
    """
    try:
        image = to_pil(read_rgb(photograph.path))
    except UserError as error:
        raise UnusableInput(
            "unreadable", " ".join(str(error).replace(str(photograph.path), photograph.file).split())
        ) from None
    full_size = image.size
    if min(full_size) < min_side:
        raise UnusableInput("too_small", f"{full_size[0]}x{full_size[1]}, expected at least {min_side} pixels a side")
    return ScaledPhotograph(photograph.file, shrink_to_fit(image, max_side, max_side), full_size)

"""Headers of picture files, read with Pillow alone: importing this loads neither torch nor OpenCV."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from warnings import catch_warnings

from PIL import Image, UnidentifiedImageError

from mimicbrush.errors import UserError

ORIENTATION = 0x0112
"""Tag of the orientation in EXIF."""
BROKEN = (UnidentifiedImageError, OSError, SyntaxError, ValueError, TypeError, IndexError, struct.error)
"""Errors that Pillow's decoders raise on damaged files."""


class UnknownWhiteError(ValueError):
    """A picture whose range of values is unknown; the message continues the picture's name."""


def open_image(path: Path) -> Image.Image:
    """A picture's header, with its size and texts, undecoded; raises UserError if it is missing or no picture."""
    with naming_errors(path), without_size_warnings(), Image.open(path) as file:
        return file


def count_frames(path: Path) -> int:
    """Frames of an animated PNG, by its header, 1 of another picture; raises UserError if it is missing or none."""
    with naming_errors(path), without_size_warnings(), Image.open(path) as image:
        # Further pictures in other formats are previews, gain maps or pages more often than frames.
        return getattr(image, "n_frames", 1) if image.format == "PNG" else 1


def orientation_of(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8; 1 where there is none, and for TIFF, which Pillow itself turns upright."""
    if image.format == "TIFF":
        return 1
    if image.format == "PNG":
        image.load()  # as `getexif` would, whose errors say nothing about the pixels
    try:
        return image.getexif().get(ORIENTATION, 1)
    except BROKEN:
        return 1


def swaps_sides(orientation: int) -> bool:
    """Whether the stored rows are the upright picture's columns."""
    return orientation in (5, 6, 7, 8)


@contextmanager
def naming_errors(path: Path) -> Iterator[None]:
    """Errors of reading as a UserError that names the file."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path}: no such picture") from None
    except Image.DecompressionBombError as error:
        raise UserError(f"{path}: too large to be read ({str(error).partition(',')[0]}); scale it down") from None
    except UnknownWhiteError as error:
        raise UserError(f"{path} {error}") from None
    except BROKEN as error:
        reason = str(error).removeprefix("not a readable picture (").removesuffix(")")
        raise UserError(f"{path}: not a readable picture ({reason})") from None


@contextmanager
def without_size_warnings() -> Iterator[None]:
    """Pillow warns of large pictures, and reads them all the same; how large is too large, callers say."""
    with catch_warnings(category=Image.DecompressionBombWarning, action="ignore"):
        yield

"""Headers of picture files, read with Pillow; importing this module imports neither torch nor OpenCV."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from warnings import catch_warnings

from PIL import Image, UnidentifiedImageError

from mimicbrush.errors import UserError, first_line
from mimicbrush.files import why_no_file

try:  # an optional package
    from pillow_heif import register_heif_opener
except ImportError:
    READS_HEIC = False
else:
    READS_HEIC = True
    register_heif_opener()

ORIENTATION = 0x0112
"""Tag of the orientation in EXIF."""
BROKEN = (OSError, EOFError, SyntaxError, ValueError, TypeError, IndexError, struct.error, zlib.error)
"""Errors that Pillow's decoders raise for damaged files."""

ANIMATED = ("PNG", "GIF", "WEBP", "AVIF")
"""Formats whose further pictures are frames; in others they are usually previews, gain maps or pages."""


HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
"""Bytes 8 to 11 of HEIC files."""


class UnreadablePictureError(ValueError):
    """A file is not a picture, damaged or too large; the message says which."""


class UnknownWhiteError(UnreadablePictureError):
    """The range of a picture's values is unknown; the message follows the picture's name."""


class Header(NamedTuple):
    """Facts from a picture file's header."""

    width: int
    """Pixels as stored, before EXIF's orientation is applied."""
    height: int
    format: str
    """PNG, JPEG, ..., as Pillow names it."""
    num_frames: int
    """Frames of an animated PNG, GIF, WebP or AVIF, 1 for other pictures."""
    texts: dict[str, str]
    """Texts by key; only those before the pixels."""


def read_header(path: Path) -> Header:
    """Read a picture's header, without its pixels; raises UserError if the file is missing or not a picture."""
    with naming_file(path), open_picture(path) as image:
        texts = {key: text for key, text in image.info.items() if isinstance(text, str)}
        return Header(*image.size, image.format, count_frames(image), texts)


def open_picture(file: Path | io.BytesIO) -> Image.Image:
    """Open a picture with Pillow, which reads its header.

    Raises Pillow's errors, and UnreadablePictureError, which says what is missing, for HEIC without `pillow-heif`.
    """
    try:
        return Image.open(file)
    except UnidentifiedImageError:
        first = file.getvalue()[:12] if isinstance(file, io.BytesIO) else _first_bytes(file, 12)
        if not READS_HEIC and first[4:8] == b"ftyp" and first[8:] in HEIC_BRANDS:
            raise UnreadablePictureError(
                "a HEIC picture; export it as JPEG or PNG, or let `pip install pillow-heif` make it readable"
            ) from None
        raise


def _first_bytes(path: Path, number: int) -> bytes:
    with path.open("rb") as file:
        return file.read(number)


def count_frames(image: Image.Image) -> int:
    """Count the frames of an animated picture; return 1 for a still, and for one frame copied from an animation."""
    return getattr(image, "n_frames", 1) if image.format in ANIMATED else 1


def refuse_animation(name: object, num_frames: int) -> None:
    """Raise UserError if a picture has several frames. name: its name in the message."""
    if num_frames > 1:
        raise UserError(f"{name} has {num_frames} frames, but edits take stills; export or copy one frame")


def refuse_large(name: object, width: int, height: int, *, max_pixels: int) -> None:
    """Raise UserError if a picture has more than `max_pixels` pixels. name: its name in the message."""
    if width * height > max_pixels:
        raise UserError(
            f"{name} is {width} x {height} pixels, expected at most {max_pixels // 1_000_000} million; scale it down"
        )


def orientation_of(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8; 1 if there is none, and for TIFF, which Pillow turns upright."""
    if image.format == "TIFF":
        return 1
    if image.format == "PNG":
        image.load()  # `getexif` would load the pixels, but its errors are ignored below
    try:
        return image.getexif().get(ORIENTATION, 1)
    except BROKEN:
        return 1


def swaps_sides(orientation: int) -> bool:
    """Whether the stored rows are the columns of the upright picture."""
    return orientation in (5, 6, 7, 8)


@contextmanager
def naming_file(path: Path) -> Iterator[None]:
    """Turn reading errors into a UserError that names the file."""
    try:
        with translating_errors():
            yield
    except FileNotFoundError:
        raise UserError(f"{path}: {why_no_file(path, 'picture')}") from None
    except UnknownWhiteError as error:
        raise UserError(f"{path} {error}") from None
    except UnreadablePictureError as error:
        raise UserError(f"{path}: {error}") from None


@contextmanager
def translating_errors() -> Iterator[None]:
    """Turn Pillow's errors for unreadable pictures into UnreadablePictureError.

    Pillow's warning about large pictures is suppressed: callers set their own limits.
    """
    try:
        with catch_warnings(category=Image.DecompressionBombWarning, action="ignore"):
            yield
    except (UnreadablePictureError, FileNotFoundError):
        raise
    except Image.DecompressionBombError as error:
        reason = str(error).partition(",")[0]
        raise UnreadablePictureError(f"too large to be read ({reason}); scale it down") from None
    except UnidentifiedImageError:
        raise UnreadablePictureError("not a readable picture (of no known format)") from None
    except IsADirectoryError:
        raise UnreadablePictureError("is a folder; expected a picture") from None
    except BROKEN as error:
        raise UnreadablePictureError(f"not a readable picture ({first_line(error)})") from None

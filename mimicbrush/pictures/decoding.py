"""Decode picture files into arrays; the only module that interprets their contents.

- Orientation: pictures are turned upright, as EXIF or TIFF says. Unreadable EXIF is ignored.
- Alpha, palettes and colour keys: transparent parts are white for a network (`on_white`) and black in a mask
  (`mask_levels`); alpha itself is kept beside the colours, for results.
- Depth: 16 bits are kept, except in a coloured TIFF, of which Pillow reads 8 bits, with a warning. Modes I and F are
  refused, because their white level is unknown.
- Colours: RGB keeps its numbers whatever its ICC profile, which is copied to the result: converting would change all
  pixels that an edit must not change. CMYK needs its profile and is converted by it to sRGB, or by Pillow's formula if
  it has none. The grey of a mask is the luma of Rec. 601, as in Pillow.
- Frames: edits refuse animations (`headers.refuse_animation`); `decode_frames` returns all frames of an animation, and
  other functions the first of several.
"""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageSequence

from mimicbrush.pictures.headers import (
    UnknownWhiteError,
    naming_file,
    open_picture,
    orientation_of,
    read_header,
    swaps_sides,
    translating_errors,
)

BITS_PER_SAMPLE = 258
"""Tag in TIFF files."""
PNG, DEPTH_BYTE = b"\x89PNG", 24
"""First bytes of a PNG, and the position of its bits per channel."""

log = logging.getLogger(__name__)


class Decoded(NamedTuple):
    """A picture's pixels, upright."""

    levels: NDArray
    """(H, W, C) of uint8 or uint16: grey (C = 1), RGB (3), or RGB and alpha (4)."""
    icc_profile: bytes | None
    """Colour profile of RGB levels, if the file has one."""
    orientation: int
    """EXIF's number for the stored orientation, 1 for upright; needed for masks drawn on the stored pixels."""


class EncodedPicture:
    """The bytes of a picture file; the header is read at once, the pixels on request.

    Raises UnreadablePictureError if the bytes are not a picture.
    """

    def __init__(self, encoded: bytes) -> None:
        self._encoded = encoded
        with translating_errors():
            self.image = open_picture(io.BytesIO(encoded))
            self.stored_size = self.image.size
            """Width and height before the picture is turned upright."""

    @property
    def orientation(self) -> int:
        """EXIF's number for the stored orientation, 1 for upright."""
        with translating_errors():
            return orientation_of(self.image)

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height of the upright picture."""
        return self.stored_size[::-1] if swaps_sides(self.orientation) else self.stored_size

    def decode(self, *, at_least: tuple[int, int] | None = None) -> NDArray:
        """Decode the upright pixels: (H, W, C) as in `Decoded`.

        at_least: sufficient width and height of the upright picture; a JPEG is then decoded at a half, a quarter or an
        eighth of its size, if that is not smaller.
        """
        with translating_errors():
            if at_least:
                self.image.draft("RGB", at_least[::-1] if swaps_sides(self.orientation) else at_least)
            return levels_of(self.image, self._encoded)


def decode_file(path: Path) -> Decoded:
    """Read a picture; raises UserError if the file is missing or not a picture."""
    with naming_file(path):
        return decode_bytes(path.read_bytes(), name=str(path))


def decode_bytes(encoded: bytes, *, name: str = "a picture") -> Decoded:
    """Decode a picture; raises UnreadablePictureError. name: its name in a warning."""
    picture = EncodedPicture(encoded)
    orientation, levels = picture.orientation, picture.decode()
    _warn_of_lost_bits(picture.image, name)
    return Decoded(levels, colour_profile(picture.image), orientation)


def upright_size(path: Path) -> tuple[int, int]:
    """Read a picture's width and height, upright; raises UserError if the file is missing or not a picture."""
    with naming_file(path):
        return EncodedPicture(path.read_bytes()).upright_size


def decode_frames(path: Path) -> list[NDArray]:
    """Decode all frames of an animation, or the first picture of another file, as in `Decoded`; raises UserError."""
    if read_header(path).num_frames == 1:
        return [decode_file(path).levels]
    with naming_file(path), open_picture(path) as image:
        return [levels_of(frame) for frame in ImageSequence.Iterator(image)]


def levels_of(image: Image.Image, encoded: bytes = b"") -> NDArray:
    """Decode the upright pixels of an opened picture: (H, W, C) as in `Decoded`.

    encoded: bytes of the file, if there is one, because Pillow returns 8 bits of a 16-bit coloured PNG. Raises
    UnknownWhiteError, and the errors of Pillow's decoders.
    """
    image.load()
    if image.mode in ("I", "F"):
        raise UnknownWhiteError(f"has mode {image.mode}, whose white is not known; export it with 8 or 16 bits")
    if encoded.startswith(PNG) and encoded[DEPTH_BYTE] == 16:
        levels = _sixteen_bits(encoded, image.info.get("transparency"))
    elif image.mode.startswith("I;16"):
        levels = _with_colour_key(np.asarray(image).astype(np.uint16)[..., None], image.info.get("transparency"))
    else:
        levels = _eight_bits(image)
    return turn_upright(levels, orientation_of(image))


def turn_upright(levels: NDArray, orientation: int) -> NDArray:
    """Turn pixels upright by EXIF's orientation, 1 to 8: transpose some, then flip rows, columns or both."""
    levels = levels.swapaxes(0, 1) if swaps_sides(orientation) else levels
    levels = levels[::-1] if orientation in (3, 4, 7, 8) else levels
    return np.ascontiguousarray(levels[:, ::-1] if orientation in (2, 3, 6, 7) else levels)


def colour_profile(image: Image.Image) -> bytes | None:
    """Return the ICC profile of an RGB or palette picture; RGB made from other modes has none."""
    return image.info.get("icc_profile") if image.mode.startswith(("RGB", "P")) else None


def _eight_bits(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode == "CMYK":
        image = _cmyk_to_rgb(image)
    key = image.info.get("transparency")
    if (
        isinstance(key, tuple) and max(key) > 255
    ):  # the key of a 16-bit picture, of which Pillow has read the upper 8 bits
        return _with_colour_key(np.array(image), tuple(level >> 8 for level in key))
    mode = "RGBA" if image.has_transparency_data else "L" if image.mode in ("1", "L") else "RGB"
    levels = np.array(image if image.mode == mode else image.convert(mode))
    return levels if levels.ndim == 3 else levels[..., None]


def _cmyk_to_rgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if profile is not None:
        try:
            return ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                ImageCms.createProfile("sRGB"),
                renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                outputMode="RGB",
                flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
        except (ImageCms.PyCMSError, OSError) as error:
            log.warning("a CMYK picture's colour profile cannot be used (%s); its colours are approximate", error)
    return image.convert("RGB")


def _sixteen_bits(encoded: bytes, key: int | tuple[int, ...] | None) -> NDArray[np.uint16]:
    """Decode the levels of a 16-bit PNG with OpenCV."""
    levels = np.atleast_3d(cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED))
    if levels.shape[2] > 1:
        levels = levels[..., [2, 1, 0, 3][: levels.shape[2]]]
    return levels if levels.shape[2] == 4 else _with_colour_key(levels, key)


def _with_colour_key(levels: NDArray, key: int | tuple[int, ...] | None) -> NDArray:
    """Add alpha if one colour means transparent."""
    if key is None:
        return levels
    alpha = np.where((levels == key).all(axis=2, keepdims=True), 0, np.iinfo(levels.dtype).max).astype(levels.dtype)
    return np.concatenate([np.broadcast_to(levels, (*levels.shape[:2], 3)), alpha], axis=2)


def _warn_of_lost_bits(image: Image.Image, name: str) -> None:
    bits = np.ravel(getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, 0))
    if len(bits) > 1 and bits.max() > 8:
        log.warning("%s: of its %d bits a channel 8 are used; export it as PNG to keep 16", name, bits.max())

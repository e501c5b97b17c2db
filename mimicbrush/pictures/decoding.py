"""Decode picture files into arrays: the one place that says what is in them.

- Orientation: pictures are upright, as EXIF or TIFF says. Unreadable EXIF says nothing.
- Alpha, palettes and colour keys: transparent parts are white for a network (`on_white`) and black in a mask
  (`mask_levels`); alpha itself is kept beside the colours, for results.
- Depth: 16 bits are kept, except that Pillow reads 8 of a coloured TIFF, which gives a warning. Pixels of mode I and F
  are refused: nobody knows their white.
- Colours: RGB stays as stored whatever its ICC profile, which goes into the result: converting would change every
  pixel that an edit must leave alone. CMYK has no meaning without its profile and is converted by it to sRGB, or by
  Pillow's formula where there is none. A mask's grey is the luma of Rec. 601, as in Pillow.
- Frames: of several the first counts, except where `read_frames` asks for all of an animated PNG.
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
    orientation_of,
    read_header,
    swaps_sides,
    translating_errors,
)

BITS_PER_SAMPLE = 258
"""TIFF's tag."""
PNG, DEPTH_BYTE = b"\x89PNG", 24
"""A PNG's first bytes, and where it tells its bits a channel."""

log = logging.getLogger(__name__)


class Decoded(NamedTuple):
    """A picture's pixels, upright."""

    levels: NDArray
    """(H, W, C) of uint8 or uint16: grey (C = 1), RGB (3), or RGB and alpha (4)."""
    icc_profile: bytes | None
    """The meaning of RGB levels, where the file names it."""
    orientation: int
    """EXIF's number for how the file stores it, 1 for upright: for what was drawn on the stored pixels."""


class EncodedPicture:
    """A picture file's bytes, of which the header is read at once and the pixels when they are asked for.

    Raises UnreadablePictureError where the bytes are no picture.
    """

    def __init__(self, encoded: bytes) -> None:
        self._encoded = encoded
        with translating_errors():
            self.image = Image.open(io.BytesIO(encoded))
            self.stored_size = self.image.size
            """Width and height before the picture is turned upright."""

    @property
    def orientation(self) -> int:
        """EXIF's number for how the file stores it, 1 for upright."""
        with translating_errors():
            return orientation_of(self.image)

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height of the picture as it is shown."""
        return self.stored_size[::-1] if swaps_sides(self.orientation) else self.stored_size

    def decode(self, *, at_least: tuple[int, int] | None = None) -> NDArray:
        """The pixels, upright: (H, W, C) as in `Decoded`.

        at_least: width and height that are enough, upright: a JPEG is then decoded at a half, a quarter or an eighth of
        its size, where that is no smaller.
        """
        with translating_errors():
            if at_least:
                self.image.draft("RGB", at_least[::-1] if swaps_sides(self.orientation) else at_least)
            return levels_of(self.image, self._encoded)


def decode_file(path: Path) -> Decoded:
    """Read a picture; raises UserError if the file is missing or no picture."""
    with naming_file(path):
        return decode_bytes(path.read_bytes(), name=str(path))


def decode_bytes(encoded: bytes, *, name: str = "a picture") -> Decoded:
    """Decode a picture; raises UnreadablePictureError. name: what a warning calls it."""
    picture = EncodedPicture(encoded)
    orientation, levels = picture.orientation, picture.decode()
    _warn_of_lost_bits(picture.image, name)
    return Decoded(levels, colour_profile(picture.image), orientation)


def decode_frames(path: Path) -> list[NDArray]:
    """All frames of an animated PNG, each as in `Decoded`, or the one picture of another file; raises UserError."""
    if read_header(path).num_frames == 1:
        return [decode_file(path).levels]
    with naming_file(path), Image.open(path) as image:
        return [levels_of(frame) for frame in ImageSequence.Iterator(image)]


def levels_of(image: Image.Image, encoded: bytes = b"") -> NDArray:
    """An opened picture's pixels, upright: (H, W, C) as in `Decoded`.

    encoded: the file, if there is one: Pillow hands out 8 bits a channel of a coloured PNG of 16. Raises
    UnknownWhiteError, or what Pillow's decoders raise.
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
    """Rows and columns as orientations 1 to 8 say: some are mirrored at the diagonal, then either is flipped."""
    levels = levels.swapaxes(0, 1) if swaps_sides(orientation) else levels
    levels = levels[::-1] if orientation in (3, 4, 7, 8) else levels
    return np.ascontiguousarray(levels[:, ::-1] if orientation in (2, 3, 6, 7) else levels)


def colour_profile(image: Image.Image) -> bytes | None:
    """The ICC profile of RGB, also of a palette's; the RGB that is made of other modes is not theirs."""
    return image.info.get("icc_profile") if image.mode.startswith(("RGB", "P")) else None


def _eight_bits(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode == "CMYK":
        image = _cmyk_to_rgb(image)
    key = image.info.get("transparency")
    if isinstance(key, tuple) and max(key) > 255:  # of a picture of 16 bits, whose upper 8 Pillow has read
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
    """Levels of a 16-bit PNG that Pillow could decode."""
    levels = np.atleast_3d(cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED))
    if levels.shape[2] > 1:
        levels = levels[..., [2, 1, 0, 3][: levels.shape[2]]]
    return levels if levels.shape[2] == 4 else _with_colour_key(levels, key)


def _with_colour_key(levels: NDArray, key: int | tuple[int, ...] | None) -> NDArray:
    """With alpha, where one colour stands for transparent."""
    if key is None:
        return levels
    alpha = np.where((levels == key).all(axis=2, keepdims=True), 0, np.iinfo(levels.dtype).max).astype(levels.dtype)
    return np.concatenate([np.broadcast_to(levels, (*levels.shape[:2], 3)), alpha], axis=2)


def _warn_of_lost_bits(image: Image.Image, name: str) -> None:
    bits = np.ravel(getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, 0))
    if len(bits) > 1 and bits.max() > 8:
        log.warning("%s: of its %d bits a channel 8 are used; export it as PNG to keep 16", name, bits.max())

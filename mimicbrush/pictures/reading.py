"""The one reader of picture files, and the one meaning of what is in them.

- Orientation: pictures are upright, as EXIF or TIFF says. Unreadable EXIF says nothing.
- Alpha, palettes and colour keys: transparent parts are white for a network (`on_white`) and black in a mask
  (`mask_levels`); alpha itself is kept beside the colours, for results.
- Depth: 16 bits are kept, except that Pillow reads 8 of a coloured TIFF, which is said. Pixels of mode I and F are
  refused: nobody knows their white.
- Colours: RGB stays as stored whatever its ICC profile, which goes into the result: converting would change every
  pixel that an edit must leave alone. CMYK has no meaning without its profile and is converted by it to sRGB, or by
  Pillow's formula where there is none. A mask's grey is the luma of Rec. 601, as in Pillow.
- Frames: of several the first counts, except where `read_frames` asks for all of an animated PNG.
"""

from __future__ import annotations

import io
import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from warnings import catch_warnings

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageSequence, UnidentifiedImageError
from torch import Tensor

from mimicbrush.errors import UserError

ORIENTATION = 0x0112
"""EXIF's tag."""
BITS_PER_SAMPLE = 258
"""TIFF's tag."""
PNG, DEPTH_BYTE = b"\x89PNG", 24
"""A PNG's first bytes, and where it tells its bits a channel."""
BROKEN = (UnidentifiedImageError, OSError, SyntaxError, ValueError, TypeError, IndexError, struct.error)
"""Errors that Pillow's decoders raise on damaged files."""

log = logging.getLogger(__name__)


class UnknownWhiteError(ValueError):
    """A picture whose range of values is unknown; the message continues the picture's name."""


class Decoded(NamedTuple):
    """A picture's pixels, upright."""

    levels: NDArray
    """(H, W, C) of uint8 or uint16: grey (C = 1), RGB (3), or RGB and alpha (4)."""
    icc_profile: bytes | None
    """The meaning of RGB levels, where the file names it."""
    orientation: int
    """EXIF's number for how the file stores it, 1 for upright: for what was drawn on the stored pixels."""


def decode_file(path: Path) -> Decoded:
    """Read a picture; raises UserError if the file is missing or no picture."""
    with _naming(path):
        return decode_bytes(path.read_bytes(), name=str(path))


def decode_bytes(encoded: bytes, *, name: str = "a picture") -> Decoded:
    """Decode a picture. Raises ValueError or Image.DecompressionBombError; name: what a warning calls it."""
    try:
        with _quiet(), Image.open(io.BytesIO(encoded)) as image:
            orientation = orientation_of(image)
            levels = levels_of(image, encoded)
            _warn_of_lost_bits(image, name)
            return Decoded(levels, colour_profile(image), orientation)
    except UnknownWhiteError:
        raise
    except UnidentifiedImageError:
        raise ValueError("not a readable picture (of no known format)") from None
    except BROKEN as error:
        raise ValueError(f"not a readable picture ({error})") from None


def decode_frames(path: Path) -> list[NDArray]:
    """All frames of an animated PNG, each as in `Decoded`, or the one picture of another file; raises UserError."""
    if count_frames(path) == 1:
        return [decode_file(path).levels]
    with _naming(path), _quiet(), Image.open(path) as image:
        return [levels_of(frame) for frame in ImageSequence.Iterator(image)]


def count_frames(path: Path) -> int:
    """Frames of an animated PNG, by its header, 1 of another picture; raises UserError if it is missing or none."""
    with _naming(path), _quiet(), Image.open(path) as image:
        # Further pictures in other formats are previews, gain maps or pages more often than frames.
        return getattr(image, "n_frames", 1) if image.format == "PNG" else 1


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


def turn_upright(levels: NDArray, orientation: int) -> NDArray:
    """Rows and columns as orientations 1 to 8 say: some are mirrored at the diagonal, then either is flipped."""
    levels = levels.swapaxes(0, 1) if swaps_sides(orientation) else levels
    levels = levels[::-1] if orientation in (3, 4, 7, 8) else levels
    return np.ascontiguousarray(levels[:, ::-1] if orientation in (2, 3, 6, 7) else levels)


def swaps_sides(orientation: int) -> bool:
    """Whether the stored rows are the upright picture's columns."""
    return orientation in (5, 6, 7, 8)


def colour_profile(image: Image.Image) -> bytes | None:
    """The ICC profile of RGB, also of a palette's; the RGB that is made of other modes is not theirs."""
    return image.info.get("icc_profile") if image.mode.startswith(("RGB", "P")) else None


def to_channels(levels: NDArray) -> Tensor:
    """(H, W, C) of 8 or 16 bits -> (C, H, W) in [0, 1]."""
    return torch.from_numpy(levels.astype(np.float32) / np.iinfo(levels.dtype).max).permute(2, 0, 1)


def on_white(channels: Tensor) -> Tensor:
    """Pixels for a network: (1, 3 or 4, H, W), grey, RGB or RGB with alpha, to (3, H, W), transparency on white."""
    if len(channels) < 4:
        return channels.expand(3, -1, -1)
    # Opaque pixels stay bit for bit, as they would not if 1 were added first.
    return channels[:3] * channels[3:] + (1 - channels[3:])


def mask_levels(channels: Tensor) -> Tensor:
    """A mask before its threshold, (1, H, W) in [0, 1], of (1, 3 or 4, H, W): transparent parts are black."""
    if len(channels) == 1:
        return channels
    red, green, blue = (channels[number : number + 1] for number in range(3))
    # Written so that where all three agree, as in nearly every mask, their level comes out exactly.
    grey = green + 0.299 * (red - green) + 0.114 * (blue - green)
    return grey * channels[3:] if len(channels) == 4 else grey


def rgb_bytes(levels: NDArray) -> NDArray[np.uint8]:
    """(H, W, C) as in `Decoded` -> (H, W, 3) of 8 bits, on white."""
    if levels.dtype == np.uint8 and levels.shape[2] < 4:
        return np.repeat(levels, 3, axis=2) if levels.shape[2] == 1 else levels
    return _to_bytes(on_white(to_channels(levels)))


def mask_bytes(levels: NDArray) -> NDArray[np.uint8]:
    """(H, W, C) as in `Decoded` -> (H, W), a mask before its threshold."""
    if levels.dtype == np.uint8 and levels.shape[2] == 1:
        return levels[..., 0]
    return _to_bytes(mask_levels(to_channels(levels)))[..., 0]


def read_channels(path: Path) -> Tensor:
    """(1, 3 or 4, H, W) in [0, 1]; raises UserError if the file is missing or no picture."""
    return to_channels(decode_file(path).levels)


def read_image(path: Path) -> Tensor:
    """(3, H, W) in [0, 1], on white; raises UserError if the file is missing or no picture."""
    return on_white(read_channels(path))


def read_frames(path: Path) -> Tensor:
    """(T, 3, H, W) in [0, 1], on white; a still has T = 1. Raises UserError if the file is missing or no picture."""
    return torch.stack([on_white(to_channels(levels)) for levels in decode_frames(path)])


def read_mask_frames(path: Path) -> Tensor:
    """(T, 1, H, W), 0 or 1, thresholded at mid-grey; raises UserError if the file is missing or no picture."""
    frames = [torch.from_numpy(mask_bytes(levels)) for levels in decode_frames(path)]
    return (torch.stack(frames)[:, None] > 127).float()


def read_mask(path: Path) -> Tensor:
    """(1, H, W), 0 or 1, thresholded at mid-grey; raises UserError if the file is missing or no picture."""
    return (read_levels(path) > 127).float()


def read_levels(path: Path) -> Tensor:
    """(1, H, W), 0 to 255: a mask before the threshold; raises UserError if the file is missing or no picture."""
    return torch.from_numpy(mask_bytes(decode_file(path).levels))[None]


def from_pil(image: Image.Image) -> Tensor:
    """(3, H, W) in [0, 1], upright, on white."""
    return on_white(to_channels(levels_of(image)))


def open_image(path: Path) -> Image.Image:
    """A picture's header, with its size and texts, undecoded; raises UserError if it is missing or no picture."""
    with _naming(path), _quiet(), Image.open(path) as file:
        return file


@contextmanager
def _naming(path: Path) -> Iterator[None]:
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
def _quiet() -> Iterator[None]:
    """Pillow warns of large pictures, and reads them all the same; how large is too large, callers say."""
    with catch_warnings(category=Image.DecompressionBombWarning, action="ignore"):
        yield


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


def _to_bytes(channels: Tensor) -> NDArray[np.uint8]:
    return (channels * 255).round().byte().permute(1, 2, 0).contiguous().numpy()

"""Write pictures to files and bytes."""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo, putchunk

from mimicbrush.files import whole
from mimicbrush.pictures.conversion import rgb_bytes, to_levels, to_pil
from mimicbrush.pictures.decoding import levels_of

if TYPE_CHECKING:
    from torch import Tensor

HEADER_SIZE = 33
"""Size of a PNG's signature and first chunk in bytes."""
FAST_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]
"""Settings of OpenCV for large files."""


def write_image(image: Image.Image | Tensor | NDArray, path: Path) -> None:
    """Write any input of `to_pil`, atomically, in the format of the suffix."""
    with whole(path) as partial:
        to_pil(image).save(partial)


def write_frames(frames: Tensor | Sequence[NDArray], path: Path) -> None:
    """Write frames as a lossless animated PNG, or a single one like `write_image`.

    frames: (T, 3, H, W) in [0, 1], or inputs of `to_pil`.
    """
    first, *others = (to_pil(frame) for frame in frames)
    with whole(path) as partial:
        # No durations are given, because Pillow would then join equal frames.
        first.save(partial, **({"save_all": True, "append_images": others} if others else {}))


def write_png(
    pixels: Tensor, path: Path, *, texts: Mapping[str, str], icc_profile: bytes | None, is_deep: bool = False
) -> None:
    """Write (3, H, W), or (4, H, W) with alpha, in [0, 1] with texts and a colour profile, atomically.

    is_deep: write 16 bits per channel. OpenCV encodes, because Pillow writes no colours of 16 bits, and takes eight
    times as long for a file that is about a tenth smaller.
    """
    chunks = io.BytesIO()
    if icc_profile:
        putchunk(chunks, b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc_profile))
    note = PngInfo()
    for key, text in texts.items():
        note.add_text(key, text)
    for kind, content, *_ in note.chunks:
        putchunk(chunks, kind, content)
    encoded = _encode(".png", to_levels(pixels, is_deep=is_deep), FAST_PNG)
    with whole(path) as partial:
        partial.write_bytes(encoded[:HEADER_SIZE] + chunks.getvalue() + encoded[HEADER_SIZE:])


def encode_jpeg(image: Image.Image | NDArray[np.uint8], *, quality: int, halve_chroma: bool = False) -> bytes:
    """Encode a PIL picture, on white, or RGB (H, W, 3) at a quality of 1 to 100.

    halve_chroma: store colours at half the size, for small files. Full chroma is 3 dB more exact, and matters to the
    VAE.
    """
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420 if halve_chroma else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    return _encode(".jpg", rgb_bytes(levels_of(image)) if isinstance(image, Image.Image) else image, settings)


def encode_webp(image: NDArray[np.uint8], *, quality: int) -> bytes:
    """Encode RGB (H, W, 3) at a quality of 1 to 100."""
    return _encode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, quality])


def encode_png(image: Image.Image | NDArray) -> bytes:
    """Encode a PIL picture, or an array (H, W) or (H, W, 1, 3 or 4) of 8 or 16 bits or bool.

    OpenCV takes a fraction of Pillow's time; a mask of bool becomes 0 and 255.
    """
    levels = levels_of(image) if isinstance(image, Image.Image) else image
    return _encode(".png", levels.astype(np.uint8) * 255 if levels.dtype == bool else levels)


def _encode(suffix: str, levels: NDArray, settings: list[int] | None = None) -> bytes:
    if levels.shape[2:] > (1,):  # OpenCV expects blue first
        levels = cv2.cvtColor(levels, cv2.COLOR_RGB2BGR if levels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    return cv2.imencode(suffix, levels, settings or [])[1].tobytes()

"""PNGs of 16 bits a channel: of those with colours Pillow reads the upper 8, and writes none."""

from __future__ import annotations

import io
import logging
import zlib
from pathlib import Path
from warnings import catch_warnings

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo, putchunk
from torch import Tensor

BITS_PER_SAMPLE = 258
"""TIFF's tag."""
HEADER_SIZE = 33
"""Of a PNG: its signature and its first chunk, which tells the depth in byte 24."""
ORIENTATION = 0x0112
"""EXIF's tag."""

log = logging.getLogger(__name__)


def read_sixteen_bits(path: Path) -> NDArray[np.uint16] | None:
    """(H, W), or (H, W, 3 or 4) with RGB first, upright, of a PNG of 16 bits a channel; None of any other picture.

    path: known to be a readable picture. A TIFF of 16 bits and several channels is none either, but warned of.
    """
    with catch_warnings(category=Image.DecompressionBombWarning, action="ignore"), Image.open(path) as file:
        bits = np.ravel(getattr(file, "tag_v2", {}).get(BITS_PER_SAMPLE, 0))
        orientation = file.getexif().get(ORIENTATION, 1)
    if len(bits) > 1 and bits.max() > 8:
        log.warning("%s: of its %d bits a channel 8 are used; export it as PNG to keep 16", path, bits.max())
    encoded = path.read_bytes()
    if not encoded.startswith(b"\x89PNG") or encoded[24] != 16:
        return None
    levels = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
    if levels.ndim == 3:
        levels = levels[..., [2, 1, 0, 3][: levels.shape[2]]]
    return _upright(levels, orientation)


def encode_sixteen_bits(pixels: Tensor, *, text: PngInfo, icc_profile: bytes | None = None) -> bytes:
    """A PNG of (3, H, W) or, with alpha, (4, H, W) in [0, 1], with these text chunks and colour profile."""
    levels = (pixels.clamp(0, 1) * 65535).round().permute(1, 2, 0).cpu().numpy().astype(np.uint16)
    _, encoded = cv2.imencode(".png", levels[..., [2, 1, 0, 3][: levels.shape[2]]])
    chunks = io.BytesIO()
    if icc_profile:
        putchunk(chunks, b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc_profile))
    for kind, content, *_ in text.chunks:
        putchunk(chunks, kind, content)
    return encoded[:HEADER_SIZE].tobytes() + chunks.getvalue() + encoded[HEADER_SIZE:].tobytes()


def _upright(levels: NDArray, orientation: int) -> NDArray:
    """As EXIF's orientations 1 to 8 say: some are mirrored at the diagonal, then rows or columns are flipped."""
    levels = levels.swapaxes(0, 1) if orientation in (5, 6, 7, 8) else levels
    levels = levels[::-1] if orientation in (3, 4, 7, 8) else levels
    return levels[:, ::-1] if orientation in (2, 3, 6, 7) else levels

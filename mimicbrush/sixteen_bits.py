"""Writing PNGs of 16 bits a channel, which Pillow does not do where there are colours."""

from __future__ import annotations

import io
import zlib

import cv2
import numpy as np
from PIL.PngImagePlugin import PngInfo, putchunk
from torch import Tensor

HEADER_SIZE = 33
"""Bytes of a PNG's signature and first chunk."""


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

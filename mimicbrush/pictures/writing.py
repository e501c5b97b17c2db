"""Write and encode pictures."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL.PngImagePlugin import PngInfo, putchunk
from torch import Tensor

from mimicbrush.files import whole
from mimicbrush.pictures.conversion import to_pil

HEADER_SIZE = 33
"""Bytes of a PNG's signature and first chunk."""


def write_image(image: Tensor, path: Path) -> None:
    """Write (3, H, W) or (1, H, W) in [0, 1] as PNG or by the suffix; the file appears whole or not at all."""
    with whole(path) as partial:
        to_pil(image).save(partial)


def write_frames(frames: Tensor, path: Path) -> None:
    """Write (T, 3, H, W) in [0, 1] as an animated PNG, lossless, and one frame as `write_image` does."""
    first, *others = (to_pil(frame) for frame in frames)
    with whole(path) as partial:
        # Without durations, which would let Pillow join frames that are alike.
        first.save(partial, **({"save_all": True, "append_images": others} if others else {}))


def encode_sixteen_bits(pixels: Tensor, *, text: PngInfo, icc_profile: bytes | None = None) -> bytes:
    """A PNG of (3, H, W) or, with alpha, (4, H, W) in [0, 1], with these text chunks and colour profile.

    Pillow writes no coloured PNG of 16 bits a channel.
    """
    levels = (pixels.clamp(0, 1) * 65535).round().permute(1, 2, 0).cpu().numpy().astype(np.uint16)
    _, encoded = cv2.imencode(".png", levels[..., [2, 1, 0, 3][: levels.shape[2]]])
    chunks = io.BytesIO()
    if icc_profile:
        putchunk(chunks, b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc_profile))
    for kind, content, *_ in text.chunks:
        putchunk(chunks, kind, content)
    return encoded[:HEADER_SIZE].tobytes() + chunks.getvalue() + encoded[HEADER_SIZE:].tobytes()

"""Read picture files and bytes as tensors in [0, 1], channels first, or as 8-bit arrays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mimicbrush.pictures.conversion import is_masked, mask_bytes, on_white, rgb_bytes, to_channels
from mimicbrush.pictures.decoding import decode_bytes, decode_file, decode_frames

if TYPE_CHECKING:
    from torch import Tensor


def read_channels(path: Path) -> Tensor:
    """Read (1, 3 or 4, H, W) in [0, 1]; raises UserError if the file is missing or not a picture."""
    return to_channels(decode_file(path).levels)


def read_image(path: Path) -> Tensor:
    """Read (3, H, W) in [0, 1], on white; raises UserError if the file is missing or not a picture."""
    return on_white(read_channels(path))


def read_frames(path: Path) -> Tensor:
    """Read (T, 3, H, W) in [0, 1], on white; a still has T = 1. Raises UserError if the file is not a picture."""
    import torch

    return torch.stack([on_white(to_channels(levels)) for levels in decode_frames(path)])


def read_mask_frames(path: Path) -> Tensor:
    """Read a mask (T, 1, H, W), 0 or 1, thresholded at mid-grey; raises UserError if the file is not a picture."""
    import torch

    frames = [torch.from_numpy(mask_bytes(levels)) for levels in decode_frames(path)]
    return is_masked(torch.stack(frames)[:, None]).float()


def read_mask(path: Path) -> Tensor:
    """Read a mask (1, H, W), 0 or 1, thresholded at mid-grey; raises UserError if the file is not a picture."""
    return is_masked(read_levels(path)).float()


def read_levels(path: Path) -> Tensor:
    """Read a mask (1, H, W) before the threshold, 0 to 255; raises UserError if the file is not a picture."""
    import torch

    return torch.from_numpy(mask_bytes(decode_file(path).levels))[None]


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Read (H, W, 3) of 8 bits, on white; raises UserError if the file is missing or not a picture."""
    return rgb_bytes(decode_file(path).levels)


def decode_rgb(encoded: bytes) -> NDArray[np.uint8]:
    """Decode (H, W, 3) of 8 bits, upright, on white; raises UnreadablePictureError if it is not a picture."""
    return rgb_bytes(decode_bytes(encoded).levels)


def decode_mask(encoded: bytes) -> NDArray[np.bool_]:
    """Decode a mask (H, W), True above mid-grey; raises UnreadablePictureError if it is not a picture."""
    return is_masked(mask_bytes(decode_bytes(encoded).levels))

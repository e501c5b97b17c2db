"""Convert pixels between tensors, arrays and PIL pictures.

Tensors are RGB float in [0, 1], channels first; arrays of levels are those of `decoding.Decoded`. Only functions that
return tensors import torch, so that data preparation, whose pictures are arrays, starts without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor

MID_GREY = 127
"""Highest level, of 255, that counts as black in a mask."""

Channels = TypeVar("Channels", "Tensor", NDArray[np.float32])


def to_pil(picture: Image.Image | Tensor | NDArray) -> Image.Image:
    """Convert to an 8-bit PIL picture; a PIL picture is returned unchanged.

    picture: a tensor (1, 3 or 4, H, W) in [0, 1], an array (H, W) or (H, W, 1, 3 or 4) of uint8, or a mask (H, W) of
    bool, which becomes black and white. A fourth channel is alpha.
    """
    if isinstance(picture, Image.Image):
        return picture
    levels = picture if isinstance(picture, np.ndarray) else to_levels(picture)
    if levels.dtype == bool:
        levels = levels.astype(np.uint8) * 255
    return Image.fromarray(levels[..., 0] if levels.shape[2:] == (1,) else np.ascontiguousarray(levels))


def to_channels(levels: NDArray) -> Tensor:
    """Convert levels (H, W, C) of 8 or 16 bits to channels (C, H, W) in [0, 1]."""
    import torch

    # Made contiguous while a value still takes one or two bytes, which is faster than afterwards.
    channels = torch.from_numpy(np.require(levels, requirements="CW")).permute(2, 0, 1).contiguous()
    return channels.float().div_(np.iinfo(levels.dtype).max)


def _channels_of(levels: NDArray) -> NDArray[np.float32]:
    return (levels.astype(np.float32) / np.iinfo(levels.dtype).max).transpose(2, 0, 1)


def to_levels(channels: Tensor, *, is_deep: bool = False) -> NDArray:
    """Convert channels (C, H, W) in [0, 1] to levels (H, W, C) of 8 bits, or of 16 if `is_deep`."""
    import torch

    dtype = torch.uint16 if is_deep else torch.uint8
    levels = (channels.detach().clamp(0, 1) * torch.iinfo(dtype).max).round().to(dtype)
    return levels.permute(1, 2, 0).contiguous().cpu().numpy()


def draw_over(layer: Tensor, background: Tensor) -> Tensor:
    """Draw a layer (B, 4, H, W) of colours and opacity over a background (B, 3, H, W); differentiable."""
    import torch

    return torch.lerp(background, layer[:, :3], layer[:, 3:])


def on_white(channels: Channels) -> Channels:
    """Composite grey, RGB or RGBA (1, 3 or 4, H, W) on white, as a network needs it: RGB (3, H, W)."""
    if len(channels) < 4:
        return channels[[0, 0, 0]] if len(channels) == 1 else channels
    # In this order opaque pixels keep their bits; adding 1 first would change them.
    return channels[:3] * channels[3:] + (1 - channels[3:])


def mask_levels(channels: Channels) -> Channels:
    """Convert (1, 3 or 4, H, W) to the grey levels of a mask, (1, H, W) in [0, 1]; transparent parts are black."""
    if len(channels) == 1:
        return channels
    red, green, blue = (channels[number : number + 1] for number in range(3))
    # In this form three equal channels, as in nearly every mask, give exactly their level.
    grey = green + 0.299 * (red - green) + 0.114 * (blue - green)
    return grey * channels[3:] if len(channels) == 4 else grey


def rgb_bytes(levels: NDArray) -> NDArray[np.uint8]:
    """Convert levels (H, W, C) as in `Decoded` to RGB (H, W, 3) of 8 bits, on white."""
    if levels.dtype == np.uint8 and levels.shape[2] < 4:
        return np.repeat(levels, 3, axis=2) if levels.shape[2] == 1 else levels
    return _round_to_bytes(on_white(_channels_of(levels)))


def mask_bytes(levels: NDArray) -> NDArray[np.uint8]:
    """Convert levels (H, W, C) as in `Decoded` to the levels (H, W) of a mask, before the threshold."""
    if levels.dtype == np.uint8 and levels.shape[2] == 1:
        return levels[..., 0]
    return _round_to_bytes(mask_levels(_channels_of(levels)))[..., 0]


def _round_to_bytes(channels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Convert an array (C, H, W) in [0, 1] to levels (H, W, C), like `to_levels` for tensors."""
    levels = (channels.clip(0, 1) * np.float32(255)).round().astype(np.uint8)
    return np.ascontiguousarray(levels.transpose(1, 2, 0))


def is_masked(levels: NDArray[np.uint8] | Tensor) -> NDArray[np.bool_] | Tensor:
    """Threshold the levels of a mask, 0 to 255, at mid-grey: True where it is white."""
    return levels > MID_GREY


def shrink_to_fit(image: Image.Image, width: int, height: int) -> Image.Image:
    """Return a copy scaled down to fit into width x height; a small enough picture keeps its size."""
    small = image.copy()
    small.thumbnail((width, height), Image.Resampling.LANCZOS)
    return small

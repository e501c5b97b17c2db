"""A clip at the network's size, and masks on the grid of latents."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from mimicbrush.pictures.geometry import paste_back, resize


def network_size(height: int, width: int, *, resolution: int, unit: int) -> tuple[int, int]:
    """Height and width at which the network works: the longer side is about `resolution`, both are multiples of `unit`.

    Nothing is padded; the sides' ratio changes by what the rounding needs.
    """
    scale = resolution / max(height, width)
    return tuple(max(unit, round(side * scale / unit) * unit) for side in (height, width))


def to_pixels(mask: Tensor, height: int, width: int) -> Tensor:
    """Enlarge masks (T, 1, h, w) of latents to pixels."""
    return F.interpolate(mask.float(), (height, width), mode="nearest")


def finish_frames(frames: Tensor, source: Tensor, mask: Tensor, *, keep_source: bool) -> Tensor:
    """Resize edited frames to the source (T, 3, H, W); keep_source: its own pixels outside the feathered mask."""
    edited = resize(frames, *source.shape[2:]).to(source).clamp(0, 1)
    return paste_back(edited, source, mask.to(source)) if keep_source else edited

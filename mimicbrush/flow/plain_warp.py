"""The plain warp: the object that a flow moves is cut out and drawn at its new place."""

from __future__ import annotations

from torch import Tensor

from mimicbrush.flow.motion_masks import moving_pixels
from mimicbrush.flow.warping import move_layer


def moved_object(source: Tensor, flow: Tensor) -> Tensor:
    """The object at its new place, (1, 4, H, W), as colours and opacity; source: (1, 3, H, W), flow: (1, 2, H, W)."""
    return move_layer(source, moving_pixels(flow), flow)


def draw_over(layer: Tensor, background: Tensor) -> Tensor:
    """Draw a layer (B, 4, H, W) of colours and opacity over a background (B, 3, H, W)."""
    colours, opacity = layer.split([3, 1], dim=1)
    return opacity * colours + (1 - opacity) * background


def plain_warp(source: Tensor, flow: Tensor) -> Tensor:
    """Move the object over the source, which still shows it at its old place: (1, 3, H, W)."""
    return draw_over(moved_object(source, flow), source)

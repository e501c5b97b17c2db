"""The plain warp: the object that a flow moves is cut out and drawn at its new place."""

from __future__ import annotations

from torch import Tensor

from mimicbrush.flow.motion_masks import moving_pixels
from mimicbrush.flow.warping import move_layer
from mimicbrush.pictures.conversion import draw_over


def moved_object(source: Tensor, flow: Tensor) -> Tensor:
    """The object at its new place, (1, 4, H, W), as colours and opacity; source: (1, 3, H, W), flow: (1, 2, H, W)."""
    return move_layer(source, moving_pixels(flow), flow)


def plain_warp(source: Tensor, flow: Tensor) -> Tensor:
    """Move the object over the source, which still shows it at its old place: (1, 3, H, W)."""
    return draw_over(moved_object(source, flow), source)

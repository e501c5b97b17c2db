"""A request on the square canvas of the network, and the way back into the source's pixels."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mimicbrush.flow.motion_masks import moving_pixels
from mimicbrush.pictures.geometry import binarise, letterbox, unletterbox


class MotionCanvas(NamedTuple):
    """Pictures of a request at the network's size."""

    source: Tensor
    """(1, 3, size, size) in [0, 1]."""
    mask: Tensor
    """(1, 1, size, size), 1 where pixels may change, otherwise 0."""
    flow: Tensor
    """(1, 2, size, size) in pixels of the canvas."""
    warped: Tensor
    """(1, 3, size, size), the plain warp over a background from which the object is removed."""


def to_canvas(source: Tensor, mask: Tensor, flow: Tensor, warped: Tensor, *, size: int) -> MotionCanvas:
    """Put pictures (1, C, H, W) on a canvas: the longer side becomes `size`; pictures are padded white."""
    return MotionCanvas(
        source=letterbox(source, size, fill=1.0)[0],
        mask=binarise(letterbox(mask, size, fill=0.0)[0]),
        flow=_resize_flow(flow, size),
        warped=letterbox(warped, size, fill=1.0)[0],
    )


def paste_kept_pixels(canvas: Tensor, source: Tensor, mask: Tensor, *, keep: bool) -> Tensor:
    """Return the edited canvas (1, 3, size, size) at the source's size (1, 3, H, W).

    keep: the source's own pixels outside the mask (1, 1, H, W), bit for bit.
    """
    edited = unletterbox(canvas, *source.shape[2:]).to(source).clamp(0, 1)
    return torch.where(mask > 0.5, edited, source) if keep else edited


def latent_mask(mask: Tensor, stride: int) -> Tensor:
    """Shrink a mask (1, 1, H, W) to latents: a position may change (1) where any of its pixels may."""
    return F.max_pool2d(mask, stride)


def _resize_flow(flow: Tensor, size: int) -> Tensor:
    """Flow on the canvas and in its pixels; the object's border stays sharp."""
    moving = moving_pixels(flow).to(flow)
    if max(flow.shape[2:]) == size:
        return letterbox(flow, size, fill=0.0)[0]
    both, box = letterbox(torch.cat([flow * moving, moving], dim=1), size, fill=0.0)
    factors = flow.new_tensor([box.width / flow.shape[3], box.height / flow.shape[2]])[:, None, None]
    return torch.where(both[:, 2:] >= 0.5, both[:, :2] / both[:, 2:].clamp(min=0.5) * factors, 0)

"""Warp pictures along flow, backwards and forwards, and find what is hidden from one picture to the other."""

from __future__ import annotations

import torch
from kornia.geometry.transform import remap
from torch import Tensor

ABSOLUTE_TOLERANCE, RELATIVE_TOLERANCE = 0.5, 0.01
"""Tolerances of forward-backward consistency (Sundaram, Brox and Keutzer, 2010)."""
INSIDE = 1e-3
"""How far outside the picture, in pixels, a point may lie by rounding."""


def pixel_grid(height: int, width: int, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """Coordinates of all pixels, (1, 2, H, W): x, then y, like a flow."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([columns, rows])[None].to(dtype)


def warp_backward(picture: Tensor, flow: Tensor) -> Tensor:
    """Look up each pixel where its flow points to, bilinearly: output(x) = picture(x + flow(x)).

    picture: (B, C, H, W), the second picture; flow: (B, 2, H, W), from the first picture to the second. The result
    shows the second picture on the first one's grid. Points outside the picture take the nearest pixel.
    """
    target = pixel_grid(*flow.shape[2:], dtype=flow.dtype).to(flow.device) + flow
    warped = remap(picture, target[:, 0], target[:, 1], padding_mode="border", align_corners=True)
    return warped.to(picture.dtype)


def points_inside(flow: Tensor) -> Tensor:
    """Whether each pixel's flow ends inside the picture: (B, 2, H, W) -> (B, 1, H, W) of bool."""
    height, width = flow.shape[2:]
    target = pixel_grid(height, width, dtype=flow.dtype).to(flow.device) + flow
    last = torch.tensor([width - 1, height - 1], dtype=flow.dtype, device=flow.device)[:, None, None]
    return ((target >= -INSIDE) & (target <= last + INSIDE)).all(dim=1, keepdim=True)


def find_occlusions(forward: Tensor, backward: Tensor) -> Tensor:
    """Find pixels of the first picture that the second does not show, by forward-backward consistency.

    forward: (B, 2, H, W), flow from the first picture to the second; backward: from the second to the first. A pixel is
    hidden, or has left the picture, where the backward flow does not lead back to it:
    |f(x) + b(x + f(x))|^2 > 0.01 (|f(x)|^2 + |b(x + f(x))|^2) + 0.5. Returns (B, 1, H, W) of bool.
    """
    returned = warp_backward(backward, forward)
    error, lengths = ((forward + returned) ** 2).sum(1), (forward**2).sum(1) + (returned**2).sum(1)
    is_consistent = error <= RELATIVE_TOLERANCE * lengths + ABSOLUTE_TOLERANCE
    return ~(is_consistent[:, None] & points_inside(forward))


def splat_forward(picture: Tensor, flow: Tensor, *, importance: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Move each pixel along its flow and spread it bilinearly over the four pixels around its new place.

    picture: (B, C, H, W); flow: (B, 2, H, W), both on the first picture's grid; importance: (B, 1, H, W), or None.
    Pixels that meet are averaged with weights exp(importance) (softmax splatting, Niklaus and Liu, 2020), so that a
    difference of 20 or more lets the nearer one hide the other. Returns the picture (B, C, H, W), 0 where nothing
    lands, and the weight that lands on each pixel (B, 1, H, W), without importance: 1 where one whole pixel lands.
    """
    batch, _, height, width = picture.shape
    target = pixel_grid(height, width, dtype=flow.dtype).to(flow.device) + flow
    weight = torch.ones_like(flow[:, :1])
    if importance is not None:
        # Only differences count; the largest is 1, so that nothing overflows.
        weight = (importance - importance.amax(dim=(1, 2, 3), keepdim=True)).exp().to(flow.dtype)
    # Colours, their weight, and the weight without importance travel together.
    moved = torch.cat([picture.to(flow.dtype) * weight, weight, torch.ones_like(weight)], dim=1)
    total = torch.zeros(batch, moved.shape[1], height * width, dtype=flow.dtype, device=flow.device)
    corner = target.floor()
    for right in (0, 1):
        for down in (0, 1):
            place = corner + torch.tensor([right, down], dtype=flow.dtype, device=flow.device)[:, None, None]
            share = (1 - (target - place).abs()).clamp(min=0).prod(dim=1, keepdim=True)
            columns, rows = place[:, 0], place[:, 1]
            is_inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
            index = torch.where(is_inside, rows * width + columns, 0).long().flatten(1)[:, None]
            landing = (moved * share * is_inside[:, None]).flatten(2)
            total.scatter_add_(2, index.expand_as(landing), landing)
    total = total.reshape(batch, -1, height, width)
    colours, weights, landed = total[:, :-2], total[:, -2:-1], total[:, -1:]
    return torch.where(weights > 0, colours / weights.clamp(min=1e-30), 0).to(picture.dtype), landed

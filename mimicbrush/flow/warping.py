"""Warp pictures along flow, backwards and forwards, and find what is hidden from one picture to the other."""

from __future__ import annotations

import itertools
import math
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from kornia.geometry.transform import remap
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from mimicbrush.pictures.mask_geometry import mask_box

ABSOLUTE_TOLERANCE, RELATIVE_TOLERANCE = 0.5, 0.01
"""Tolerances of forward-backward consistency (Sundaram, Brox and Keutzer, 2010)."""
MAX_PARTS = 8
"""Parts of a pixel, each way, that are moved by themselves where an object is enlarged."""
RING = 2
"""Width in pixels of the surroundings that move with an object, so that its border is known from both sides."""
SUPPORT = 2
"""Pixels around a point that bicubic lookups and derivatives read."""
MIN_OPACITY = 1e-3
"""Smaller shares of a pixel are left by rounding."""
MAX_DIFFERENCE = 60.0
"""Largest difference of importance that counts: float32 cannot hold the weights of larger ones."""
MIN_WEIGHT, MIN_AREA = 1e-4, 1e-2
"""Smallest weight of what lands on a pixel, and smallest factor of areas, by which is divided."""
INSIDE = 1e-3
"""How far outside the picture, in pixels, a point may lie by rounding."""


def pixel_grid(height: int, width: int, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """Coordinates of all pixels, (1, 2, H, W): x, then y, like a flow."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([columns, rows])[None].to(dtype)


def warp_backward(picture: Tensor, flow: Tensor, *, mode: Literal["bilinear", "bicubic"] = "bilinear") -> Tensor:
    """Look up each pixel where its flow points to: output(x) = picture(x + flow(x)).

    picture: (B, C, H, W), the second picture; flow: (B, 2, H, W), from the first picture to the second. The result
    shows the second picture on the first one's grid. Points outside the picture take the nearest pixel.
    """
    target = pixel_grid(*flow.shape[2:], dtype=flow.dtype).to(flow.device) + flow
    warped = remap(picture, target[:, 0], target[:, 1], mode=mode, padding_mode="border", align_corners=True)
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
        # Only differences count; the largest weight is 1, so that nothing overflows.
        difference = importance - importance.amax(dim=(1, 2, 3), keepdim=True)
        weight = difference.clamp(min=-MAX_DIFFERENCE).exp().to(flow.dtype)
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


def move_layer(picture: Tensor, mask: Tensor, flow: Tensor) -> Tensor:
    """Cut an object out of a picture and move it along a flow: a layer (B, C + 1, H, W) of its colours and its opacity.

    picture: (B, C, H, W); mask: (B, 1, H, W), 1 on the object, between 0 and 1 where it is half transparent; flow:
    (B, 2, H, W), read where the mask is above 0.5. The flow is inverted, exactly where it is affine, and the object
    looked up bicubically: it has no gaps where it is enlarged, is averaged where it is shrunk, and keeps its exact
    colours where it is moved by whole pixels. Colours are 0 where the layer is transparent.
    """
    layer = torch.zeros_like(torch.cat([picture, picture[:, :1]], dim=1))
    if not (mask > 0).any():
        return layer
    rows, columns = _window(mask, flow)
    cropped = (each[:, :, rows, columns] for each in (picture, mask, flow))
    layer[:, :, rows, columns] = _move_layer(*cropped, limits=picture.aminmax())
    return layer


def _window(mask: Tensor, flow: Tensor) -> tuple[slice, slice]:
    """Rows and columns that hold an object before and after its motion; time and memory follow from their number."""
    height, width = flow.shape[2:]
    around = tuple(
        slice(max(0, side.start - RING - SUPPORT), min(length, side.stop + RING + SUPPORT))
        for side, length in zip(mask_box((mask > 0).any(dim=0)[0].cpu()), (height, width), strict=True)
    )
    near = _near(mask[:, :, *around].to(flow.dtype)) > 0
    target = pixel_grid(height, width, dtype=flow.dtype).to(flow.device)[:, :, *around] + _continue_flow(
        flow[:, :, *around], mask[:, :, *around]
    )
    window = []
    for side, places, length in zip(around, (target[:, 1:], target[:, :1]), (height, width), strict=True):
        # Perspective may take points to infinity.
        least, most = (float(place) for place in places[near].nan_to_num().clamp(0, length - 1).aminmax())
        window.append(slice(min(side.start, math.floor(least)), max(side.stop, math.ceil(most) + 1)))
    return tuple(window)


def _move_layer(picture: Tensor, mask: Tensor, flow: Tensor, *, limits: tuple[Tensor, Tensor]) -> Tensor:
    """Move a layer within its window; limits: the least and the greatest value of colours."""
    flow = _continue_flow(flow, mask)
    places, inverse, is_reached = _invert_flow(flow, mask)
    grid = pixel_grid(*flow.shape[2:], dtype=flow.dtype).to(flow.device)
    inside = mask.to(picture.dtype)
    # Opacity and colours times opacity, which are averaged as light is.
    cut = torch.cat([picture * inside, inside], dim=1)
    offsets = _sample_offsets(inverse, is_reached)
    looked_up = (
        warp_backward(cut, places - grid + right * inverse[:, ::2] + down * inverse[:, 1::2], mode="bicubic")
        for right, down in itertools.product(offsets, repeat=2)
    )
    layer = sum(looked_up) / len(offsets) ** 2
    opacity = (layer[:, -1:] * is_reached).clamp(max=1)
    opacity = torch.where(opacity > MIN_OPACITY, opacity, 0)
    colours = (layer[:, :-1] / opacity.clamp(min=MIN_OPACITY)).clamp(*limits)
    return torch.cat([torch.where(opacity > 0, colours, 0), opacity], dim=1)


def _sample_offsets(inverse: Tensor, is_reached: Tensor) -> list[float]:
    """Places inside a pixel, along each axis, at which an object is looked up: more than one where it is shrunk.

    inverse: the derivative of where the pixels come from, as in `_invert_flow`.
    """
    right, down = inverse[:, ::2].norm(dim=1, keepdim=True), inverse[:, 1::2].norm(dim=1, keepdim=True)
    steps = torch.maximum(right, down)[is_reached]
    # The median: at folds and at the border single derivatives are very large.
    count = min(MAX_PARTS, max(1, math.ceil(float(steps.median()) - 0.25))) if len(steps) else 1
    return [(number + 0.5) / count - 0.5 for number in range(count)]


def _invert_flow(flow: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Points (B, 2, H, W) that a flow moves to each pixel, their derivative, and whether any is moved there.

    The derivative (B, 4, H, W) holds the change of x to the right and down, then that of y; the last is (B, 1, H, W).
    The points are those of the object and of a ring around it. They are splatted with their places and the inverse of
    the motion's derivative; from the mean of those that land, one linear step leads to the middle of the pixel.
    """
    height, width = flow.shape[2:]
    num_parts = _count_parts(flow, mask)
    right, down = _derivatives(flow)
    determinant = right[:, :1] * down[:, 1:] - right[:, 1:] * down[:, :1]
    determinant = determinant.abs().clamp(min=MIN_AREA).copysign(determinant)
    inverse = torch.cat([down[:, 1:], -down[:, :1], -right[:, 1:], right[:, :1]], dim=1) / determinant
    near = _near(mask.to(flow.dtype))
    if num_parts > 1:
        flow, inverse = (F.interpolate(each, scale_factor=num_parts, mode="bilinear") for each in (flow, inverse))
        near = F.interpolate(near, scale_factor=num_parts)
    points = (pixel_grid(*flow.shape[2:], dtype=flow.dtype).to(flow.device) + 0.5) / num_parts - 0.5
    carried = torch.cat([points.expand_as(flow), points + flow, inverse, torch.ones_like(near)], dim=1)
    moved, landed = splat_forward(carried * near, num_parts * flow)
    # Back to sums: those of the parts of a pixel count together.
    sums = F.avg_pool2d(moved * landed, num_parts)
    is_reached = sums[:, -1:] > MIN_WEIGHT
    point, target, inverse = (sums[:, :-1] / sums[:, -1:].clamp(min=MIN_WEIGHT)).split([2, 2, 4], dim=1)
    step = pixel_grid(height, width, dtype=flow.dtype).to(flow.device) - target
    point = point + torch.stack([(inverse[:, :2] * step).sum(1), (inverse[:, 2:] * step).sum(1)], dim=1)
    return point, inverse, is_reached


def _near(mask: Tensor) -> Tensor:
    """The object with the ring around it."""
    return F.max_pool2d(mask, 2 * RING + 1, stride=1, padding=RING)


def _continue_flow(flow: Tensor, mask: Tensor) -> Tensor:
    """Continue the flow of the object beyond its border, linearly: by its change up to the nearest pixel inside."""
    return torch.stack(
        [_continue_field(field, inside.cpu()) for field, inside in zip(flow, mask[:, 0] > 0.5, strict=True)]
    )


def _continue_field(field: Tensor, inside: Tensor) -> Tensor:
    """Continue one field (2, H, W) beyond an object (H, W)."""
    if not inside.any():
        return field
    nearest = distance_transform_edt(~inside.numpy(), return_distances=False, return_indices=True)
    # The point as far inside as the pixel is outside; where it is not in the object, the flow stays constant.
    mirrored = 2 * nearest - np.indices(inside.shape)
    last = np.array(inside.shape)[:, None, None] - 1
    is_usable = ((mirrored >= 0) & (mirrored <= last)).all(axis=0)
    mirrored = torch.from_numpy(np.where(is_usable, mirrored, nearest))
    mirrored = torch.where(inside[*mirrored], mirrored, torch.from_numpy(nearest))
    return 2 * field[:, *torch.from_numpy(nearest)] - field[:, *mirrored]


def _count_parts(flow: Tensor, mask: Tensor) -> int:
    """Number of parts, each way, in which pixels must be moved so that some part lands on each pixel."""
    lengths = torch.cat([each.norm(dim=1, keepdim=True) for each in _derivatives(flow)], dim=1)
    return min(MAX_PARTS, max(1, math.ceil(float((lengths * (mask > 0.5)).max()) - 1e-3)))


def _derivatives(flow: Tensor) -> tuple[Tensor, Tensor]:
    """Where a step to the right, and one down, lead after the motion: (B, 2, H, W) each."""
    down, right = torch.gradient(flow, dim=(2, 3))
    step = torch.eye(2, dtype=flow.dtype, device=flow.device)[:, :, None, None]
    return right + step[0], down + step[1]

"""Boxes around the foreground in the frames and on its atlas, as Text2LIVE cuts them."""

from __future__ import annotations

import torch
from torch import Tensor

from mimicbrush.atlas.rendered_atlas import AtlasLayer, Box
from mimicbrush.errors import UserError


def frame_boxes(opacity: Tensor, *, threshold: float, border: int, smallest: int) -> list[Box]:
    """Boxes of the pixels of each frame whose opacity (T, 1, H, W) reaches a threshold, with a border around them.

    smallest: shortest side of a box, not above those of the frames. Raises UserError for a frame without such a pixel.
    """
    boxes = []
    for number, frame in enumerate(opacity[:, 0]):
        rows, columns = torch.nonzero(frame >= threshold, as_tuple=True)
        if not len(rows):
            raise UserError(
                f"frame {number + 1} shows no foreground: no opacity of the atlas reaches {threshold:g}; lower"
                " opacity_threshold, leave such frames out, or edit the background"
            )
        (top, height), (left, width) = (
            _side(int(places.min()), int(places.max()), length, border, smallest)
            for places, length in zip((rows, columns), frame.shape, strict=True)
        )
        boxes.append((top, left, height, width))
    return boxes


def atlas_box(layer: AtlasLayer, boxes: list[Box]) -> Box:
    """The box on a layer's atlas that holds the pixels of each frame's box."""
    return cover_points(*(cut(frame, box) for frame, box in zip(layer.points, boxes, strict=True)))


def cover_points(*points: Tensor) -> Box:
    """The smallest box in whole pixels that covers points (..., 2) of column and row."""
    flat = torch.cat([each.reshape(-1, 2) for each in points])
    left, top = (int(edge) for edge in flat.amin(dim=0).floor())
    right, bottom = (int(edge) for edge in flat.amax(dim=0).ceil())
    return top, left, bottom - top, right - left


def at_least(box: Box, smallest: int, size: tuple[int, int]) -> Box:
    """Grow a box to sides of at least `smallest` pixels within a picture of this height and width.

    Raises UserError if the picture is smaller than that.
    """
    if min(size) < smallest:
        raise UserError(
            f"the layer's atlas is {size[1]} x {size[0]} pixels, and the layer's network needs {smallest}; raise"
            " atlas_resolution, or lower num_scales"
        )
    (top, height), (left, width) = (
        _side(first, first + length, limit, 0, smallest)
        for first, length, limit in zip(box[:2], box[2:], size, strict=True)
    )
    return top, left, height, width


def cut(channels_last: Tensor, box: Box) -> Tensor:
    """Cut a box out of (H, W, C)."""
    top, left, height, width = box
    return channels_last[top : top + height, left : left + width]


def _side(first: int, last: int, length: int, border: int, smallest: int) -> tuple[int, int]:
    """Start and length of a box along one side; a short one grows to the end of the frame, or else to its start."""
    start, end = max(first - border, 0), min(last + border, length)
    if end - start < smallest:
        end = start + smallest
        if end > length:
            start, end = length - smallest, length
    return start, end - start

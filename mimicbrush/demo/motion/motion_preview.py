"""The preview of a motion, scaled down for the browser: the object, its plain warp, and the proposed edit mask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mimicbrush.flow.motion_fields import Motion, motion_field
from mimicbrush.flow.motion_masks import check_motion, propose_mask
from mimicbrush.flow.plain_warp import plain_warp
from mimicbrush.flow.worded_motions import Box, box_of, worded_motion
from mimicbrush.pictures.geometry import resize
from mimicbrush.pictures.writing import write_image

PREVIEW_SIDE = 512
"""Longer side of previews, in pixels: larger ones would be late."""
NUM_ARROWS = 7
"""About as many arrows along the longer side of the object."""

FlowOfObject = Callable[[Tensor], Tensor]
"""Makes the flow (1, 2, H, W) of an object from its mask (1, 1, H, W), of any size."""


class ObjectPreview(NamedTuple):
    """The object that is to move."""

    box: Box
    """Edges of its box, from the upper left corner of the picture."""
    cutout: Path
    """The object alone on a transparent picture."""


class MotionPreview(NamedTuple):
    """The object after its motion."""

    warped: Path
    """The picture with the object at its new place."""
    mask: Path
    """Opaque where pixels may change."""
    arrows: list[tuple[float, float, float, float]]
    """Part of the flow, in pixels of the picture: right and down, and by how much that point moves."""


def preview_object(picture: Tensor, mask: Tensor, folder: Path) -> ObjectPreview:
    """Cut out the object. picture: (3, H, W), scaled down; mask: (1, h, w), as large as the picture that is edited."""
    opacity = (_resized(mask, picture) > 0.5).to(picture)
    write_image(torch.cat([picture, opacity]), folder / "cutout.png")
    return ObjectPreview(Box(*(edge + 0.5 for edge in box_of(mask))), folder / "cutout.png")


def preview_motion(picture: Tensor, mask: Tensor, flow_of: FlowOfObject, folder: Path, *, margin: int) -> MotionPreview:
    """Warp a picture, and propose its edit mask; arguments as in `preview_object`.

    margin: pixels around the object and its new place that may change, in the picture that is edited. Raises UserError
    if the motion makes no sense.
    """
    small = (_resized(mask, picture) > 0.5).to(picture)[None]
    flow, scale = flow_of(small), picture.shape[2] / mask.shape[2]
    check_motion(flow)
    proposed = propose_mask(flow, margin=max(min(margin, 1), round(scale * margin)))[0]
    write_image(plain_warp(picture[None], flow)[0], folder / "warped.png")
    write_image(proposed.expand(4, -1, -1), folder / "proposed.png")
    return MotionPreview(folder / "warped.png", folder / "proposed.png", _arrows(flow, small[0, 0] > 0.5, scale))


def worded_flow_of(words: str, mask: Tensor) -> FlowOfObject:
    """The motion of words as a function of scaled masks; mask: (1, H, W), of the size that the words are meant for.

    Raises UserError for what is no motion.
    """
    motion, width = worded_motion(words, box_of(mask)), mask.shape[2]

    def flow_of(small: Tensor) -> Tensor:
        height, small_width = small.shape[2:]
        return motion_field(_scaled(motion, small_width / width), height, small_width, mask=small)

    return flow_of


def _scaled(motion: Motion, scale: float) -> Motion:
    """The same motion in a picture that is scaled; the middle of its first pixel is 0 in both."""
    return lambda points: (motion((points + 0.5) / scale - 0.5) + 0.5) * scale - 0.5


def _resized(mask: Tensor, picture: Tensor) -> Tensor:
    same = mask.shape[1:] == picture.shape[1:]
    return mask if same else resize(mask, *picture.shape[1:])


def _arrows(flow: Tensor, mask: Tensor, scale: float) -> list[tuple[float, float, float, float]]:
    """Sample the flow (1, 2, H, W) of an object (H, W) at about even distances."""
    left, top, right, bottom = box_of(mask)
    step = max(right - left, bottom - top) / NUM_ARROWS
    columns = torch.arange(left + step / 2, right, step).round().long()
    rows = torch.arange(top + step / 2, bottom, step).round().long()
    points = [(column, row) for row in rows.tolist() for column in columns.tolist() if mask[row, column]]
    return [
        tuple(round(value / scale, 1) for value in (column + 0.5, row + 0.5, *flow[0, :, row, column].tolist()))
        for column, row in points
    ]

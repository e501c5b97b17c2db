"""Dense nearest neighbours between the features of two frames, and the blend of latents along them (GenVideo, 2.4).

A field (2, h, w) holds, for each position of one frame, the position of its nearest neighbour in another frame: whole
numbers, x to the right, then y down.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 1024
"""Positions that are compared with the other frame at once: 16 MiB of similarities for 64 x 64 positions."""


class FrameFields(NamedTuple):
    """Nearest neighbours of one frame's positions in the frames beside it; None at the ends of a clip."""

    previous: Tensor | None
    following: Tensor | None


def nearest_field(features: Tensor, others: Tensor, *, chunk: int = CHUNK) -> Tensor:
    """Find, for each position of features (C, h, w), the position in others (C, h', w') at the least cosine distance.

    Of equally near positions the first in reading order is taken. chunk: positions that are compared at once.
    """
    height, width = features.shape[-2:]
    queries, keys = (F.normalize(each.float().flatten(1), dim=0) for each in (features, others))
    nearest = torch.cat([(part.T @ keys).argmax(dim=1) for part in queries.split(chunk, dim=1)])
    columns = others.shape[-1]
    return torch.stack([nearest % columns, nearest // columns]).reshape(2, height, width)


def neighbour_fields(features: Tensor, *, chunk: int = CHUNK) -> list[FrameFields]:
    """Find the nearest neighbours between consecutive frames of features (T, C, h, w)."""
    last = len(features) - 1
    return [
        FrameFields(
            previous=nearest_field(features[number], features[number - 1], chunk=chunk) if number else None,
            following=nearest_field(features[number], features[number + 1], chunk=chunk) if number < last else None,
        )
        for number in range(len(features))
    ]


def enlarge_field(field: Tensor, height: int, width: int) -> Tensor:
    """Refine a field (2, h, w) to (2, height, width): a position keeps its place within its coarse cell.

    On a grid twice as fine, (2 x + dx, 2 y + dy) leads to (2 x' + dx, 2 y' + dy). Places beyond the border are moved
    onto it.
    """
    coarse_height, coarse_width = field.shape[1:]
    columns, rows = (
        torch.arange(fine, device=field.device) * coarse // fine
        for fine, coarse in ((width, coarse_width), (height, coarse_height))
    )
    found = field[:, rows][:, :, columns]
    x = _first_of(found[0], width, coarse_width) + _place_in_cell(columns, width, coarse_width)
    y = _first_of(found[1], height, coarse_height) + _place_in_cell(rows, height, coarse_height)[:, None]
    return torch.stack([x.clamp(max=width - 1), y.clamp(max=height - 1)])


def follow_field(latent: Tensor, field: Tensor) -> Tensor:
    """Take, for each position, the value of a latent (C, h, w) at the place to which the field leads."""
    return latent[:, field[1], field[0]]


def blend_along_fields(
    latents: Tensor, fields: Sequence[FrameFields], mask: Tensor, *, weights: tuple[float, float, float]
) -> Tensor:
    """Blend each frame with its neighbours along the fields, where the mask is 1.

    latents: (T, C, h, w); mask: (T, 1, h, w) of 0 and 1; weights: of the previous, the same and the following frame. At
    the ends of the clip the weights that are left are scaled to sum to 1.
    """
    size = latents.shape[-2:]
    blended = []
    for number, around in enumerate(fields):
        taps = [(weights[1], latents[number])]
        for weight, field, neighbour in (
            (weights[0], around.previous, number - 1),
            (weights[2], around.following, number + 1),
        ):
            if field is not None and weight > 0:
                taps.append((weight, follow_field(latents[neighbour], enlarge_field(field, *size))))
        total = sum(weight for weight, _ in taps)
        # A frame without neighbours of any weight stays as it is.
        blended.append(sum(weight / total * tap for weight, tap in taps) if total > 0 else latents[number])
    return torch.where(mask > 0.5, torch.stack(blended), latents)


def _first_of(cells: Tensor, fine: int, coarse: int) -> Tensor:
    """First fine position of coarse cells."""
    return -(-cells * fine // coarse)


def _place_in_cell(cells: Tensor, fine: int, coarse: int) -> Tensor:
    """Number of each fine position within its coarse cell, from 0."""
    return torch.arange(fine, device=cells.device) - _first_of(cells, fine, coarse)

"""Draw the samples of a training batch."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mimicbrush.data.batch import AugmentedPairs, InpaintingBatch, augment, mask_augmented
from mimicbrush.data.config import BatchConfig
from mimicbrush.data.decode import PairBatch
from mimicbrush.pictures.geometry import blacken

HIDDEN_LEVEL, OPEN_LEVEL, PADDING_LEVEL = 0.92, 0.16, 0.32
HIDDEN_POINT, OPEN_POINT = (0.84, 0.37, 0.0), (0.34, 0.71, 0.91)
"""Colours of matched points under the mask and beside it: vermilion and sky blue of Okabe and Ito's palette."""
POINT_RADIUS = 0.012
"""Radius of a drawn point, as a share of the side."""


class SamplePreview(NamedTuple):
    """One sample of a batch."""

    panels: list[Tensor]
    """(3, S, S) each: augmented source, source without its masked part, mask with matched points, reference."""
    hidden_share: float
    """Hidden share of the picture, without padding."""
    num_points: int
    """Number of matched points in the picture; 0 if an object is hidden, as points do not matter then."""
    num_hidden_points: int
    """Number of these points that are hidden."""


def preview_batch(pairs: PairBatch, config: BatchConfig, generator: torch.Generator) -> list[SamplePreview]:
    """Draw each sample as `augment_and_mask` gives it with the same generator."""
    moved = augment(pairs, config.augment, generator)
    batch = mask_augmented(pairs, moved, config.mask, generator)
    return [_preview(moved, batch, number) for number in range(len(batch.mask))]


def _preview(moved: AugmentedPairs, batch: InpaintingBatch, number: int) -> SamplePreview:
    source, mask, reference, area, points = (
        part[number].cpu() for part in (batch.source, batch.mask, batch.reference, moved.area, moved.keypoints)
    )
    hidden, size = mask[0] > 0, mask.shape[-1]
    if moved.object_mask[number].any():
        points = points[:0]
    points = points[((points >= 0) & (points < 1)).all(dim=1)]
    columns, rows = (points * size).long().unbind(dim=1)
    is_hidden = hidden[rows, columns]
    painted = torch.where(hidden, HIDDEN_LEVEL, torch.where(area[0], OPEN_LEVEL, PADDING_LEVEL)).repeat(3, 1, 1)
    for colour, seen in ((OPEN_POINT, points[~is_hidden]), (HIDDEN_POINT, points[is_hidden])):
        painted = torch.where(_discs(seen, size), torch.tensor(colour)[:, None, None], painted)
    return SamplePreview(
        panels=[source, blacken(source[None], mask[None])[0], painted, reference],
        hidden_share=(hidden.sum() / area.sum().clamp(min=1)).item(),
        num_points=len(points),
        num_hidden_points=int(is_hidden.sum()),
    )


def _discs(points: Tensor, size: int) -> Tensor:
    """Mask (size, size) bool, True near a point."""
    centres = (torch.arange(size) + 0.5) / size
    x, y = points[:, 0, None, None], points[:, 1, None, None]
    near = torch.hypot(centres - x, centres[:, None] - y) <= max(POINT_RADIUS, 0.75 / size)
    return near.any(dim=0)

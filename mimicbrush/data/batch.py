"""From decoded pairs to training batches: augment and mask, on the device."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mimicbrush.data.augment import (
    paint_areas,
    random_colours,
    random_homographies,
    sampling_grid,
    warp_areas,
    warp_images,
    warp_points,
)
from mimicbrush.data.config import AugmentConfig, BatchConfig, MaskConfig
from mimicbrush.data.decode import PairBatch, to_float
from mimicbrush.data.masking import draw_masks
from mimicbrush.device import send


class AugmentedPairs(NamedTuple):
    """Pairs on the device after geometry and colour; all of the source's parts moved together."""

    source: Tensor
    """(B, 3, S, S) in [0, 1]; padding, and what the warp exposes, is 1."""
    reference: Tensor
    """(B, 3, S, S) in [0, 1]."""
    keypoints: Tensor
    """(B, K, 2): x, y in the source, in [0, 1]."""
    matches: Tensor
    """(B, K, 4): keypoints in source and reference; for a still, random points of it."""
    object_mask: Tensor
    """(B, 1, S, S) bool."""
    area: Tensor
    """(B, 1, S, S) bool: True on the source's picture, False on padding."""


class InpaintingBatch(NamedTuple):
    """A masked batch, on which the network trains and is evaluated."""

    source: Tensor
    """(B, 3, S, S) in [0, 1], also the training target."""
    mask: Tensor
    """(B, 1, S, S), 1 where the source is hidden."""
    reference: Tensor
    """(B, 3, S, S) in [0, 1]."""
    key: list[str]
    group: list[str]
    """Clip or photograph from which each pair comes; pairs of one group are not independent."""
    matches: Tensor
    """(B, K, 4): x, y of points in the source and of the same points in the reference, in [0, 1], or outside of it if a
    point was moved out of its picture; rows of NaN if there are fewer than K points. K may be 0."""


def augment_and_mask(pairs: PairBatch, config: BatchConfig, generator: torch.Generator) -> InpaintingBatch:
    """Draw augmentations and masks. Target, mask and keypoints all come from the same augmented source."""
    return mask_augmented(pairs, augment(pairs, config.augment, generator), config.mask, generator)


def augment(pairs: PairBatch, config: AugmentConfig, generator: torch.Generator) -> AugmentedPairs:
    """Draw geometry and colours of sources and references, independently.

    Colours change before the geometry and only on the picture: padding, and areas that a warp exposes, stay white.
    """
    num, size, device = len(pairs.source), pairs.source.shape[-1], pairs.source.device
    with _full_precision(pairs.source):
        maps = random_homographies(2 * num, config, generator)
        grid = sampling_grid(maps, size, device)
        images = to_float(torch.cat([pairs.source, pairs.reference]))
        area = paint_areas([*pairs.source_box, *pairs.reference_box], size, device)
        images = random_colours(images, config, generator, area=area).masked_fill_(~area, 1.0)
        source, reference = warp_images(images, grid, fill=1.0).chunk(2)
        matches = _matches(pairs, generator)
        return AugmentedPairs(
            source,
            reference,
            warp_points(pairs.keypoints[..., :2], maps[:num]),
            torch.cat([warp_points(matches[..., :2], maps[:num]), warp_points(matches[..., 2:], maps[num:])], dim=2),
            warp_images(pairs.object_mask.float(), grid[:num], fill=0.0) > 0.5,
            warp_areas(pairs.source_box, grid[:num]),
        )


def mask_augmented(
    pairs: PairBatch, moved: AugmentedPairs, config: MaskConfig, generator: torch.Generator
) -> InpaintingBatch:
    """Draw masks for augmented pairs."""
    with _full_precision(pairs.source):
        mask = draw_masks(moved.keypoints, moved.object_mask, moved.area, config, generator)
    return InpaintingBatch(
        source=moved.source,
        mask=mask.float(),
        reference=moved.reference,
        key=pairs.key,
        group=pairs.group,
        matches=moved.matches,
    )


def mask_pairs(pairs: PairBatch, config: MaskConfig, generator: torch.Generator) -> InpaintingBatch:
    """Draw masks for decoded pairs, without augmentation."""
    unmoved = AugmentedPairs(
        source=to_float(pairs.source),
        reference=to_float(pairs.reference),
        keypoints=pairs.keypoints[..., :2],
        matches=pairs.keypoints,
        object_mask=pairs.object_mask,
        area=paint_areas(pairs.source_box, pairs.source.shape[-1], pairs.source.device),
    )
    return mask_augmented(pairs, unmoved, config, generator)


def _matches(pairs: PairBatch, generator: torch.Generator) -> Tensor:
    """Matches (B, K, 4) before augmentation: keypoints, or random points of a still."""
    device, num_points = pairs.source.device, pairs.keypoints.shape[1]
    boxes = torch.tensor(pairs.source_box)[:, None] / pairs.source.shape[-1]
    top, left, height, width = boxes.unbind(dim=-1)
    drawn = torch.rand(len(boxes), num_points, 2, generator=generator)
    points = torch.stack([left + width * drawn[..., 0], top + height * drawn[..., 1]], dim=2)
    own = send(torch.cat([points, points], dim=2), device)
    return torch.where(pairs.is_still[:, None, None], own, pairs.keypoints)


def _full_precision(images: Tensor) -> torch.autocast:
    """Switch autocast off: products in bfloat16 would move points by up to two pixels of 512."""
    return torch.autocast(images.device.type, enabled=False)

"""From frame pairs to training batches: decode and collate in the worker; augment and mask on the device."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mimicbrush.data.augment import AugmentConfig, random_colours, random_homographies, warp_images, warp_points
from mimicbrush.data.masking import MaskConfig, grid_masks
from mimicbrush.data.shards import FramePair
from mimicbrush.imaging import Placement, letterbox

MAX_KEYPOINTS = 64
"""Matched keypoints handed to a batch per sample; more change no cell that matters."""


class PairBatch(NamedTuple):
    """Decoded pairs, padded to squares, before anything random is drawn on the device."""

    source: Tensor
    """(B, 3, S, S) in [0, 1], white padding."""
    reference: Tensor
    """(B, 3, S, S) in [0, 1]; equal to the source where the pair is a still's."""
    keypoints: Tensor
    """(B, K, 2): x, y of matched keypoints in the square source, in [0, 1]; NaN where there are fewer."""
    object_mask: Tensor
    """(B, 1, S, S): one object of the source; all zero where a grid mask is to be drawn."""
    key: list[str]
    group: list[str]
    position: list[int]
    """Places in the order of all samples that the run ever sees: what is drawn for a batch depends on them alone."""
    skipped: list[str]
    """Keys of damaged samples in whose stead others stand here."""


class InpaintingBatch(NamedTuple):
    """What the network trains on and is judged on."""

    source: Tensor
    """(B, 3, S, S) in [0, 1], also the training target."""
    mask: Tensor
    """(B, 1, S, S), 1 where the source is hidden."""
    reference: Tensor
    """(B, 3, S, S) in [0, 1]."""
    key: list[str]
    group: list[str]
    """What a pair comes from, a clip or a photograph: pairs of one group are not independent."""


@dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """What is drawn anew for every batch."""

    mask: MaskConfig = field(default_factory=MaskConfig)
    """Grid masks."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """Geometry and colour, of source and reference independently."""


def decode_pair(
    pair: FramePair, size: int, rng: random.Random, *, position: int = 0, skipped: Sequence[str] = ()
) -> PairBatch:
    """One pair as a batch of one: pictures padded to white squares, keypoints moved along, an object mask chosen."""
    source, box = letterbox(decode_image(pair.source, "RGB"), size, fill=1.0)
    reference = source if pair.reference is None else letterbox(decode_image(pair.reference, "RGB"), size, fill=1.0)[0]
    if pair.masks:
        object_mask = letterbox(decode_image(rng.choice(pair.masks), "L"), size, fill=0.0)[0]
    else:
        object_mask = torch.zeros(1, size, size)
    return PairBatch(
        source=source[None],
        reference=reference[None],
        keypoints=_square_keypoints(pair.keypoints, box, size, rng)[None],
        object_mask=(object_mask[None] > 0.5).float(),
        key=[pair.key],
        group=[str(pair.origin.get("group", pair.key))],
        position=[position],
        skipped=list(skipped),
    )


def collate(samples: Sequence[PairBatch]) -> PairBatch:
    """Join batches of one."""
    return PairBatch(
        source=torch.cat([sample.source for sample in samples]),
        reference=torch.cat([sample.reference for sample in samples]),
        keypoints=torch.cat([sample.keypoints for sample in samples]),
        object_mask=torch.cat([sample.object_mask for sample in samples]),
        key=[key for sample in samples for key in sample.key],
        group=[group for sample in samples for group in sample.group],
        position=[position for sample in samples for position in sample.position],
        skipped=[key for sample in samples for key in sample.skipped],
    )


def augment_and_mask(pairs: PairBatch, config: BatchConfig, generator: torch.Generator) -> InpaintingBatch:
    """Draw augmentations and masks. Target, mask and keypoints all come from the same augmented source."""
    num = len(pairs.source)
    source_map, reference_map = random_homographies(2 * num, config.augment, generator).chunk(2)
    source = random_colours(warp_images(pairs.source, source_map, fill=1.0), config.augment, generator)
    reference = random_colours(warp_images(pairs.reference, reference_map, fill=1.0), config.augment, generator)
    keypoints = warp_points(pairs.keypoints, source_map)
    object_mask = (warp_images(pairs.object_mask, source_map, fill=0.0) > 0.5).float()
    return mask_pairs(
        pairs._replace(source=source, reference=reference), keypoints, object_mask, config.mask, generator
    )


def mask_pairs(
    pairs: PairBatch, keypoints: Tensor, object_mask: Tensor, config: MaskConfig, generator: torch.Generator
) -> InpaintingBatch:
    """Object masks where there are any, grid masks elsewhere."""
    grid = grid_masks(keypoints.cpu(), pairs.source.shape[-1], config, generator).to(object_mask)
    # An object that the augmentation moved out of the picture leaves an empty mask: draw a grid instead.
    has_object = object_mask.flatten(1).any(dim=1)
    mask = torch.where(has_object[:, None, None, None], object_mask, grid)
    return InpaintingBatch(pairs.source, mask, pairs.reference, pairs.key, pairs.group)


def decode_image(encoded: bytes, mode: Literal["RGB", "L"]) -> Tensor:
    """(3, H, W), or (1, H, W) for L, in [0, 1]."""
    with Image.open(io.BytesIO(encoded)) as image:
        array = np.array(image.convert(mode), dtype=np.float32) / 255
    return torch.from_numpy(array if array.ndim == 3 else array[..., None]).permute(2, 0, 1)


def _square_keypoints(
    keypoints: list[tuple[float, float, float, float]], box: Placement, size: int, rng: random.Random
) -> Tensor:
    """Source points of the picture -> points of its padded square, at most MAX_KEYPOINTS, filled up with NaN."""
    chosen = rng.sample(keypoints, MAX_KEYPOINTS) if len(keypoints) > MAX_KEYPOINTS else keypoints
    square = torch.full((MAX_KEYPOINTS, 2), float("nan"))
    for number, (x, y, *_) in enumerate(chosen):
        square[number] = torch.tensor([(box.left + x * box.width) / size, (box.top + y * box.height) / size])
    return square

"""The draw of random masks over the source (paper, sections 3.3 and 4.1).

Pictures are padded to white squares, and no mask covers padding: the mask of an edit never does (the release pads masks
with zeros), and the network learns nothing from repainting white. The loss covers the whole square nevertheless, as in
the paper, because a sampler has to denoise the padding too.

Every mask hides a part of the picture and leaves another part visible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from mimicbrush.data.config import MaskConfig
from mimicbrush.data.grid_masks import grid_masks
from mimicbrush.data.mask_batches import per_sample
from mimicbrush.data.object_masks import boxed_objects, exact_objects, rough_objects
from mimicbrush.data.shape_masks import box_masks, brush_masks

DrawMasks = Callable[[Tensor, torch.Generator], Tensor]
"""Draws masks (B, 1, S, S) for pictures or objects (B, 1, S, S)."""

FRAME_MASKS: dict[str, DrawMasks] = {"box_share": box_masks, "brush_share": brush_masks}
"""Share in `MaskConfig` -> masks of pairs of frames, drawn in the pictures. Grids (`grid_share`) are not listed: they
need keypoints, and one is drawn for every sample, as the mask that is always usable."""
OBJECT_MASKS: dict[str, DrawMasks] = {
    "exact_object_share": exact_objects,
    "rough_object_share": rough_objects,
    "boxed_object_share": boxed_objects,
}
"""Share in `MaskConfig` -> masks of stills, drawn from their objects."""
MIN_PART = 0.01
"""Smallest share of the picture that any mask but a grid hides, and that it leaves visible; less would vanish in a
latent."""


def draw_masks(
    keypoints: Tensor, object_mask: Tensor, area: Tensor, config: MaskConfig, generator: torch.Generator
) -> Tensor:
    """Draw one mask per sample: (B, 1, S, S) bool, True where the source is hidden.

    keypoints: (B, K, 2), x and y in [0, 1] of the square source; rows of NaN and points outside are ignored.
    object_mask: (B, 1, S, S) bool, all False if there is no object. area: (B, 1, S, S) bool, True on the picture and
    False on its padding.
    """
    masks = [grid_masks(keypoints, area, config, generator)]
    kind = _draw_kinds(len(area), config, ("grid_share", *FRAME_MASKS), generator)
    for number, (share, draw) in enumerate(FRAME_MASKS.items(), start=1):
        if getattr(config, share):
            masks.append(draw(area, generator) & per_sample(kind == number, area))
    objects = object_mask & area
    masks += [objects, shape_objects(objects, area, config, generator)]
    return _last_usable(masks, area)


def shape_objects(objects: Tensor, area: Tensor, config: MaskConfig, generator: torch.Generator) -> Tensor:
    """Draw for each object (B, 1, S, S) one kind of OBJECT_MASKS."""
    kind = _draw_kinds(len(area), config, OBJECT_MASKS, generator)
    shaped = objects
    for number, draw in enumerate(OBJECT_MASKS.values()):
        shaped = torch.where(per_sample(kind == number, area), draw(objects, generator) & area, shaped)
    return shaped


def _draw_kinds(num: int, config: MaskConfig, names: Iterable[str], generator: torch.Generator) -> Tensor:
    """Draw (num,) indices into the config's shares of these names, in proportion to them, on the CPU."""
    shares = torch.tensor([getattr(config, name) for name in names], dtype=torch.float32)
    return torch.multinomial(shares, num, replacement=True, generator=generator)


def _last_usable(masks: Sequence[Tensor], area: Tensor) -> Tensor:
    """For each sample the last mask that hides MIN_PART of the picture and leaves as much visible; else the first."""
    chosen, whole = masks[0], area.sum(dim=(1, 2, 3))
    for mask in masks[1:]:
        hidden = mask.sum(dim=(1, 2, 3))
        usable = (hidden >= MIN_PART * whole) & (whole - hidden >= MIN_PART * whole) & (hidden > 0)
        chosen = torch.where(per_sample(usable, area), mask, chosen)
    return chosen

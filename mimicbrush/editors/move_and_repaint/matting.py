"""Cut an object out along its outline: how opaque it is at its border, and its colours without the background's."""

from __future__ import annotations

from typing import NamedTuple

import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from mimicbrush.pictures.classical_inpainting import fill_hole
from mimicbrush.pictures.mask_geometry import grow

CONTRAST = 0.05
"""Squared distance of the object's colour and the background's at which the estimated opacity counts half."""
HALF = 0.5
"""Opacity at the outline: inside it the object prevails, and outside the background."""


class Cutout(NamedTuple):
    """An object, cut out of its picture."""

    colours: Tensor
    """(1, 3, H, W), of the object alone; they mean nothing where it is transparent."""
    opacity: Tensor
    """(1, 1, H, W) in [0, 1]."""


def cut_out(source: Tensor, object_mask: Tensor, *, margin: int) -> Cutout:
    """Estimate an object's opacity, and its colours, within `margin` pixels of its outline.

    source: (1, 3, H, W); object_mask: (1, 1, H, W) of bool, the hard mask. A pixel of the border mixes two colours:
    that of the nearest pixel well inside, and that of the background, continued from outside. Its opacity is where the
    pixel lies between them. Where the two are alike, the hard mask decides; its pixels are half opaque or more, others
    less.
    """
    inside, outside = ~grown(~object_mask, margin), ~grown(object_mask, margin)
    if not inside.any() or not outside.any():
        return Cutout(source, object_mask.to(source.dtype))
    pure, background = _nearest(source, inside), fill_hole(source[0], ~outside[0, 0])[None]
    contrast = (pure - background).square().sum(dim=1, keepdim=True)
    share = ((source - background) * (pure - background)).sum(dim=1, keepdim=True) / contrast.clamp(min=1e-6)
    trust = contrast / (contrast + CONTRAST)
    opacity = trust * share.clamp(0, 1) + (1 - trust) * object_mask
    opacity = torch.where(object_mask, opacity.clamp(min=HALF), opacity.clamp(max=HALF))
    opacity = torch.where(inside, 1.0, torch.where(outside, 0.0, opacity))
    # Little can be told of the object's colour where it is mostly transparent.
    unmixed = ((source - (1 - opacity) * background) / opacity.clamp(min=HALF)).clamp(0, 1)
    return Cutout(torch.where(opacity >= HALF, unmixed, pure), opacity)


def grown(mask: Tensor, reach: int) -> Tensor:
    """Dilate a mask (1, 1, H, W) of bool by `reach` pixels in each direction."""
    return torch.from_numpy(grow(mask[0, 0].cpu().numpy(), reach))[None, None].to(mask.device)


def _nearest(source: Tensor, inside: Tensor) -> Tensor:
    """Each pixel's nearest colour inside a mask."""
    hidden = ~inside[0, 0].cpu().numpy()
    rows, columns = distance_transform_edt(hidden, return_distances=False, return_indices=True)
    return source[:, :, torch.from_numpy(rows), torch.from_numpy(columns)]

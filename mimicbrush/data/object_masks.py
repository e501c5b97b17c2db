"""Masks of the objects of stills: their exact outline, a rough one, or their bounding box."""

from __future__ import annotations

import kornia
import torch
import torch.nn.functional as F
from torch import Tensor

from mimicbrush.data.mask_batches import COARSE, bounding_box, enlarge
from mimicbrush.device import send

OUTLINE_BLURS = 0.008, 0.04
"""Smallest and largest standard deviation, as a share of the side, of the blur that roughens an object's outline. The
blurred object is thresholded anew and grows by up to two standard deviations."""
OUTLINE_LEVELS = 0.02, 0.5
"""Smallest and largest threshold for the blurred object; 0.5 gives its own outline."""
NUM_WAVES = 12
"""Number of independent thresholds along a side; more make outlines rougher."""


def exact_objects(objects: Tensor, generator: torch.Generator) -> Tensor:
    """Return the objects (B, 1, S, S) as they are; nothing is drawn."""
    return objects


def rough_objects(objects: Tensor, generator: torch.Generator) -> Tensor:
    """Grow objects (B, 1, S, S) unevenly: blur them, and threshold them at levels that vary over the picture.

    The result contains the objects. The release dilates and erodes patches one by one, up to 250 times a picture, which
    would be slow for a batch on a GPU.
    """
    size, coarse = objects.shape[-1], min(COARSE, objects.shape[-1])
    blur = torch.rand(len(objects), 1, generator=generator)
    level = torch.rand(len(objects), 1, NUM_WAVES, NUM_WAVES, generator=generator)
    blur = coarse * (OUTLINE_BLURS[0] + (OUTLINE_BLURS[1] - OUTLINE_BLURS[0]) * blur)
    # The kernel is made on the CPU: kornia's own blur reads the deviations, for which the host would wait.
    kernel = kornia.filters.get_gaussian_kernel1d(2 * int(3 * OUTLINE_BLURS[1] * coarse) + 1, blur)
    kernel = send(kernel, objects.device)
    small = F.interpolate(objects.float(), (coarse, coarse), mode="area")
    blurred = kornia.filters.filter2d_separable(small, kernel, kernel, border_type="replicate")
    level = OUTLINE_LEVELS[0] + (OUTLINE_LEVELS[1] - OUTLINE_LEVELS[0]) * enlarge(send(level, objects.device), coarse)
    return (enlarge(blurred - level, size) > 0) & objects.flatten(1).any(dim=1)[:, None, None, None] | objects


def boxed_objects(objects: Tensor, generator: torch.Generator) -> Tensor:
    """Return the filled bounding boxes of the objects (B, 1, S, S); nothing is drawn."""
    return bounding_box(objects)

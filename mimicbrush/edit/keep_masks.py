"""Masks of what is kept, as the release of Motion Guidance has them, turned into masks of what may change."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from mimicbrush.errors import UserError
from mimicbrush.flow.motion_masks import edit_mask_of_keep_mask
from mimicbrush.pictures.conversion import mask_levels
from mimicbrush.pictures.edit_inputs import as_mask
from mimicbrush.tensor_files import torch_load

RELEASED_SUFFIX = ".pth"
"""Suffix of the release's masks; others are pictures."""
STRIDE = 8
"""Pixels a side of a latent position of Stable Diffusion, for which the release's masks are made."""


def read_latent_mask(path: Path) -> Tensor:
    """Read the release's mask of latents, bool (1, C, h, w), as pixels (1, 8 h, 8 w), 1 where all channels are kept."""
    found = torch_load(path)
    if not isinstance(found, Tensor) or found.dtype != torch.bool or found.ndim != 4 or len(found) != 1:
        shape = f"{found.dtype} {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
        raise UserError(f"{path} holds {shape}, expected a mask of latents, bool (1, 4, H / 8, W / 8), or a picture")
    kept = found.all(dim=1).float()
    return kept.repeat_interleave(STRIDE, dim=1).repeat_interleave(STRIDE, dim=2)


def as_inverted_mask(drawn: Tensor, pixels: Tensor, *, name: str, of: str) -> Tensor:
    """Convert a mask that is white where the source is kept to (1, H, W), 1 where pixels may change."""
    if not mask_levels(drawn).any():
        raise UserError(f"{name} is all black, so nothing is kept; paint what is kept white, or leave it out")
    kept = as_mask(drawn, pixels, name=name, of=of)
    if kept.all():
        raise UserError(f"{name} is all white, so nothing may change; white marks what is kept, paint the rest black")
    return edit_mask_of_keep_mask(kept)

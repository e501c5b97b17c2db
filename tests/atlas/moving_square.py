"""A clip whose layers are known, and its atlas with exact maps and opacities."""

from __future__ import annotations

import torch

from mimicbrush.atlas.first_motion import first_atlas
from mimicbrush.atlas.grid_atlas import GridAtlas
from mimicbrush.atlas.training_clip import TrainingClip

STEP = 3
"""Pixels by which the square moves from frame to frame."""


def moving_square(side: int, rows: slice, *, num_columns: int, num_frames: int = 4) -> TrainingClip:
    """A red square that begins at column 2 and moves over a still, blue ramp."""
    ramp = torch.linspace(0.2, 0.8, side).expand(3, side, side) * torch.tensor([0.2, 0.5, 1.0])[:, None, None]
    frames, masks, flows = [], [], []
    for number in range(num_frames):
        mask = torch.zeros(1, side, side)
        mask[:, rows, square_columns(number, num_columns)] = 1
        frames.append(torch.lerp(ramp, torch.tensor([0.9, 0.1, 0.1])[:, None, None], mask))
        masks.append(mask)
        flows.append(torch.cat([STEP * mask, 0 * mask]))
    reliable = torch.ones(num_frames - 1, 1, side, side, dtype=torch.bool)
    return TrainingClip(torch.stack(frames), torch.stack(masks), torch.stack(flows[:-1]), reliable)


def square_columns(frame: int, num_columns: int) -> slice:
    return slice(2 + STEP * frame, 2 + STEP * frame + num_columns)


def exact_atlas(clip: TrainingClip) -> GridAtlas:
    """Its atlas; the colours are not trained."""
    network = first_atlas(clip)
    network.opacities.grids[0].data = 40 * clip.masks.permute(1, 0, 2, 3)[None] - 20
    return network.requires_grad_(False)

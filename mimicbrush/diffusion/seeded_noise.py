"""Noise from seeds: the same on every device, and in a batch as for a single picture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def seeded_generators(seeds: list[int]) -> list[torch.Generator]:
    """Make one generator per row, on the CPU, so that a batch and single edits draw the same noise on every device."""
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def draw_rows(shape: Sequence[int], generators: Sequence[torch.Generator]) -> Tensor:
    """Draw noise (B, *shape), each row from its generator; rows that share a generator draw from it in turn."""
    return torch.stack([torch.randn(*shape, generator=generator, device=generator.device) for generator in generators])

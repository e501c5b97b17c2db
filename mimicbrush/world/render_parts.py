"""Rendered training data in parts on disk, so that an interrupted training does not render again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from mimicbrush.files import whole
from mimicbrush.progress import progress_bar

PART = 1000
"""Samples in a file."""


def render_parts(
    folder: Path, name: str, num: int, draw_sample: Callable[[int], Mapping[str, ArrayLike]]
) -> dict[str, Tensor]:
    """Draw samples 0 to num - 1, or read those that an earlier call left in the folder; each field is stacked.

    draw_sample: computes a sample's fields from its number alone, always with the same names, types and shapes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    columns: dict[str, list[Tensor]] = {}
    for first in progress_bar(range(0, num, PART), desc=f"{name} renders", unit="thousand"):
        last = min(first + PART, num)
        path = folder / f"{name}_{first:06d}_{last:06d}.npz"
        if not path.is_file():
            samples = [draw_sample(number) for number in progress_bar(range(first, last), unit="render", leave=False)]
            fields = {field: np.stack([np.asarray(sample[field]) for sample in samples]) for field in samples[0]}
            with whole(path) as partial, partial.open("wb") as file:
                np.savez(file, **fields)
        with np.load(path) as arrays:
            for field in arrays.files:
                columns.setdefault(field, []).append(torch.from_numpy(arrays[field]))
    return {field: torch.cat(parts) for field, parts in columns.items()}

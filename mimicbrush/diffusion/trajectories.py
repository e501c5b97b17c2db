"""Stored trajectories: the noisy latents of an inversion, in a file of this project or in a folder of the release."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mimicbrush.errors import UserError, first_line
from mimicbrush.files import whole
from mimicbrush.tensor_files import torch_load

KEY = "latents"
RELEASED_FILES = "zt.*.pth"
"""Names of the release's files, one for each step; zt.00000.pth is the noisiest."""


def save_trajectory(latents: Tensor, path: Path) -> None:
    """Write latents (N, T, C, h, w) of T frames, noisiest first, as a file of safetensors."""
    with whole(path) as partial:
        save_file({KEY: latents.contiguous().cpu()}, partial)


def load_trajectory(path: Path, *, num_frames: int = 1) -> Tensor:
    """Read latents (N, T, C, h, w), noisiest first, from a file of `save_trajectory` or a folder of the release.

    Raises UserError where there are none, or where they are damaged.
    """
    latents = _read_folder(path) if path.is_dir() else _read_file(path)
    if latents.ndim != 5 or latents.shape[1] != num_frames or not latents.isfinite().all():
        raise UserError(f"{path}: latents are {tuple(latents.shape)}, expected finite ones (N, {num_frames}, C, h, w)")
    return latents


def _read_file(path: Path) -> Tensor:
    if not path.is_file():
        raise UserError(f"{path}: no such trajectory; give a file of save_trajectory, or the release's folder latents")
    try:
        return load_file(path)[KEY]
    except (SafetensorError, KeyError) as error:
        raise UserError(f"{path}: not a trajectory ({first_line(error)}); store it again") from None


def _read_folder(folder: Path) -> Tensor:
    paths = sorted(folder.glob(RELEASED_FILES))
    if not paths:
        raise UserError(f"{folder} holds no {RELEASED_FILES}, one for each step, as the release's folder latents does")
    latents = [torch_load(path) for path in paths]
    if not all(isinstance(latent, Tensor) and latent.shape == latents[0].shape for latent in latents):
        raise UserError(f"{folder}: its files hold no tensors of one shape, expected latents (1, C, h, w)")
    return torch.stack([latent.float() for latent in latents])

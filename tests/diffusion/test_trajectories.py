from __future__ import annotations

import pytest
import torch

from mimicbrush.diffusion.trajectories import load_trajectory, save_trajectory
from mimicbrush.errors import UserError


def test_a_stored_trajectory_is_read_as_it_was(tmp_path):
    latents = torch.randn(3, 1, 4, 2, 2)
    save_trajectory(latents, tmp_path / "latents.safetensors")
    assert torch.equal(load_trajectory(tmp_path / "latents.safetensors"), latents)


def test_a_folder_of_the_release_is_read_noisiest_first(tmp_path):
    latents = torch.randn(11, 1, 4, 2, 2)
    for number, latent in enumerate(latents):
        torch.save(latent, tmp_path / f"zt.{number:05d}.pth")
    assert torch.equal(load_trajectory(tmp_path), latents)


def test_what_is_no_trajectory_is_named(tmp_path):
    with pytest.raises(UserError, match="holds no zt"):
        load_trajectory(tmp_path)
    with pytest.raises(UserError, match="no such trajectory"):
        load_trajectory(tmp_path / "latents.safetensors")
    (tmp_path / "damaged.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"damaged.safetensors: not a trajectory"):
        load_trajectory(tmp_path / "damaged.safetensors")
    save_trajectory(torch.randn(3, 4, 2, 2), tmp_path / "flat.safetensors")
    with pytest.raises(UserError, match=r"latents are \(3, 4, 2, 2\), expected finite ones"):
        load_trajectory(tmp_path / "flat.safetensors")

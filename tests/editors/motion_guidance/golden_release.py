"""Golden numbers of the released editor, and its networks, whose weights follow from their names."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from mimicbrush.diffusion.config import ScheduleConfig
from mimicbrush.editors.motion_guidance.prior import LatentPrior
from mimicbrush.flow.config import RAFT_LARGE
from mimicbrush.flow.raft import Raft
from tests.conftest import REPOSITORY
from tests.flow.fill_rule import fill

COPY = REPOSITORY / "tests" / "assets" / "golden" / "motion_guidance"
FOLDER = Path(os.environ.get("MOTION_GUIDANCE_GOLDEN") or COPY)


def read_json(name: str) -> dict:
    return json.loads(path_of(name).read_text(encoding="utf-8"))


def read_arrays(name: str) -> dict[str, Tensor]:
    with np.load(path_of(name)) as arrays:
        return {key: torch.from_numpy(value) for key, value in arrays.items()}


def path_of(name: str) -> Path:
    """Path of a golden file; what another folder lacks is skipped, the committed copy is to be whole."""
    path = FOLDER / name
    if not path.is_file():
        (pytest.fail if FOLDER == COPY else pytest.skip)(f"{FOLDER} lacks {name}")
    return path


def run_names() -> list[str]:
    """Names of the recorded sampling runs."""
    path = FOLDER / "runs.json"
    return list(json.loads(path.read_text(encoding="utf-8"))["runs"]) if path.is_file() else ["cached"]


def make_prior() -> LatentPrior:
    """Stable Diffusion's parts in the golden sizes."""
    stack, salt = read_json("stack_config.json"), read_json("runs.json")["salt"]
    parts = {
        "unet": UNet2DConditionModel(**stack["unet"]),
        "vae": AutoencoderKL(**stack["vae"]),
        "text": CLIPTextModel(CLIPTextConfig(**stack["text"])),
    }
    for name, part in parts.items():
        fill(part, f"{salt}/{name}", gain=stack["gain"][name])
    schedule = {name: stack[name] for name in ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule")}
    return LatentPrior(parts["unet"], parts["vae"], text_encoder=parts["text"], schedule=ScheduleConfig(**schedule))


def make_flow_network(mode: str) -> Raft:
    """RAFT large in the mode `train` or `eval`."""
    runs = read_json("runs.json")
    raft = Raft(RAFT_LARGE, runs["raft_iterations_in_guidance"])
    fill(raft, runs["salt"])
    return raft.requires_grad_(False).train(mode == "train")


def assert_close(found: Tensor, expected: Tensor, tolerance: float, about: str = "") -> None:
    """Compare relative to the largest expected value."""
    assert found.shape == expected.shape, about
    largest = max(expected.abs().max().item(), 1e-12)
    difference = (found.detach() - expected).abs().max().item() / largest
    print(f"{about}: largest difference, relative: {difference:.1e}")
    assert difference <= tolerance, about

"""RAFT computes what the official code computed: flows of each iteration, features, and gradients.

MOTION_GUIDANCE_GOLDEN names another folder of golden numbers; sizes, batch and iterations come from its arrays.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from mimicbrush.flow.config import RAFT_LARGE, RAFT_SMALL
from mimicbrush.flow.raft import Raft
from tests.conftest import REPOSITORY
from tests.flow.fill_rule import fill

COPY = REPOSITORY / "tests" / "assets" / "golden" / "motion_guidance"
FOLDER = Path(os.environ.get("MOTION_GUIDANCE_GOLDEN") or COPY)
RUNS = {
    "raft_small": (RAFT_SMALL, False),
    "raft_large": (RAFT_LARGE, False),
    "raft_large_train": (RAFT_LARGE, True),
}
"""File of golden numbers -> sizes of the network, and whether it runs in training mode."""
TARGET = (3.0, -2.0)
"""Flow in pixels from which the golden loss measures the distance."""
FLOW_TOLERANCE = 1e-4
"""Pixels, for flows of up to 30 pixels; for larger ones, in proportion."""


class Run(NamedTuple):
    """Golden arrays, and what the network of this package computes from their pictures."""

    golden: dict[str, np.ndarray]
    flow_low: list[Tensor]
    flow_up: list[Tensor]
    feature1: Tensor
    loss: Tensor
    gradient: Tensor
    raft: Raft


def lacks(reason: str) -> None:
    """Skip what another folder lacks; the committed copy is to be whole."""
    (pytest.fail if FOLDER == COPY else pytest.skip)(reason)


@pytest.fixture(scope="module", params=RUNS)
def run(request) -> Run:
    path, salts = FOLDER / f"{request.param}.npz", FOLDER / "runs.json"
    for needed in (path, salts):
        if not needed.is_file():
            lacks(f"{FOLDER} lacks {needed.name}")
    config, is_training = RUNS[request.param]
    with np.load(path) as arrays:
        golden = dict(arrays)
    num_iterations = max([len(golden.get("flow_low", ())), *recorded_iterations(golden)])
    lacking = {"image1", "image2"} - golden.keys()
    if lacking or not num_iterations:
        lacks(f"{path} lacks {', '.join(sorted(lacking)) or 'flow_low and flow_up_N'}")
    raft = Raft(config, num_iterations)
    fill(raft, json.loads(salts.read_text(encoding="utf-8"))["raft_salt"])
    return compute(raft.train(is_training), golden)


def recorded_iterations(golden: dict[str, np.ndarray]) -> list[int]:
    """Numbers of the iterations whose flow is recorded in pixels."""
    return [int(found[1]) for name in golden if (found := re.fullmatch(r"flow_up_(\d+)", name))]


def compute(raft: Raft, golden: dict[str, np.ndarray]) -> Run:
    first, second = (torch.from_numpy(golden[name]).float() / 255 for name in ("image1", "image2"))
    second.requires_grad_()
    iterations = list(raft.iterate(first, second))
    flow_up = [raft.upsample(iteration, first) for iteration in iterations]
    loss = (flow_up[-1] - torch.tensor(TARGET).reshape(1, 2, 1, 1)).abs().mean()
    (gradient,) = torch.autograd.grad(loss, second)
    with torch.no_grad():
        # The feature encoder normalises each picture by itself, in either mode.
        feature1 = raft.fnet(first * 2 - 1)[:, ::16]
    flow_low = [iteration.flow for iteration in iterations]
    return Run(golden, flow_low, flow_up, feature1, loss, gradient / 255, raft)


def array(run: Run, name: str) -> Tensor:
    if name not in run.golden:
        lacks(f"the file lacks {name}")
    return torch.from_numpy(np.asarray(run.golden[name]))


def assert_close(found: Tensor, expected: Tensor, tolerance: float) -> None:
    """Compare relative to the largest expected value."""
    assert found.shape == expected.shape
    difference = (found.detach() - expected).abs().max().item() / expected.abs().max().item()
    print(f"largest difference, relative: {difference:.1e}")
    assert difference <= tolerance


def assert_same_flow(found: Tensor, expected: Tensor) -> None:
    """Compare flows in pixels."""
    assert found.shape == expected.shape
    difference = (found.detach() - expected).abs().max().item()
    print(f"largest difference: {difference:.1e} of {expected.abs().max():.1f} pixels")
    assert difference <= FLOW_TOLERANCE * max(1.0, expected.abs().max().item() / 30)


def test_flow_of_the_cells_after_each_iteration(run):
    expected = array(run, "flow_low")
    assert len(run.flow_low) == len(expected) > 0
    for found, each in zip(run.flow_low, expected, strict=True):
        stride = run.raft.config.stride
        assert_same_flow(found * stride, each * stride)


def test_flow_of_the_pixels_after_each_recorded_iteration(run):
    numbers = recorded_iterations(run.golden)
    if not numbers:
        pytest.skip("the file lacks flow_up_1, flow_up_2, ...")
    for number in numbers:
        assert_same_flow(run.flow_up[number - 1], array(run, f"flow_up_{number}"))


def test_features_of_the_first_picture(run):
    assert_close(run.feature1, array(run, "feature1_every16"), 1e-4)


def test_loss_of_the_last_flow(run):
    assert_close(run.loss, array(run, "loss"), 1e-5)


def test_gradient_by_the_second_picture(run):
    assert_close(run.gradient, array(run, "grad_image2"), 2e-2)


@pytest.mark.parametrize("statistic", ["mean", "var"])
def test_training_mode_updates_the_running_averages(run, statistic):
    if not run.raft.training:
        pytest.skip("eval mode leaves them unchanged")
    expected = array(run, f"cnet_norm1_running_{statistic}_after")
    assert_close(getattr(run.raft.cnet.norm1, f"running_{statistic}"), expected, 1e-5)

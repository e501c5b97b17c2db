"""The recipe's optimisers."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from mimicbrush.errors import UserError
from mimicbrush.model.weights.run_checkpoint import read_checkpoint
from mimicbrush.training.config import RecipeConfig
from mimicbrush.training.optimizer import make_optimizer, require_optimizer
from tests.training.test_training import config, fit

EIGHT_BITS = RecipeConfig(learning_rate=1e-3, warmup_steps=1, optimizer="adamw8bit")


def weights_after(recipe: RecipeConfig, num_steps: int = 20) -> torch.Tensor:
    """Fit a layer of 4 096 weights, the fewest that are stored in eight bits, to random data."""
    torch.manual_seed(0)
    layer, (inputs, targets) = nn.Linear(64, 64, bias=False), torch.randn(2, 32, 64)
    optimizer = make_optimizer(layer.parameters(), recipe)
    for _ in range(num_steps):
        (layer(inputs) - targets).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return layer.weight.detach()


def test_adamw_has_the_recipes_settings():
    optimizer = make_optimizer(nn.Linear(2, 2).parameters(), RecipeConfig(learning_rate=0.5, weight_decay=0.25))
    assert type(optimizer) is torch.optim.AdamW
    assert (optimizer.defaults["lr"], optimizer.defaults["weight_decay"]) == (0.5, 0.25)


def test_eight_bits_step_like_thirty_two():
    pytest.importorskip("bitsandbytes", reason="8-bit optimisers are an extra, lowmem")
    start = weights_after(EIGHT_BITS, 0)
    moved, expected = (weights_after(recipe) - start for recipe in (EIGHT_BITS, replace(EIGHT_BITS, optimizer="adamw")))
    assert not torch.equal(moved, expected)
    assert (moved - expected).norm() < 0.05 * expected.norm()


def test_moments_are_kept_in_eight_bits():
    bitsandbytes = pytest.importorskip("bitsandbytes", reason="8-bit optimisers are an extra, lowmem")
    layer = nn.Linear(64, 64)
    optimizer = make_optimizer(layer.parameters(), replace(EIGHT_BITS, weight_decay=0.25))
    layer(torch.randn(2, 64)).sum().backward()
    optimizer.step()
    assert isinstance(optimizer, bitsandbytes.optim.AdamW8bit)
    assert (optimizer.defaults["lr"], optimizer.defaults["weight_decay"]) == (1e-3, 0.25)
    large, small = (optimizer.state[parameter] for parameter in (layer.weight, layer.bias))
    assert (large["state1"].dtype, large["state2"].dtype) == (torch.uint8, torch.uint8)
    assert small["state1"].dtype == torch.float32


def test_a_run_resumes_with_moments_in_eight_bits(shards, tmp_path, monkeypatch):
    """The checkpoint contains only tensors and plain values."""
    pytest.importorskip("bitsandbytes", reason="8-bit optimisers are an extra, lowmem")
    settings = config(shards, tmp_path / "run")
    fit(replace(settings, recipe=EIGHT_BITS), tmp_path, monkeypatch)
    fit(replace(settings, recipe=EIGHT_BITS), tmp_path, monkeypatch, "--run.max_steps", "3")
    checkpoint = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert {state["step"] for state in checkpoint["optimizer_states"][0]["state"].values()} == {3}


def test_a_run_with_muon_resumes_to_the_same_weights(shards, tmp_path, monkeypatch):
    recipe = RecipeConfig(learning_rate=1e-3, warmup_steps=1, optimizer="muon")
    runs = [replace(config(shards, tmp_path / name), recipe=recipe) for name in ("whole", "parts")]
    fit(runs[0], tmp_path, monkeypatch, "--run.max_steps", "3")
    fit(runs[1], tmp_path, monkeypatch)
    fit(runs[1], tmp_path, monkeypatch, "--run.max_steps", "3")
    whole, parts = (read_checkpoint(run.output / "checkpoints" / "last.ckpt") for run in runs)
    assert whole["optimizer_states"][0]["muon"]["state"]
    assert whole["state_dict"].keys() == parts["state_dict"].keys()
    assert all(torch.equal(value, parts["state_dict"][name]) for name, value in whole["state_dict"].items())


def test_a_missing_library_is_named_with_the_remedy(shards, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    require_optimizer("adamw")
    with pytest.raises(UserError, match=r"adamw8bit, which needs bitsandbytes .*\[lowmem\].* or choose adamw"):
        fit(replace(config(shards, tmp_path / "run"), recipe=EIGHT_BITS), tmp_path, monkeypatch)
    assert not (tmp_path / "run" / "config.yaml").exists()

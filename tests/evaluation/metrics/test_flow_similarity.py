from __future__ import annotations

import numpy as np
import pytest
import torch

from mimicbrush.evaluation.config import ModelsConfig
from mimicbrush.evaluation.metrics.flow_network import PictureFlow
from mimicbrush.evaluation.metrics.models import Models
from mimicbrush.flow.raft_weights import load_raft
from tests.evaluation.metrics.edits import make_edit, score, value


@pytest.fixture
def constant_estimator(monkeypatch) -> None:
    """A network that sees a motion of (3, -1) everywhere."""

    def estimate(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return torch.tensor([3.0, -1.0])[None, :, None, None].expand(len(first), 2, *first.shape[2:])

    monkeypatch.setattr(Models, "load", lambda models, name: PictureFlow(estimate))
    monkeypatch.setattr(Models, "missing", lambda models, names: {})


def test_the_flow_loss_is_the_mean_difference_in_both_directions(constant_estimator):
    asked = np.zeros((2, 48, 60), np.float32)
    asked[0] = 3
    assert value(make_edit(asked_flow=asked), "flow_loss") == pytest.approx(0.5)
    asked[0, :, :30] = 5
    assert value(make_edit(asked_flow=asked), "flow_loss") == pytest.approx(1)
    assert score(make_edit(), "flow_loss") == (None, "the sample has no flow that is asked for")


def test_the_flow_is_estimated_from_source_to_edit_by_the_networks_of_the_config(models, networks):
    edit = make_edit(asked_flow=np.zeros((2, 48, 60), np.float32))
    source, edited = (torch.from_numpy(each).permute(2, 0, 1)[None] / 255 for each in (edit.source, edit.edited))
    expected = load_raft(networks.flow)(source, edited).abs().mean().item()
    assert value(edit, "flow_loss", models) == pytest.approx(expected, rel=1e-5)
    assert models.variant("flow").startswith(f"RAFT ({networks.flow}, ")


def test_an_unchanged_picture_is_wholly_similar_to_its_source(models):
    edit = make_edit()
    assert value(edit._replace(edited=edit.source), "clip_source", models) == pytest.approx(100)
    assert value(edit, "clip_source", models) < 99.9


def test_a_missing_flow_network_is_named(tmp_path):
    found = Models(ModelsConfig(flow=str(tmp_path / "none")), device="cpu").missing(["flow"])
    assert "none" in found["flow"] and "correct models.flow, or leave it out to use asset:flow" in found["flow"]

"""The RAFT that comes with the package sees the world's objects move."""

from __future__ import annotations

import pytest
import torch

from mimicbrush.flow.raft_weights import load_raft
from mimicbrush.world.flow.config import NETWORK
from mimicbrush.world.flow.flow_measures import mean_errors
from mimicbrush.world.flow.moving_pairs import MovingPairs, draw_heldout_objects, render_pairs


@pytest.fixture(scope="module")
def objects(tmp_path_factory) -> MovingPairs:
    return render_pairs(tmp_path_factory.mktemp("pairs"), "objects", 16, draw_heldout_objects(1, 64))


def test_its_sizes_are_those_that_are_trained():
    """If this fails, train it again: `python -m mimicbrush.world.flow`."""
    assert load_raft("asset:flow").config == NETWORK


def test_it_is_nearer_than_no_motion(objects):
    still = mean_errors(lambda first, second: torch.zeros_like(first[:, :2]), objects)
    found = mean_errors(load_raft("asset:flow"), objects)
    assert sum(found) < 0.5 * sum(still)

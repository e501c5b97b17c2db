"""The maps with which the training of an atlas begins."""

from __future__ import annotations

import math

import pytest
import torch

from mimicbrush.atlas.atlas_losses import atlas_losses, draw_pixels
from mimicbrush.atlas.config import AtlasLossConfig
from mimicbrush.atlas.first_motion import first_atlas, layer_maps
from mimicbrush.atlas.training_clip import TrainingClip

SIDE, GROWTH, TURN = 32, 1.1, 0.1
MIDDLE = (SIDE - 1) / 2


@pytest.fixture
def growing() -> TrainingClip:
    """A disc that grows and turns about the middle of four frames, before a still background."""
    y, x = torch.meshgrid(torch.arange(SIDE) - MIDDLE, torch.arange(SIDE) - MIDDLE, indexing="ij")
    masks = torch.stack([(x.hypot(y) < 8 * GROWTH**number).float()[None] for number in range(4)])
    cosine, sine = GROWTH * math.cos(TURN), GROWTH * math.sin(TURN)
    motion = torch.stack([cosine * x - sine * y - x, sine * x + cosine * y - y])
    reliable = torch.ones(3, 1, SIDE, SIDE, dtype=torch.bool)
    return TrainingClip(torch.rand(4, 3, SIDE, SIDE), masks, motion * masks[:-1], reliable)


def test_growth_and_turn_of_an_object_are_found(growing):
    maps = layer_maps(growing, "foreground")
    for number, map_ in enumerate(maps):
        steps = 2 - number  # to the middle frame
        assert torch.linalg.det(map_[:, :2]).item() == pytest.approx(GROWTH ** (2 * steps), rel=1e-3)
        assert torch.atan2(map_[1, 0], map_[0, 0]).item() == pytest.approx(TURN * steps, abs=1e-3)
    torch.testing.assert_close(layer_maps(growing, "background"), torch.eye(2, 3).expand(4, -1, -1))


def test_that_motion_is_no_deformation_and_joined_points_meet(growing):
    atlas = first_atlas(growing)
    pixels = draw_pixels(growing.shape, 300, torch.Generator().manual_seed(0), torch.device("cpu"))
    losses = atlas_losses(atlas, growing, pixels, AtlasLossConfig(), 0)
    assert losses["rigidity"].item() == pytest.approx(4 * math.sqrt(2), rel=5e-3)
    middle = growing.shape.frame_points(1)[12, 18]
    there = growing.shape.normalise(*(torch.tensor([18.0, 12.0]) + growing.flow[1][:, 12, 18]), torch.tensor(2.0))
    torch.testing.assert_close(*atlas.atlas_points("foreground", torch.stack([middle, there])).unbind())


def test_wild_or_missing_flow_leaves_the_mean_shift_or_none(growing):
    torch.manual_seed(0)
    wild = growing._replace(flow=growing.flow * 6)
    linear = layer_maps(wild, "foreground")[:, :, :2]
    torch.testing.assert_close(linear, torch.eye(2).expand(4, -1, -1))
    hidden = growing._replace(reliable=torch.zeros_like(growing.reliable))
    torch.testing.assert_close(layer_maps(hidden, "foreground"), torch.eye(2, 3).expand(4, -1, -1))

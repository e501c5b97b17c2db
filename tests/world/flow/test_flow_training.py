"""The small RAFT's training: equal bytes for a seed, a folder that loads, its pairs and its measures."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from mimicbrush.errors import UserError
from mimicbrush.flow.config import RaftConfig
from mimicbrush.flow.raft_weights import load_raft
from mimicbrush.flow.warping import warp_backward
from mimicbrush.world.flow.config import NETWORK, FlowTrainingConfig
from mimicbrush.world.flow.flow_measures import judged_points, mean_errors
from mimicbrush.world.flow.flow_training import change_light, first_network, train_flow, turn
from mimicbrush.world.flow.moving_pairs import MovingPairs, draw_heldout_objects, draw_training_pairs
from mimicbrush.world.flow.warped_photographs import warp_photograph
from mimicbrush.world.renderer.exact_flow import BACKGROUND

TINY = RaftConfig(
    encoder_channels=(4, 4, 4, 4), encoder_strides=(1, 2, 1), feature_channels=4, hidden_channels=4,
    context_channels=4, has_batch_norm=False, num_levels=2, radius=1, correlation_channels=(4,), flow_channels=(4, 4),
    motion_channels=4, is_separable=False, head_channels=4, upsampling_channels=4,
)  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> FlowTrainingConfig:
    config = FlowTrainingConfig(
        output=tmp_path_factory.mktemp("flow") / "run", network=TINY, num_samples=4, num_heldout=2, picture_size=32,
        num_iterations=1, batch_size=1, max_steps=50, precision="float32",
    )  # fmt: skip
    train_flow(config)
    return config


def test_the_same_seed_gives_the_same_bytes_after_fifty_steps(trained, tmp_path):
    config = replace(trained, output=tmp_path / "run")
    shutil.copytree(trained.output / "renders", config.output / "renders")
    train_flow(config)
    first, second = ((folder / "model.safetensors").read_bytes() for folder in (trained.output, config.output))
    assert first == second


def test_training_starts_from_an_earlier_run_of_the_same_sizes(trained, tmp_path):
    torch.manual_seed(1)
    raft = first_network(replace(trained, start=trained.output))
    earlier = load_raft(str(trained.output))
    assert all(torch.equal(each, earlier.state_dict()[name]) for name, each in raft.state_dict().items())
    assert all(each.requires_grad for each in raft.parameters())
    with pytest.raises(UserError, match="holds a RAFT of other sizes; give both runs the same network"):
        first_network(replace(trained, start=trained.output, network=NETWORK))
    with pytest.raises(UserError, match="expected one file of RAFT's weights"):
        first_network(replace(trained, start=tmp_path))


def test_the_run_folder_loads_as_any_raft_does(trained):
    raft = load_raft(str(trained.output), num_iterations=3)
    assert raft.config == TINY
    assert raft(torch.rand(1, 3, 20, 33), torch.rand(1, 3, 20, 33)).shape == (1, 2, 20, 33)


def test_the_card_compares_with_estimators_without_weights(trained):
    card = json.loads((trained.output / "card.json").read_text(encoding="utf-8"))
    for pictures in ("objects", "photographs"):
        row = card["end_point_error"][pictures]
        assert set(row) == {"raft", "no motion", "DIS", "TV-L1"}
        assert all(each["pairs"] == 2 and np.isfinite(each["mean"]) for each in row.values())
    # 32 pixels: objects move by a tenth of the side and more, or turn.
    assert card["end_point_error"]["objects"]["no motion"]["mean"] > 1


def test_a_warped_photograph_is_found_where_the_flow_says():
    first, second, exact = warp_photograph(np.random.default_rng(3), 64, is_held_out=False)
    pictures = [torch.from_numpy(each).permute(2, 0, 1)[None].float() for each in (first, second)]
    found = warp_backward(pictures[1], torch.from_numpy(exact.flow)[None])
    visible = torch.from_numpy(exact.visible)
    difference, unmoved = ((each - pictures[0]).abs().mean(dim=1)[0][visible].mean() for each in (found, pictures[1]))
    assert difference < 0.25 * unmoved
    assert (exact.front_object == BACKGROUND).all()
    assert np.abs(exact.flow).max() > 2


def test_photographs_for_measuring_are_not_those_for_training(monkeypatch):
    shown = {True: set(), False: set()}
    for is_held_out, names in shown.items():
        monkeypatch.setattr(
            "mimicbrush.world.flow.warped_photographs.sample_texture",
            lambda name, x, y, *, step, seed, names=names: names.add(name) or np.zeros((*x.shape, 3), np.float32),
        )
        for seed in range(60):
            warp_photograph(np.random.default_rng(seed), 32, is_held_out=is_held_out)
    assert {"camera", "chelsea", "gravel"} <= shown[True]
    assert {"astronaut", "brick", "moon"} <= shown[False]
    assert shown[True].isdisjoint(shown[False])


def test_training_pairs_are_drawn_by_their_number_alone():
    draw = draw_training_pairs(0, 32)
    once, again = draw(1), draw(1)
    assert (once[0] == again[0]).all()
    assert (once[2].flow == again[2].flow).all()
    assert (once[2].flow[:, once[2].front_object == BACKGROUND] == 0).all()


def test_heldout_objects_move_before_a_still_background():
    first, second, exact = draw_heldout_objects(0, 32)(0)
    is_object = exact.front_object != BACKGROUND
    assert (exact.flow[:, ~is_object] == 0).all()
    assert (exact.flow[:, is_object] != 0).any()
    assert (first != second).any()


def moved_squares() -> MovingPairs:
    """A square that moves by 3 pixels to the right and 1 down, in random colours."""
    picture = torch.zeros(1, 3, 24, 24)
    picture[..., 8:14, 6:12] = torch.rand(3, 6, 6, generator=torch.Generator().manual_seed(0))
    on_object = torch.zeros(1, 1, 24, 24, dtype=torch.bool)
    on_object[..., 8:14, 6:12] = True
    flow = torch.zeros(1, 2, 24, 24)
    flow[:, 0][on_object[:, 0]], flow[:, 1][on_object[:, 0]] = 3.0, 1.0
    return MovingPairs(picture, picture.roll((1, 3), (2, 3)), flow, torch.ones_like(on_object), on_object)


@pytest.mark.parametrize("seed", range(6))
def test_turned_pairs_keep_their_flow_true(seed):
    turned = turn(moved_squares(), torch.Generator().manual_seed(seed))
    found = warp_backward(turned.second, turned.flow)
    assert torch.allclose(found * turned.on_object, turned.first * turned.on_object, atol=1e-5)
    assert sorted(turned.flow.abs().amax(dim=(0, 2, 3)).tolist()) == [1, 3]


def test_light_changes_move_nothing():
    first, second = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    changed, other = change_light(first, first, torch.Generator().manual_seed(0))
    assert changed.shape == first.shape
    assert ((changed >= 0) & (changed <= 1)).all()
    assert not torch.equal(changed, other)
    again, _ = change_light(first, second, torch.Generator().manual_seed(0))
    assert torch.equal(changed, again)


def test_errors_are_those_of_the_object():
    pairs = moved_squares()
    assert judged_points(pairs).sum() == 36
    assert mean_errors(lambda first, second: torch.zeros_like(first[:, :2]), pairs) == pytest.approx([10**0.5])
    assert mean_errors(lambda first, second: pairs.flow + 1, pairs) == pytest.approx([2**0.5])
    without = pairs._replace(on_object=torch.zeros_like(pairs.on_object))
    assert judged_points(without).all()


def test_the_network_needs_no_padding_at_its_sizes():
    assert NETWORK.stride == 4
    assert NETWORK.min_side == 32


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"picture_size": 16}, "picture_size is 16, expected at least 32"),
        ({"max_steps": 0}, "max_steps is 0, expected at least 1"),
    ],
)
def test_impossible_configs_are_refused(fields, message, tmp_path):
    with pytest.raises(UserError, match=message):
        FlowTrainingConfig(output=tmp_path, **fields)

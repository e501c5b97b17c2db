"""RAFT of any picture size, its two modes, its parts, and refusals of pictures that do not fit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from mimicbrush.errors import UserError
from mimicbrush.flow.config import RAFT_LARGE, RAFT_SMALL, RaftConfig
from mimicbrush.flow.raft import Raft, convex_upsampling
from mimicbrush.flow.raft_correlation import correlation_pyramid, look_up
from tests.flow.fill_rule import fill

TINY = replace(
    RAFT_LARGE,
    encoder_channels=(8, 8, 8, 8),
    feature_channels=8,
    hidden_channels=8,
    context_channels=8,
    correlation_channels=(8, 8),
    flow_channels=(8, 8),
    motion_channels=8,
    head_channels=8,
)


def raft_of(config: RaftConfig = TINY, *, num_iterations: int = 2) -> Raft:
    raft = Raft(config, num_iterations)
    fill(raft, "tests")
    return raft.eval().requires_grad_(False)


def pictures(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_numbers_of_parameters_are_the_published_ones():
    counts = [sum(each.numel() for each in Raft(config).parameters()) for config in (RAFT_LARGE, RAFT_SMALL)]
    assert counts == [5_257_536, 990_162]


@pytest.mark.parametrize("size", [(16, 16), (17, 90), (64, 64), (120, 131), (129, 128)])
@pytest.mark.parametrize("is_training", [False, True])
def test_every_size_gives_finite_flow_and_gradient(size, is_training):
    first, second = pictures(2, 3, *size), pictures(2, 3, *size, seed=1).requires_grad_()
    flow = raft_of().train(is_training)(first, second)
    (gradient,) = torch.autograd.grad(flow.abs().sum(), second)
    assert flow.shape == (2, 2, *size)
    assert flow.isfinite().all()
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0


def test_a_constant_picture_gives_finite_flow():
    grey = torch.full((1, 3, 32, 32), 0.5)
    assert raft_of().train()(grey, grey).isfinite().all()


def test_padding_repeats_the_border():
    first, second = pictures(1, 3, 60, 100), pictures(1, 3, 60, 100, seed=1)
    raft, padding = raft_of(), (14, 14, 34, 34)
    padded = raft(F.pad(first, padding, mode="replicate"), F.pad(second, padding, mode="replicate"))
    assert padded.shape[-2:] == (128, 128)
    assert torch.equal(raft(first, second), padded[..., 34:-34, 14:-14])


def test_pairs_of_a_batch_do_not_touch_each_other_in_eval_mode():
    first, second = pictures(2, 3, 40, 40), pictures(2, 3, 40, 40, seed=1)
    both = raft_of()(first, second)
    assert torch.allclose(both[1:], raft_of()(first[1:], second[1:]), atol=1e-4)


def test_batch_statistics_differ_from_running_averages_and_update_them():
    first, second = pictures(1, 3, 40, 40), pictures(1, 3, 40, 40, seed=1)
    raft = raft_of()
    before = raft.cnet.norm1.running_mean.clone()
    in_eval = raft(first, second)
    assert torch.equal(raft.cnet.norm1.running_mean, before)
    assert not torch.allclose(raft.train()(first, second), in_eval, atol=1e-2)
    assert not torch.equal(raft.cnet.norm1.running_mean, before)


def test_half_precision_is_near_and_returns_float32():
    first, second = pictures(1, 3, 48, 48), pictures(1, 3, 48, 48, seed=1)
    flow = raft_of()(first, second)
    half = raft_of().bfloat16()(first.bfloat16(), second.bfloat16())
    assert half.dtype == torch.float32
    assert (half - flow).abs().mean() < 0.1 * flow.abs().mean()


def test_a_stride_of_four_has_a_finer_grid():
    config = replace(TINY, encoder_strides=(1, 2, 1), num_levels=3, radius=3)
    assert (config.stride, config.min_side) == (4, 32)
    (iteration,) = raft_of(config, num_iterations=1).iterate(pictures(1, 3, 36, 40), pictures(1, 3, 36, 40, seed=1))
    assert iteration.flow.shape == (1, 2, 9, 10)


def test_the_first_axis_of_the_window_moves_x():
    """Correlation of 1 in a single cell, seen from one cell to its left and two above it."""
    correlation = torch.zeros(1, 1, 8, 8)
    correlation[0, 0, 5, 4] = 1
    found = look_up([correlation], torch.tensor([3.0, 3.0]).reshape(1, 2, 1, 1), 2)
    assert found.reshape(5, 5).nonzero().tolist() == [[3, 4]]


def test_correlations_are_scaled_products_and_averages_of_them():
    features = pictures(1, 4, 4, 4), pictures(1, 4, 4, 4, seed=1)
    fine, coarse = correlation_pyramid(*features, 2)
    assert torch.allclose(fine[5, 0, 2, 3], (features[0][0, :, 1, 1] * features[1][0, :, 2, 3]).sum() / 2)
    assert torch.allclose(coarse[5, 0, 1, 1], fine[5, 0, 2:, 2:].mean())


def test_convex_upsampling_keeps_a_constant_flow_inside():
    flow = torch.tensor([3.0, -1.0]).reshape(1, 2, 1, 1).expand(1, 2, 4, 4)
    pixels = convex_upsampling(flow, pictures(1, 9 * 16, 4, 4), 4)
    inside = pixels[..., 4:-4, 4:-4]
    assert torch.allclose(inside, torch.tensor([12.0, -4.0]).reshape(1, 2, 1, 1).expand_as(inside))


GOOD = pictures(1, 3, 32, 32)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (pictures(1, 3, 15, 64), pictures(1, 3, 15, 64), "first is 64x15 pixels, expected at least 16 a side"),
        (GOOD, pictures(1, 3, 32, 40), "second is (1, 3, 32, 40); expected one second picture of the same size"),
        (
            pictures(3, 3, 32, 32),
            GOOD,
            "first is (3, 3, 32, 32), second is (1, 3, 32, 32); expected one second",
        ),
        (pictures(1, 3, 3, 32, 32), GOOD, "first is (1, 3, 3, 32, 32), expected (B, 3, H, W), one picture for each"),
        (pictures(1, 4, 32, 32), GOOD, "first is (1, 4, 32, 32), expected (B, 3, H, W)"),
        (pictures(0, 3, 32, 32), GOOD, "first is (0, 3, 32, 32), expected (B, 3, H, W)"),
        (GOOD, torch.full_like(GOOD, torch.nan), "second holds NaN or infinity; pass finite values"),
        (GOOD * float("inf"), GOOD, "first holds NaN or infinity; pass finite values"),
        ((GOOD * 255).byte(), GOOD, "first is of torch.uint8, expected floating point; divide levels of 8 bits by 255"),
        (GOOD, GOOD * 255, "second has values from"),
        (GOOD, GOOD.numpy(), "second is a ndarray, expected a tensor (B, 3, H, W) in [0, 1]"),
    ],
)
def test_pictures_that_do_not_fit_are_refused_in_one_sentence(first, second, message):
    with pytest.raises(UserError) as refused:
        raft_of()(first, second)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_no_iterations_are_refused():
    with pytest.raises(UserError, match="num_iterations is 0, expected at least 1"):
        Raft(TINY, 0)

"""InvEdit with exact denoisers of Gaussian clips, whose difference is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from mimicbrush.diffusion.config import ScheduleConfig
from mimicbrush.diffusion.ddim import PredictNoise, ddim_steps, invert, signal_shares
from mimicbrush.editors.genvideo.invedit_masks import (
    branch_differences,
    chosen_steps,
    fresh_noise_differences,
    masks_of_differences,
    outline_around,
)
from mimicbrush.editors.genvideo.settings import InvEditSettings

T, SIDE = 4, 24
SCHEDULE = ScheduleConfig()
STEPS = ddim_steps(SCHEDULE, 20)
SHARES = signal_shares(SCHEDULE)
EXACT = InvEditSettings(median=0)


def gaussian_denoiser(mean: Tensor, *, variance: float = 0.05) -> PredictNoise:
    """The exact noise prediction for clips that are Gaussian around a mean, independent in each value."""

    def predict(noisy: Tensor, timestep: int) -> Tensor:
        share = SHARES[timestep]
        return (1 - share) ** 0.5 * (noisy - share**0.5 * mean) / (share * variance + 1 - share)

    return predict


def moving_object(side: int, colour: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """The mean of clips with a square of this side that moves over grey, and the square's mask (T, 1, h, w)."""
    mean, mask = torch.zeros(T, 4, SIDE, SIDE), torch.zeros(T, 1, SIDE, SIDE)
    for number in range(T):
        middle = 8 + 2 * number
        box = number, slice(None), slice(12 - side // 2, 12 + side // 2), slice(middle - side // 2, middle + side // 2)
        mean[box], mask[box] = torch.tensor(colour)[:, None, None], 1
    return mean, mask


SOURCE, SOURCE_MASK = moving_object(6, (1.0, -1.0, 0.5, 0.0))
TARGET, TARGET_MASK = moving_object(12, (-1.0, 0.5, 1.0, 1.0))


@pytest.fixture(scope="module")
def trajectory() -> Tensor:
    clip = SOURCE + 0.05**0.5 * torch.randn(SOURCE.shape, generator=torch.Generator().manual_seed(0))
    return invert(clip, gaussian_denoiser(SOURCE), STEPS)


def propose(trajectory: Tensor, target: Tensor, settings: InvEditSettings = EXACT, *, follow: bool = True) -> Tensor:
    predictions = gaussian_denoiser(SOURCE), gaussian_denoiser(target)
    return masks_of_differences(branch_differences(trajectory, *predictions, STEPS, settings, follow=follow), settings)


def overlap(mask: Tensor, truth: Tensor) -> list[float]:
    """Intersection over union of each frame."""
    both = (mask * truth).sum(dim=(1, 2, 3)), torch.maximum(mask, truth).sum(dim=(1, 2, 3))
    return (both[0] / both[1]).tolist()


@pytest.mark.parametrize(
    "changes", [{}, {"median": 1}, {"scale": "frame"}, {"first_share": 0.5}, {"last_share": 0.3}, {"start_share": 0.3}]
)
def test_a_larger_target_is_covered_in_every_frame(trajectory, changes):
    mask = propose(trajectory, TARGET, replace(EXACT, **changes))
    assert mask.shape == (T, 1, SIDE, SIDE) and set(mask.unique().tolist()) == {0, 1}
    assert min(overlap(mask, TARGET_MASK)) >= 0.95
    # The mask follows the object: two positions to the right in each frame.
    assert torch.equal(mask[1:, ..., 2:], mask[:-1, ..., :-2])


def test_a_smaller_target_leaves_the_mask_of_the_source(trajectory):
    small, _ = moving_object(2, (-1.0, 0.5, 1.0, 1.0))
    assert min(overlap(propose(trajectory, small), SOURCE_MASK)) >= 0.95


def test_equal_branches_give_empty_masks(trajectory):
    for settings in (EXACT, replace(EXACT, scale="frame", median=1, largest_piece=True, in_time="any", margin=2)):
        mask = propose(trajectory, SOURCE, settings)
        assert mask.isfinite().all() and not mask.any()


@pytest.mark.parametrize("target", [TARGET, SOURCE])
def test_fresh_noise_shows_where_two_exact_predictions_differ(target):
    generator = torch.Generator().manual_seed(1)
    noises = [torch.randn(SOURCE.shape, generator=generator) for _ in range(2)]
    timestep = STEPS[10].timestep
    predictions = gaussian_denoiser(SOURCE), gaussian_denoiser(target)
    options = {"timestep": timestep, "share": float(SHARES[timestep])}
    differences = fresh_noise_differences(SOURCE, *predictions, noises, **options)
    mask = masks_of_differences(differences, replace(EXACT, scale="peak"))
    wanted = TARGET_MASK if target is TARGET else torch.zeros_like(TARGET_MASK)
    assert torch.equal(mask, wanted)
    # Means over the draws: one draw alone gives its own difference.
    alone = [fresh_noise_differences(SOURCE, *predictions, [noise], **options) for noise in noises]
    torch.testing.assert_close(differences, torch.stack(alone).mean(dim=0))


def test_an_outline_is_placed_around_the_middle_of_a_mask():
    mask, outline = np.zeros((20, 20), bool), np.zeros((9, 9), bool)
    mask[6:10, 8:12] = True
    outline[2:4, 3:7] = True  # 2 x 4
    placed = outline_around(mask, outline, size=2.0)  # its longer side is twice that of the mask
    wanted = np.zeros_like(mask)
    wanted[6:10, 6:14] = True
    assert (placed == wanted).all()
    assert not outline_around(np.zeros_like(mask), outline, size=2.0).any()
    mask[:] = False
    mask[:4, :4] = True  # beyond the picture it is cut off
    assert (outline_around(mask, outline, size=2.0)[:4, :6]).all()


def test_a_clip_whose_object_vanishes_has_an_empty_frame(trajectory):
    target = TARGET.clone()
    target[3] = SOURCE[3]
    assert propose(trajectory, target).flatten(1).any(dim=1).tolist() == [True, True, True, False]


def test_each_branch_follows_its_own_prediction(trajectory):
    seen = []

    def record(noisy: Tensor, timestep: int) -> Tensor:
        seen.append(noisy)
        return gaussian_denoiser(TARGET)(noisy, timestep)

    branch_differences(trajectory, gaussian_denoiser(SOURCE), record, STEPS, EXACT)
    assert torch.equal(seen[0], trajectory[0])
    # The target branch has become the target, and the source branch, alone, the source.
    inside = TARGET_MASK.expand_as(TARGET) > 0
    assert (seen[-1] - TARGET)[inside].abs().mean() < 0.3 < (seen[-1] - SOURCE)[inside].abs().mean()
    seen.clear()
    branch_differences(trajectory, gaussian_denoiser(SOURCE), record, STEPS, EXACT, follow=False)
    assert all(torch.equal(noisy, latents) for noisy, latents in zip(seen, trajectory, strict=True))


def test_branches_can_begin_within_the_inversion(trajectory):
    seen = []

    def record(noisy: Tensor, timestep: int) -> Tensor:
        seen.append((noisy, timestep))
        return gaussian_denoiser(TARGET)(noisy, timestep)

    branch_differences(trajectory, gaussian_denoiser(SOURCE), record, STEPS, replace(EXACT, start_share=0.4))
    assert torch.equal(seen[0][0], trajectory[8])
    assert [timestep for _, timestep in seen] == [step.timestep for step in STEPS[8:]]


def test_steps_are_chosen_by_their_shares():
    assert chosen_steps(10, EXACT) == range(10)
    assert chosen_steps(10, replace(EXACT, first_share=0.5)) == range(5, 10)
    assert chosen_steps(10, replace(EXACT, last_share=0.3)) == range(3)
    assert chosen_steps(1, replace(EXACT, first_share=0.9)) == range(1)
    assert chosen_steps(10, replace(EXACT, start_share=0.4)) == range(4, 10)
    assert chosen_steps(10, replace(EXACT, start_share=0.4, first_share=0.6, last_share=0.8)) == range(6, 8)


def test_what_follows_the_threshold():
    differences = torch.zeros(3, 9, 9)
    differences[1, 2:5, 2:5] = differences[0, 7, 7] = 1.0

    def masks(**changes) -> Tensor:
        return masks_of_differences(differences, replace(EXACT, **changes))[:, 0]

    assert masks().sum(dim=(1, 2)).tolist() == [1, 9, 0]
    assert masks(median=1).sum(dim=(1, 2)).tolist() == [0, 5, 0]  # a lone position goes, and corners are rounded
    assert masks(in_time="any").sum(dim=(1, 2)).tolist() == [10, 10, 9]
    assert masks(in_time="median").sum(dim=(1, 2)).tolist() == [1, 0, 0]  # the first frame is repeated before it
    assert masks(margin=1).sum(dim=(1, 2)).tolist() == [9, 25, 0]
    differences[1, 7, 7] = 1.0
    assert masks(largest_piece=True).sum(dim=(1, 2)).tolist() == [1, 9, 0]

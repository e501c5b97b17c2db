"""The kept background, the correction in the first steps, and windows of a long clip."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from mimicbrush.diffusion.config import ScheduleConfig
from mimicbrush.diffusion.ddim import ddim_steps, invert
from mimicbrush.diffusion.frame_sampling import (
    CorrectionRules,
    SourceLatents,
    average_windows,
    captured_states,
    denoise_in_mask,
    frame_windows,
    keep_background,
    to_latent_grid,
)

STEPS = ddim_steps(ScheduleConfig(), 4)


@pytest.fixture
def source() -> SourceLatents:
    original = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    return SourceLatents(original, invert(original, lambda latent, timestep: torch.tanh(latent), STEPS))


def sample(source: SourceLatents, mask: torch.Tensor, background: str) -> list[torch.Tensor]:
    """Latents after each step of a network whose noise has nothing to do with the source."""
    latents, after = source.trajectory[0], []
    for number, step in enumerate(STEPS):
        noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(number))
        kept = {"number": number, "mask": mask, "source": source, "background": background}
        latents = keep_background(denoise_in_mask(step, latents, noise, **kept), **kept)
        after.append(latents)
    return after


@pytest.mark.parametrize("background", ["trajectory", "original"])
def test_both_readings_keep_the_complement_and_edit_the_mask(source, background):
    mask = torch.zeros(3, 1, 5, 6)
    mask[..., 2:] = 1
    free, kept = sample(source, mask, "none")[-1], sample(source, mask, background)[-1]
    assert torch.equal(kept[..., :2], source.original[..., :2])
    torch.testing.assert_close(kept[..., 2:], free[..., 2:])
    assert (free[..., :2] - source.original[..., :2]).abs().max() > 0.1


def test_the_trajectory_is_kept_in_every_step_and_the_original_in_what_is_predicted(source):
    mask = torch.zeros(3, 1, 5, 6)
    for number, latents in enumerate(sample(source, mask, "trajectory")):
        assert torch.equal(latents, source.after(number))
    for number, latents in enumerate(sample(source, mask, "original")[:-1]):
        noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(number))
        share = STEPS[number].previous_alpha
        torch.testing.assert_close(latents, share**0.5 * source.original + (1 - share) ** 0.5 * noise)


def test_latents_are_corrected_in_the_first_steps_alone():
    latents, features, mask = torch.randn(3, 4, 5, 6), torch.randn(3, 7, 5, 6), torch.ones(3, 1, 5, 6)
    rules = CorrectionRules(num_steps=5, weights=(0.25, 0.5, 0.25), chunk=8)
    corrected = [not torch.equal(rules.apply(latents, features, mask, number), latents) for number in range(8)]
    assert corrected == [True] * 5 + [False] * 3 == [rules.is_due(number) for number in range(8)]
    assert not rules._replace(weights=(0, 1, 0)).is_due(0)
    assert torch.equal(rules.apply(latents, features, 0 * mask, 0), latents)


def test_windows_cover_a_clip_and_end_with_it():
    assert frame_windows(8, 8, 4) == [range(8)]
    assert frame_windows(16, 8, 4) == [range(8), range(4, 12), range(8, 16)]
    assert frame_windows(10, 4, 1) == [range(4), range(3, 7), range(6, 10)]
    for num, size, overlap in ((9, 8, 4), (23, 8, 3), (11, 5, 4)):
        windows = frame_windows(num, size, overlap)
        assert {frame for window in windows for frame in window} == set(range(num))
        assert all(second.start - first.start <= size - overlap for first, second in pairwise(windows))


def test_windows_are_averaged_where_they_overlap():
    values = torch.arange(5.0)[:, None, None]
    parts = [(window, values[window.start : window.stop]) for window in frame_windows(5, 3, 1)]
    assert torch.equal(average_windows(parts, 5), values)
    shifted = [(window, part + number) for number, (window, part) in enumerate(parts)]
    assert average_windows(shifted, 5).flatten().tolist() == [0, 1, 2.5, 4, 5]


def test_states_are_captured_within_the_block_alone():
    module = torch.nn.Linear(2, 3)
    with captured_states(module) as outputs, captured_states(module, of_input=True) as inputs:
        result = module(torch.ones(1, 2))
    module(torch.ones(1, 2))
    assert len(outputs) == len(inputs) == 1 and outputs[0] is result and inputs[0].shape == (1, 2)


def test_a_latent_may_change_where_any_of_its_pixels_may():
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 3, 4] = 1
    assert to_latent_grid(mask, 4, 4)[0, 0].nonzero().tolist() == [[1, 2]]

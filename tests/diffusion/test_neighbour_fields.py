"""Neighbour fields of shifted features, their refinement, and the blend along them."""

from __future__ import annotations

import pytest
import torch

from mimicbrush.diffusion.neighbour_fields import (
    FrameFields,
    blend_along_fields,
    enlarge_field,
    follow_field,
    nearest_field,
    neighbour_fields,
)

H, W = 6, 7


def identity(height: int = H, width: int = W) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x, y])


@pytest.fixture
def features() -> torch.Tensor:
    return torch.randn(5, H, W, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("chunk", [1, 10, 1024])
def test_shifted_features_give_the_shift_exactly(features, chunk):
    shifted = 3 * features.roll((2, 1), dims=(1, 2))  # the length of features does not matter
    field = nearest_field(features, shifted, chunk=chunk)
    x, y = identity()
    assert torch.equal(field, torch.stack([(x + 1) % W, (y + 2) % H]))
    assert torch.equal(follow_field(shifted, field), 3 * features)


def test_of_equally_near_positions_the_first_is_taken():
    assert not nearest_field(torch.ones(3, 2, 2), torch.ones(3, 4, 4)).any()


def test_a_refined_field_keeps_places_within_cells():
    field = torch.tensor([[[1, 0]], [[0, 0]]])  # the two cells of a row are exchanged
    assert enlarge_field(field, 2, 4).tolist() == [[[2, 3, 0, 1]] * 2, [[0] * 4, [1] * 4]]
    for height, width in ((H, W), (2 * H, 2 * W), (13, 20)):
        assert torch.equal(enlarge_field(identity(), height, width), identity(height, width))


def test_frames_at_the_ends_have_one_neighbour(features):
    clip = torch.stack([features, features.roll(1, 2), features])
    first, middle, last = neighbour_fields(clip)
    assert first.previous is None and last.following is None
    assert torch.equal(middle.previous, middle.following)
    assert torch.equal(first.following[0], (identity()[0] + 1) % W)


def test_weights_of_one_frame_change_nothing(features):
    latents, mask = torch.randn(3, 4, H, W), torch.ones(3, 1, H, W)
    fields = neighbour_fields(torch.randn(3, 5, H, W))
    assert torch.equal(blend_along_fields(latents, fields, mask, weights=(0, 1, 0)), latents)


def test_equal_content_stays_and_nothing_outside_the_mask_changes():
    fields = [FrameFields(identity() if n else None, identity() if n < 3 else None) for n in range(4)]
    latents = torch.randn(1, 4, H, W).expand(4, -1, -1, -1)
    mask = torch.ones(4, 1, H, W)
    torch.testing.assert_close(blend_along_fields(latents, fields, mask, weights=(0.25, 0.5, 0.25)), latents)
    noisy, half = torch.randn(4, 4, H, W), mask.clone()
    half[..., :3] = 0
    blended = blend_along_fields(noisy, fields, half, weights=(0.25, 0.5, 0.25))
    assert torch.equal(blended[..., :3], noisy[..., :3])
    expected = 0.25 * noisy[0] + 0.5 * noisy[1] + 0.25 * noisy[2]
    torch.testing.assert_close(blended[1][..., 3:], expected[..., 3:])
    torch.testing.assert_close(blended[0][..., 3:], ((2 * noisy[0] + noisy[1]) / 3)[..., 3:])


def test_noise_of_copies_falls_by_the_sum_of_squared_weights():
    noise = torch.randn(3, 4, 64, 64, generator=torch.Generator().manual_seed(0))
    fields = [FrameFields(identity(64, 64) if n else None, identity(64, 64) if n < 2 else None) for n in range(3)]
    blended = blend_along_fields(noise, fields, torch.ones(3, 1, 64, 64), weights=(0.25, 0.5, 0.25))
    assert blended[1].var().item() == pytest.approx(0.25**2 + 0.5**2 + 0.25**2, rel=0.03)

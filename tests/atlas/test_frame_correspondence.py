"""Points of an atlas are found again in a frame, between its pixels, and only where the frame shows them."""

from __future__ import annotations

import torch

from mimicbrush.atlas.frame_correspondence import places_in_frame, sample_frame

HEIGHT, WIDTH = 24, 36


def project(places: torch.Tensor) -> torch.Tensor:
    """A turned and tilted map from pixels to an atlas."""
    x, y = places.unbind(-1)
    depth = 1 + 0.004 * x - 0.003 * y
    return torch.stack([(0.9 * x - 0.3 * y + 4) / depth, (0.3 * x + 0.8 * y - 2) / depth], dim=-1) / 50


def pixels() -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    return torch.stack([columns, rows], dim=-1).float()


def test_places_between_pixels_are_found():
    wanted = torch.rand(200, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([WIDTH - 1.0, HEIGHT - 1.0])
    places, found = places_in_frame(project(wanted), project(pixels()))
    assert found.all()
    torch.testing.assert_close(places, wanted, atol=0.02, rtol=0)


def test_places_outside_the_frame_are_not_found():
    outside = torch.tensor([[-3.0, 5.0], [10.0, HEIGHT + 2.0], [WIDTH + 5.0, -4.0]])
    assert not places_in_frame(project(outside), project(pixels()))[1].any()
    folded = project(pixels()).clone()
    folded[:, WIDTH // 2 :] = folded[:, :1]
    assert places_in_frame(project(torch.tensor([[3.0, 5.0]])), folded)[1].all()


def test_a_picture_is_sampled_at_places():
    ramp = pixels().permute(2, 0, 1)[None]
    sampled = sample_frame(ramp, torch.tensor([[[1.5, 2.25], [40.0, 3.0]]]))
    torch.testing.assert_close(sampled[0, :, 0].T, torch.tensor([[1.5, 2.25], [WIDTH - 1.0, 3.0]]))

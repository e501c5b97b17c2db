"""Flow without weights: both estimators find a shift that is known."""

from __future__ import annotations

import pytest
import torch
from kornia.filters import gaussian_blur2d

from mimicbrush.errors import UserError
from mimicbrush.flow.classical_flow import dis_flow, tvl1_flow


@pytest.mark.parametrize("make", [dis_flow, tvl1_flow])
def test_a_shift_is_found_in_both_pairs(make):
    noise = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    picture = gaussian_blur2d(noise, 9, (2.0, 2.0))
    picture = (picture - picture.min()) / (picture.max() - picture.min())
    shifted, lowered = picture.roll(2, dims=3), picture.roll(1, dims=2)
    flow = make()(torch.cat([picture, picture]), torch.cat([shifted, lowered]))
    assert flow.shape == (2, 2, 64, 64)
    middle = flow[..., 16:-16, 16:-16].mean(dim=(2, 3))
    assert torch.allclose(middle, torch.tensor([[2.0, 0.0], [0.0, 1.0]]), atol=0.1)


def test_pictures_of_two_sizes_are_refused():
    with pytest.raises(UserError, match="expected one second picture of the same size"):
        dis_flow()(torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 16))

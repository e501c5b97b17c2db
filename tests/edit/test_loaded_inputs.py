from __future__ import annotations

import torch

from mimicbrush.edit.loaded_inputs import Inputs
from mimicbrush.pictures.edit_inputs import Source


def test_a_motion_that_is_scaled_down_is_the_same_at_the_border_of_its_object():
    flow = torch.zeros(1, 2, 40, 80)
    flow[:, 0, 11:29, 21:49], flow[:, 1, 11:29, 21:49] = 8.0, -4.0
    source = Source(torch.rand(3, 40, 80), None, None)
    whole = Inputs(source, None, [], icc_profile=None, is_deep=False, fingerprints={}, flow=flow)
    scaled = whole.scaled_down(20 * 40)
    assert scaled.source.pixels.shape == (3, 20, 40)
    moving = scaled.flow[:, :, scaled.flow[0, 0] != 0]
    assert 9 * 14 <= moving.shape[2] <= 10 * 15
    torch.testing.assert_close(moving, torch.tensor([4.0, -2.0]).view(1, 2, 1).expand_as(moving))

from __future__ import annotations

import torch

from mimicbrush.pictures.geometry import resize
from mimicbrush.pictures.scaled_edits import fitting_size, put_back


def test_a_size_keeps_the_shape_and_is_never_larger():
    assert fitting_size(6000, 8000, 12e6) == (3000, 4000)
    assert fitting_size(30, 40, 12e6) == (30, 40)
    assert fitting_size(2, 30000, 1e4) == (2, 12247)
    assert fitting_size(30, 40, 1) == (2, 2)


def test_what_changed_is_scaled_up_and_all_other_pixels_keep_their_bits():
    source = torch.rand(3, 120, 161, generator=torch.Generator().manual_seed(0))
    small = resize(source, 40, 53)
    edited = small.clone()
    edited[:, 10:20, 0:15] = torch.rand(3, 10, 15, generator=torch.Generator().manual_seed(1))
    result, whole = put_back(edited, small, source), resize(edited, 120, 161)
    assert (result[:, 33:57, :40] - whole[:, 33:57, :40]).abs().max() < 1e-5
    beyond = torch.ones(120, 161, dtype=torch.bool)
    beyond[26:64, :50] = False
    assert torch.equal(result[:, beyond], source[:, beyond])
    assert torch.equal(put_back(small, small, source), source)

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from mimicbrush.errors import UserError
from mimicbrush.pictures.conversion import on_white
from mimicbrush.pictures.edit_inputs import as_mask, as_source
from tests.pictures.odd_files import ALPHA, CLEAN, saved, with_alpha


def cut_out():
    return as_source(Image.open(io.BytesIO(saved(with_alpha(CLEAN)))))


def test_an_untouched_cut_out_comes_back_bit_for_bit():
    source = cut_out()
    assert torch.equal(
        (source.restore(source.pixels) * 255).round(), torch.from_numpy(with_alpha(CLEAN)).permute(2, 0, 1)
    )


def test_a_repainted_cut_out_looks_on_white_as_it_was_repainted():
    source = cut_out()
    # Half-transparent pixels cannot be darker than half of white.
    repainted = 0.5 + source.pixels.flip(2) / 2
    restored = source.restore(repainted)
    assert torch.equal(restored[3:], torch.from_numpy(ALPHA / np.float32(255)).permute(2, 0, 1))
    visible = restored[3] > 0
    torch.testing.assert_close(on_white(restored)[:, visible], repainted[:, visible], rtol=0, atol=2e-3)


def test_a_source_that_nobody_can_see_is_refused():
    with pytest.raises(UserError, match="image is wholly transparent, so no edit of it would be seen; put it on a"):
        as_source(torch.tensor([0.3, 0.5, 0.7, 0.0]).reshape(4, 1, 1).expand(4, 8, 8))


def test_a_photograph_is_no_mask_and_a_soft_edge_is_one():
    """Half of the pixels may be grey; here 32 of 64 are, of as many levels, and then one more."""
    mask = torch.zeros(1, 8, 8)
    mask[:, :4] = torch.linspace(0.55, 0.75, 32).reshape(4, 8)
    assert as_mask(mask, mask).sum() == 32
    mask[:, 4, 0] = 0.6
    with pytest.raises(UserError, match="mask_image is grey in 52% of its pixels, as a photograph is; paint it"):
        as_mask(mask, mask)

from __future__ import annotations

import pytest
import torch

from mimicbrush.editors.move_and_repaint.matting import cut_out

RED, BLUE = torch.tensor([0.9, 0.1, 0.2]), torch.tensor([0.1, 0.2, 0.8])


def soft_block(background: torch.Tensor, *, inner: float = 0.7, outer: float = 0.3) -> tuple[torch.Tensor, ...]:
    """A red block whose first column covers its pixels by 0.7, and the column beside it by 0.3: source, opacity."""
    opacity = torch.zeros(1, 1, 16, 20)
    opacity[..., 4:12, 6:14] = 1
    opacity[..., 4:12, 6], opacity[..., 4:12, 5] = inner, outer
    colours = RED[None, :, None, None].expand(1, 3, 16, 20)
    return opacity * colours + (1 - opacity) * background[None, :, None, None], opacity


def test_a_mixed_border_is_taken_apart_into_opacity_and_colour():
    source, opacity = soft_block(BLUE)
    cutout = cut_out(source, opacity >= 0.5, margin=1)
    assert (cutout.opacity - opacity).abs().max() < 0.03
    seen = opacity > 0
    assert (cutout.colours - RED[None, :, None, None]).abs().mul(seen).max() < 0.06


def test_the_hard_mask_decides_where_colours_are_alike():
    source, opacity = soft_block(RED + 0.01)
    cutout = cut_out(source, opacity >= 0.5, margin=1)
    assert torch.equal(cutout.opacity > 0.5, opacity > 0.5)
    assert (cutout.opacity[opacity < 0.5].max() < 0.1) and (cutout.opacity[opacity > 0.5].min() > 0.9)


def test_nothing_is_transparent_farther_inside_than_the_margin():
    noise = torch.rand(1, 3, 16, 20, generator=torch.Generator().manual_seed(0))
    thing = torch.zeros(1, 1, 16, 20, dtype=torch.bool)
    thing[..., 4:12, 6:14] = True
    for margin in (1, 2):
        opacity = cut_out(noise, thing, margin=margin).opacity
        assert (opacity[..., 4 + margin : 12 - margin, 6 + margin : 14 - margin] == 1).all()
        assert (opacity[..., : 4 - margin, :] == 0).all() and (opacity[..., 14 + margin :] == 0).all()


@pytest.mark.parametrize("thing", [torch.ones(1, 1, 6, 7, dtype=torch.bool), torch.eye(6, 7)[None, None] > 0])
def test_a_thing_without_an_inside_or_an_outside_keeps_its_hard_mask(thing):
    source = torch.rand(1, 3, 6, 7)
    cutout = cut_out(source, thing, margin=1)
    assert torch.equal(cutout.opacity > 0.5, thing) and torch.equal(cutout.colours, source)

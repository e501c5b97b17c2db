from __future__ import annotations

import pytest
import torch

from mimicbrush.editors.baselines import PlainWarp, WarpAndInpaint
from mimicbrush.errors import UserError
from mimicbrush.flow.motion_fields import Motion, motion_field, scale, translate
from mimicbrush.flow.motion_masks import propose_mask
from mimicbrush.requests import MotionRequest

THING = (slice(8, 16), slice(6, 18))


def make_request(motion: Motion, *, with_mask: bool = False) -> MotionRequest:
    """A random block on a background that is a horizontal ramp, which inpainting continues."""
    source = torch.linspace(0.1, 0.9, 40).expand(1, 3, 32, 40).clone()
    mask = torch.zeros(1, 1, 32, 40)
    mask[..., *THING] = 1
    source[..., *THING] = torch.rand(3, 8, 12, generator=torch.Generator().manual_seed(0))
    region = torch.zeros_like(mask)
    region[..., :20] = 1
    return MotionRequest(
        source=source, flow=motion_field(motion, 32, 40, mask=mask), mask=region if with_mask else None
    )


def test_a_plain_warp_moves_the_thing_exactly_and_leaves_the_first_one():
    request = make_request(translate(15, 7))
    edited = PlainWarp().edit(request)
    expected = request.source.clone()
    expected[..., 15:23, 21:33] = request.source[..., *THING]
    assert torch.allclose(edited.frames, expected, atol=1e-5)
    assert edited.layers["mask"].sum() == pytest.approx(8 * 12)


def test_warp_and_inpaint_fills_what_is_uncovered_with_the_surroundings():
    request = make_request(translate(15, 7))
    edited = WarpAndInpaint().edit(request)
    assert torch.allclose(edited.frames[..., 15:23, 21:33], request.source[..., *THING], atol=1e-5)
    ramp = torch.linspace(0.1, 0.9, 40).expand(3, 8, 40)[..., THING[1]]
    assert (edited.frames[0][:, *THING] - ramp).abs().mean() < 0.05
    assert torch.equal(edited.layers["mask"], propose_mask(request.flow))


def test_pixels_outside_the_given_mask_keep_their_values():
    for editor in (PlainWarp(), WarpAndInpaint()):
        request = make_request(translate(10, 7), with_mask=True)
        edited = editor.edit(request).frames
        assert torch.equal(edited[..., 20:], request.source[..., 20:])
        assert not torch.equal(edited, request.source)


def test_an_enlarged_thing_has_no_gaps():
    request = make_request(scale(1.8, centre=(11.5, 11.5)))
    opacity = PlainWarp().edit(request).layers["mask"][0, 0]
    assert opacity.sum() == pytest.approx(8 * 12 * 1.8**2, rel=0.02)
    assert (opacity[6:18, 2:22] > 0.999).all()


def test_a_negative_margin_is_refused():
    with pytest.raises(UserError, match="margin is -1, expected 0 pixels or more"):
        WarpAndInpaint(margin=-1)

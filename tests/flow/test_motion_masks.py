from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mimicbrush.errors import UserError
from mimicbrush.flow.motion_fields import Motion, motion_field, rotate, scale, stretch, translate
from mimicbrush.flow.motion_masks import (
    check_motion,
    describe_motion,
    edit_mask_of_keep_mask,
    moving_pixels,
    propose_mask,
)

THING = (slice(8, 17), slice(6, 19))
"""A block of 9 x 13 pixels around (12, 12)."""


def block(height: int = 32, width: int = 40) -> Tensor:
    mask = torch.zeros(1, 1, height, width)
    mask[..., *THING] = 1
    return mask


def flow_of(motion: Motion) -> Tensor:
    return motion_field(motion, 32, 40, mask=block())


@pytest.mark.parametrize(
    "motion",
    [translate(3, 0), rotate(30, centre=(12, 12)), scale(1.5, centre=(12, 12)), stretch(1.5, 1, centre=(12, 12))],
)
def test_the_whole_thing_moves_also_where_its_flow_is_zero(motion):
    assert torch.equal(moving_pixels(flow_of(motion)), block() > 0.5)


def test_a_gap_between_parts_that_move_together_stays_still():
    flow = flow_of(translate(3, 0))
    flow[..., 12] = 0
    assert not moving_pixels(flow)[..., 12].any()


def test_the_proposed_mask_covers_thing_landing_place_and_margin_only():
    proposed = propose_mask(flow_of(translate(15, 10)), margin=2)
    expected = torch.zeros(1, 1, 32, 40)
    expected[..., 6:19, 4:21] = 1
    expected[..., 16:29, 19:36] = 1
    assert torch.equal(proposed, expected)


def test_one_means_may_change_and_a_keep_mask_is_its_complement():
    flow = flow_of(translate(15, 10))
    proposed = propose_mask(flow)
    assert proposed[moving_pixels(flow)].min() == 1
    assert proposed[..., 0, 0] == 0
    keep = 1 - proposed
    check_motion(flow, edit_mask_of_keep_mask(keep))
    with pytest.raises(UserError, match=r"the mask lets 0% of the moving pixels change.*invert a mask of what to keep"):
        check_motion(flow, keep)


def test_a_thing_that_leaves_the_picture_is_refused_and_one_that_leaves_in_part_is_told():
    with pytest.raises(UserError, match="moves every pixel out of the picture; choose a shorter motion"):
        check_motion(flow_of(translate(-30, 0)))
    flow = flow_of(translate(-12.5, 0))
    check_motion(flow)
    assert describe_motion(flow) == ["54% of the moving pixels leave the picture"]


def test_a_pixel_that_is_sent_to_infinity_is_refused():
    flow = flow_of(translate(3, 0))
    flow[0, 0, 12, 12] = 1e30
    with pytest.raises(UserError, match=r"moves a pixel by 1e\+30 pixels, expected at most 1e\+06"):
        check_motion(flow)


def test_a_flow_that_moves_less_than_can_be_seen_is_refused():
    with pytest.raises(UserError, match="moves no pixel by more than 1e-05 pixels, so nothing would move"):
        check_motion(flow_of(translate(1e-5, 0)))


def test_a_full_mask_is_told():
    (hint,) = describe_motion(flow_of(translate(3, 0)), torch.ones(1, 1, 32, 40))
    assert "the mask is full, so the whole picture may change" in hint

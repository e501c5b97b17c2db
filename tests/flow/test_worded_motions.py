from __future__ import annotations

import pytest
import torch

from mimicbrush.errors import UserError
from mimicbrush.flow.motion_words import MotionWord, parse_words
from mimicbrush.flow.worded_motions import Box, box_of, worded_flow, worded_motion

BOX = Box(10, 20, 30, 24)
"""Its middle is (20, 22)."""


def moved(text: str, *points: tuple[float, float]) -> list:
    result = worded_motion(text, BOX)(torch.tensor(points, dtype=torch.float64)).tolist()
    return [tuple(round(number, 6) for number in point) for point in result]


def test_words_are_parsed_in_order():
    assert parse_words("translate 40 -2.5;rotate 15 ; ") == (
        MotionWord("translate", (40, -2.5)),
        MotionWord("rotate", (15,)),
    )


def test_capitals_and_commas_do_no_harm():
    assert parse_words("Translate 40, -2.5; ROTATE 15") == parse_words("translate 40 -2.5; rotate 15")


def test_parsed_words_are_written_as_they_are_read():
    text = "homography 1 2 3 4 5 6 7 8; stretch 0.5 2; bend -30"
    assert "; ".join(map(str, parse_words(text))) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "spin 90",
            "spin is not a motion; known are translate RIGHT DOWN, rotate DEGREES, scale FACTOR, .*bend DEGREES",
        ),
        ("translate 30\n5\nrotate 3", "'translate 30 5 rotate 3' has 4 after translate, expected 2 numbers"),
        ("translate 40", "'translate 40' has 1 after translate, expected 2 numbers .RIGHT DOWN."),
        ("rotate 1 2", "'rotate 1 2' has 2 after rotate, expected 1 number .DEGREES."),
        ("scale big", "'scale big' has big, expected a finite number"),
        ("rotate nan", "'rotate nan' has nan, expected a finite number"),
        ("bend 2000", "'bend 2000' bends by more than a full circle, expected -360 to 360"),
        ("scale 0", "'scale 0' has a factor of 0, expected a positive one"),
        ("rotate 1;" * 101, "the motion has 101 steps, expected at most 100; a flow file can hold any motion"),
        (" ; ", "the motion is empty, expected steps such as 'translate 40 0; rotate 15'"),
        ("spin 1; scale 0", "2 faults:"),
    ],
)
def test_faulty_words_are_refused_in_a_sentence(text, message):
    with pytest.raises(UserError, match=message):
        parse_words(text)


def test_each_word_acts_around_the_middle_of_the_box():
    assert moved("rotate 90", (20, 22), (30, 22)) == [(20, 22), (20, 32)]
    assert moved("scale 2", (20, 22), (30, 22)) == [(20, 22), (40, 22)]
    assert moved("stretch 0.5 3", (20, 22), (30, 23)) == [(20, 22), (25, 25)]


def test_the_middle_travels_with_the_object():
    points = (20, 22), (30, 22), (12, 25)
    assert moved("translate 40 0; rotate 90", *points) == moved("rotate 90; translate 40 0", *points)
    assert moved("translate 40 0; rotate 90", (30, 22)) == [(60, 32)]


def test_a_homography_moves_the_corners_of_the_box():
    corners = (10, 20), (30, 20), (30, 24), (10, 24)
    expected = [(11, 20), (30, 22), (33, 24), (10, 28)]
    assert moved("homography 1 0 0 2 3 0 0 4", *corners) == expected
    shifted = [(x + 5, y) for x, y in expected]
    assert moved("translate 5 0; homography 1 0 0 2 3 0 0 4", *corners) == shifted


def test_bending_turns_the_ends_of_the_box_by_the_angle_between_them():
    """The tangent at an end is turned by half the angle; the middle stays."""
    (left, along), middle = moved("bend 90", (10, 22), (10.001, 22)), moved("bend 90", (20, 22))
    slope = (along[1] - left[1]) / (along[0] - left[0])
    assert slope == pytest.approx(1, abs=0.01) and middle == [(20, 22)]


def test_a_box_reaches_to_the_edges_of_its_pixels():
    mask = torch.zeros(1, 1, 30, 40)
    mask[..., 20:24, 10:30] = 1
    assert box_of(mask) == Box(9.5, 19.5, 29.5, 23.5)


def test_the_flow_of_words_is_zero_outside_the_object():
    mask = torch.zeros(1, 1, 30, 40)
    mask[..., 20:24, 10:30] = 1
    flow = worded_flow("translate 3 -2", mask)
    assert (flow[0, :, 20:24, 10:30] == torch.tensor([3.0, -2.0])[:, None, None]).all()
    assert not flow[:, :, mask[0, 0] == 0].any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rotate 0", "'rotate 0' moves nothing; give a motion"),
        ("rotate 360", "'rotate 360' moves nothing"),
        ("homography 0 0 0 0 0 0 0 0", "moves nothing"),
        ("translate 100 0", "moves every pixel out of the picture"),
        ("homography 30 0 -30 0 0 0 0 0", "no convex quadrangle"),
        ("homography 30 0 -30 0 -30 0 30 0", "the corners have crossed, which would mirror the object"),
    ],
)
def test_motions_that_make_no_sense_are_refused(text, message):
    mask = torch.zeros(1, 1, 30, 40)
    mask[..., 20:24, 10:30] = 1
    with pytest.raises(UserError, match=message):
        worded_flow(text, mask)


def test_an_empty_mask_has_no_object():
    with pytest.raises(UserError, match="the object's mask is empty, so nothing would move"):
        worded_flow("rotate 3", torch.zeros(1, 1, 30, 40))

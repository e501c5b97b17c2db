from __future__ import annotations

import math

import pytest
import torch

from mimicbrush.errors import UserError
from mimicbrush.flow.motion_fields import (
    Motion,
    bend,
    compose,
    homography,
    motion_field,
    rotate,
    scale,
    stretch,
    translate,
)
from mimicbrush.flow.warping import splat_forward

SQUARE = ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0))


def moved(motion: Motion, *points: tuple[float, float]) -> list[list[float]]:
    return motion(torch.tensor(points, dtype=torch.float64)).tolist()


def near(expected: list) -> list:
    return [pytest.approx(point, abs=1e-9) for point in expected]


@pytest.mark.parametrize(
    ("motion", "expected"),
    [
        (translate(40, -3), [[41, -3], [40, -1]]),
        (rotate(90, centre=(0, 0)), [[0, 1], [-2, 0]]),
        (rotate(180, centre=(1, 1)), [[1, 2], [2, 0]]),
        (scale(3, centre=(0, 2)), [[3, -4], [0, 2]]),
        (stretch(2, 0.5, centre=(0, 0)), [[2, 0], [0, 1]]),
        (compose(), [[1, 0], [0, 2]]),
        (compose(translate(1, 0), rotate(90, centre=(0, 0))), [[0, 2], [-2, 1]]),
        (compose(rotate(90, centre=(0, 0)), translate(1, 0)), [[1, 1], [-1, 0]]),
    ],
)
def test_points_go_where_they_are_sent(motion, expected):
    assert moved(motion, (1, 0), (0, 2)) == near(expected)


def test_a_homography_moves_the_corners_and_keeps_lines_straight():
    after = ((1.0, 2.0), (9.0, 0.0), (12.0, 11.0), (-1.0, 8.0))
    motion = homography(SQUARE, after)
    assert moved(motion, *SQUARE) == near(list(after))
    start, middle, end = torch.tensor(moved(motion, (0, 0), (3, 3), (10, 10)))
    along, beyond = middle - start, end - start
    assert float(along[0] * beyond[1] - along[1] * beyond[0]) == pytest.approx(0, abs=1e-4)


def test_a_bent_bar_keeps_the_length_of_its_middle_and_turns_its_ends():
    motion = bend(90, centre=(50, 20), length=40)
    line = torch.tensor(moved(motion, *((30 + 0.1 * step, 20.0) for step in range(401))))
    steps = line.diff(dim=0)
    assert float(steps.norm(dim=1).sum()) == pytest.approx(40, rel=1e-4)
    first, last = (math.degrees(math.atan2(*step.flip(0).tolist())) for step in (steps[0], steps[-1]))
    assert first - last == pytest.approx(90, abs=0.5)
    assert moved(motion, (50, 20), (50, 14)) == near([[50, 20], [50, 14]])
    assert line[0, 1] == pytest.approx(line[-1, 1]) and line[0, 1] < 20
    assert torch.tensor(moved(bend(-90, centre=(50, 20), length=40), (30, 20)))[0, 1] > 20
    assert moved(bend(0, centre=(0, 0), length=4), (1, 2)) == [[1, 2]]


def test_a_field_is_zero_outside_the_thing_and_moves_it_where_the_motion_says():
    mask = torch.zeros(1, 1, 20, 30)
    mask[..., 4:8, 5:9] = 1
    flow = motion_field(translate(7, 3), 20, 30, mask=mask)
    assert flow.shape == (1, 2, 20, 30) and flow.dtype == torch.float32
    assert torch.equal(flow[:, 0], 7 * mask[0]) and torch.equal(flow[:, 1], 3 * mask[0])
    landed = splat_forward(mask, flow, importance=50 * mask)[0]
    assert torch.equal(landed[..., 7:11, 12:16], torch.ones(1, 1, 4, 4))


def test_the_centre_of_a_turn_stays():
    flow = motion_field(compose(rotate(33, centre=(4, 3)), scale(1.5, centre=(4, 3))), 7, 9)
    assert flow[0, :, 3, 4].abs().max() < 1e-6 and flow[0, :, 0, 0].abs().max() > 1


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: stretch(0, 1, centre=(0, 0)), "factors are 0 and 1, expected positive numbers"),
        (lambda: homography(SQUARE[:3], SQUARE), "3 and 4 corners were given, expected 4 each"),
        (
            lambda: homography(SQUARE, (*SQUARE[:2], (2.0, 1.0), SQUARE[3])),
            "the corners after the motion make no convex",
        ),
        (lambda: bend(90, centre=(0, 0), length=0), "length is 0, expected the positive width"),
    ],
)
def test_impossible_motions_are_refused(build, message):
    with pytest.raises(UserError, match=message):
        build()

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from mimicbrush.demo.strokes import Stroke, crop_box, draw_mask


def painted(*strokes: Stroke, size: tuple[int, int] = (60, 40), start: Image.Image | None = None) -> np.ndarray:
    return np.asarray(draw_mask(strokes, size, start))


def test_a_dot_covers_its_disc():
    mask = painted(Stroke(tool="brush", size=20, points=[(30.5, 20.5)]))
    assert mask.shape == (40, 60) and set(np.unique(mask)) == {0, 255}
    assert mask[20, 30] == mask[20, 39] == mask[11, 30] == 255
    assert mask[20, 43] == mask[7, 30] == 0
    assert (mask > 0).sum() == pytest.approx(np.pi * 100, rel=0.15)


def test_a_line_is_as_wide_as_its_brush_and_ends_round():
    mask = painted(Stroke(tool="brush", size=10, points=[(15, 20), (45, 20)]))
    assert abs((mask[:, 30] > 0).sum() - 10) <= 1
    assert mask[20, 10] == 255 and mask[16, 10] == 0


def test_an_eraser_removes_earlier_strokes():
    box = Stroke(tool="box", points=[(50, 30), (10, 5)])
    eraser = Stroke(tool="eraser", size=8, points=[(30, 0), (30, 40)])
    assert np.array_equal(painted(box)[5:30, 10:50], np.full((25, 40), 255)) and painted(box).sum() == 255 * 25 * 40
    assert painted(box, eraser)[15, 30] == 0 and painted(eraser, box)[15, 30] == 255


def test_strokes_extend_an_uploaded_mask_and_may_leave_the_picture():
    start = Image.fromarray(np.pad(np.full((10, 10), 255, np.uint8), ((0, 30), (0, 50))))
    mask = painted(Stroke(tool="brush", size=6, points=[(55, 35), (900, 35)]), start=start)
    assert mask[5, 5] == 255 and mask[35, 59] == 255 and mask[20, 30] == 0


def test_the_smallest_brush_paints_single_pixels():
    mask = painted(Stroke(tool="brush", size=1, points=[(10.5, 20.5), (14.5, 20.5)]))
    assert np.argwhere(mask).tolist() == [[20, x] for x in range(10, 15)]


def test_a_mask_is_inverted_and_grows_and_shrinks_by_a_disc():
    dot = Stroke(tool="box", points=[(30, 20), (31, 21)])
    grown = painted(dot, Stroke(tool="grow", size=5, points=[(0, 0)])) > 0
    rows, columns = np.indices(grown.shape)
    assert np.array_equal(grown, (rows - 20) ** 2 + (columns - 30) ** 2 <= 25)
    inverted = painted(dot, Stroke(tool="invert", points=[(0, 0)]))
    assert inverted[20, 30] == 0 and (inverted == 255).sum() == inverted.size - 1
    corner = Stroke(tool="box", points=[(0, 0), (20, 10)])
    shrunk = painted(corner, Stroke(tool="shrink", size=3, points=[(0, 0)]))
    assert np.array_equal(shrunk[:7, :17], np.full((7, 17), 255)) and shrunk.sum() == 255 * 7 * 17
    for tool in ("grow", "shrink"):
        change = Stroke(tool=tool, size=3, points=[(0, 0)])
        assert not painted(change).any() and painted(Stroke(tool="invert", points=[(0, 0)]), change).all()


def test_a_crop_is_the_last_box_within_the_picture():
    boxes = [Stroke(tool="box", points=[(1, 1), (5, 5)]), Stroke(tool="box", points=[(70, 12.4), (20, -3)])]
    assert crop_box(boxes, (60, 40)) == [20, 0, 60, 12]
    assert crop_box([], (60, 40)) is None
    assert crop_box([Stroke(tool="box", points=[(5, 5)])], (60, 40)) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"points": [(float("nan"), 1)]},
        {"points": []},
        {"size": float("inf")},
        {"tool": "bucket"},
        {"points": [(1e9, 0)]},
    ],
)
def test_invalid_strokes_are_refused(changes):
    with pytest.raises(ValidationError):
        Stroke(**{"tool": "brush", "size": 5, "points": [(1, 1)]} | changes)

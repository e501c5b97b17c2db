from __future__ import annotations

import numpy as np
import pytest

from data_prep.config import ObjectMaskConfig
from data_prep.stills.coco_masks import choose_masks, decode_segmentation, draw_polygons
from data_prep.stills.rle import encode_rle
from mimicbrush.errors import UnusableInput

SHAPE = (20, 30)
SQUARE = np.zeros(SHAPE, bool)
SQUARE[5:15, 10:20] = True
CORNERS = [10, 5, 20, 5, 20, 15, 10, 15]
RUNS = [205, *[10, 10] * 9, 10, 205]
"""The square's columns, from the top left corner downwards."""


@pytest.mark.parametrize(
    "segmentation",
    [
        {"size": [20, 30], "counts": encode_rle(SQUARE)},
        {"size": [20, 30], "counts": RUNS},
        [CORNERS],
        [[10, 5, 15, 5, 15, 15, 10, 15], [15, 5, 20, 5, 20, 15, 15, 15]],
    ],
    ids=["compressed", "run lengths", "polygon", "two polygons"],
)
def test_every_form_of_a_mask_is_read(segmentation: object) -> None:
    assert np.array_equal(decode_segmentation(segmentation, SHAPE), SQUARE)


def test_polygons_are_filled_as_by_pycocotools() -> None:
    # Pixels of pycocotools 2.0's own masks, counted.
    triangle, star = (
        [3.5, 2.25, 27.0, 8.5, 9.75, 18.0],
        [15, 1, 18, 8, 27, 8, 20, 12, 23, 19, 15, 14, 7, 19, 10, 12, 3, 8, 12, 8],
    )
    assert draw_polygons([triangle], SHAPE).sum() == pytest.approx(163, abs=3)
    assert draw_polygons([star], SHAPE).sum() == pytest.approx(142, abs=5)
    assert draw_polygons([[-5, -5, 5, -5, 5, 5, -5, 5]], SHAPE).sum() == 25


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        (None, "bad_mask"),
        ([], "bad_mask"),
        ([[1, 2, 3, 4]], "bad_mask"),
        ([[1, 2, 3, 4, 5, 6, 7]], "bad_mask"),
        ([[1, 2, 3, 4, 5, None]], "bad_mask"),
        ([{"x": 1}], "bad_mask"),
        ({"size": [20, 30], "counts": [1, 2]}, "bad_mask"),
        ({"size": [20, 30], "counts": [-600, 1200]}, "bad_mask"),
        ({"size": [20, 30], "counts": None}, "bad_mask"),
        ({"counts": [600]}, "bad_mask"),
        ({"size": [30, 20], "counts": [600]}, "mask_size"),
    ],
)
def test_bad_masks_are_named(segmentation: object, reason: str) -> None:
    with pytest.raises(UnusableInput) as caught:
        decode_segmentation(segmentation, SHAPE)
    assert caught.value.reason == reason


def test_polygons_belong_to_a_picture_of_the_stated_size() -> None:
    with pytest.raises(UnusableInput, match="mask_size"):
        decode_segmentation([CORNERS], SHAPE, stated=(40, 60))


def test_a_bad_annotation_loses_itself_alone() -> None:
    good = {"area": 100, "predicted_iou": 0.95, "stability_score": 0.95, "segmentation": [CORNERS]}
    notes = [
        good,
        {**good, "predicted_iou": None},
        {**good, "area": "large"},
        {**good, "segmentation": [[1]]},
        "no object",
    ]
    masks, faults = choose_masks(notes, SHAPE, ObjectMaskConfig(), np.random.default_rng(0))
    assert [mask.sum() for mask in masks] == [100]
    assert faults == {"bad_rating": 2, "bad_mask": 2}
    with pytest.raises(UnusableInput, match="bad_rating: area, predicted_iou and stability_score must be numbers"):
        choose_masks(notes[1:3], SHAPE, ObjectMaskConfig(), np.random.default_rng(0))
    with pytest.raises(UnusableInput, match=r"none of 2 masks passes the limits, 1 are faulty"):
        choose_masks([{**good, "area": 1}, notes[3]], SHAPE, ObjectMaskConfig(), np.random.default_rng(0))

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from scipy.ndimage import find_objects

from mimicbrush.data.mask_batches import bounding_box
from mimicbrush.pictures.mask_geometry import count_touched_sides, grow, longer_side, mask_box

MASKS = [np.random.default_rng(seed).random((23, 31)) > (0.5 if seed % 3 else 0.99) for seed in range(30)]
MASKS = [mask for mask in MASKS if mask.any()]


@pytest.mark.parametrize("mask", MASKS)
def test_the_box_is_that_of_scipy_and_opencv(mask):
    rows, columns = mask_box(mask)
    assert (rows, columns) == find_objects(mask.astype(int))[0]
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    assert (rows.start, rows.stop, columns.start, columns.stop) == (top, top + height, left, left + width)
    assert longer_side((rows, columns)) == max(width, height)


def test_a_tensor_has_the_box_of_its_array():
    assert all(mask_box(torch.from_numpy(mask)) == mask_box(mask) for mask in MASKS)


def test_boxes_of_a_batch_are_those_of_its_masks():
    squares = [np.pad(mask, ((4, 4), (0, 0))) for mask in MASKS]
    filled = bounding_box(torch.from_numpy(np.stack(squares))[:, None])
    for square, box in zip(squares, filled[:, 0].numpy(), strict=True):
        expected = np.zeros_like(square)
        expected[mask_box(square)] = True
        assert np.array_equal(box, expected)


def test_an_empty_mask_has_no_box():
    with pytest.raises(ValueError, match="empty"):
        mask_box(np.zeros((3, 4), bool))


@pytest.mark.parametrize(("rows", "columns", "count"), [((1, 3), (1, 3), 0), ((0, 3), (1, 3), 1), ((0, 4), (0, 5), 4)])
def test_touched_sides_are_counted(rows, columns, count):
    mask = np.zeros((4, 5), bool)
    mask[slice(*rows), slice(*columns)] = True
    assert count_touched_sides(mask) == count


def test_a_mask_grows_in_rows_and_columns_and_its_border_is_that_of_opencv():
    mask = np.zeros((9, 11), bool)
    mask[4, 5] = True
    expected = np.zeros_like(mask)
    expected[2:7, 3:8] = True
    assert np.array_equal(grow(mask, 2), expected)
    window = np.ones((5, 5), np.uint8)
    for each in MASKS:
        levels = each.astype(np.uint8)
        assert np.array_equal(grow(each, 2) & grow(~each, 2), cv2.dilate(levels, window) != cv2.erode(levels, window))

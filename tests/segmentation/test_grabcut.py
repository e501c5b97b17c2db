from __future__ import annotations

import numpy as np
from PIL import Image

from mimicbrush.segmentation.grabcut import largest_piece, resize_mask, segment_grabcut
from mimicbrush.segmentation.prompt import SegmentationPrompt, box_mask, central_box


def test_the_red_square_in_the_box_is_found():
    square = box_mask((20, 10, 50, 30), 80, 60)
    colours = np.where(square[..., None], (200, 40, 40), (40, 60, 200))
    noise = np.random.default_rng(0).integers(0, 20, (60, 80, 3))
    image = Image.fromarray((colours + noise).astype(np.uint8))
    found = segment_grabcut(image, (12, 6, 60, 40), iterations=3, seed=0)
    assert np.array_equal(found, square)
    assert resize_mask(found, (160, 120)).shape == (120, 160)


def test_the_largest_piece_is_kept_and_its_hole_filled():
    mask = box_mask((0, 0, 5, 5), 12, 8)
    ring = mask.copy()
    ring[2, 2] = False
    assert np.array_equal(largest_piece(ring | box_mask((9, 6, 11, 8), 12, 8)), mask)


def test_boxes_are_whole_pixels_at_the_picture_size():
    prompt = SegmentationPrompt(box=(10, 20, 30.4, 41.2))
    assert prompt.scaled(0.5).whole_box() == (5, 10, 15, 21)
    assert prompt.fits(31, 42) and not prompt.fits(30, 42)
    assert central_box(100, 40, 0.9) == (5, 2, 95, 38)

"""Previews of a motion: what is cut out, where it lands, and what may change."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from mimicbrush.demo.motion.motion_preview import (
    preview_motion,
    preview_object,
    worded_flow_of,
)
from mimicbrush.errors import UserError
from mimicbrush.pictures.geometry import shrink_to


@pytest.fixture
def picture() -> Tensor:
    """A red object of 20 x 10 pixels on blue."""
    picture = torch.zeros(3, 60, 80)
    picture[2] = 1
    picture[:, 20:30, 10:30] = torch.tensor([1.0, 0, 0])[:, None, None]
    return picture


@pytest.fixture
def mask(picture) -> Tensor:
    return picture[:1].clone()


def levels(path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_the_object_is_cut_out(picture, mask, tmp_path):
    found = preview_object(picture, mask, tmp_path)
    assert found.box == (10, 20, 30, 30)
    cutout = levels(found.cutout)
    assert np.array_equal(cutout[..., 3] > 0, mask[0].numpy() > 0) and (cutout[25, 15] == [255, 0, 0, 255]).all()


def test_the_object_is_shown_at_its_new_place_with_what_may_change(picture, mask, tmp_path):
    moved = preview_motion(picture, mask, worded_flow_of("translate 40 5", mask), tmp_path, margin=2)
    red = levels(moved.warped)[..., 0] > 127
    expected = np.zeros((60, 80), bool)
    expected[25:35, 50:70] = True
    expected |= mask[0].numpy() > 0
    assert np.array_equal(red, expected)
    may_change = levels(moved.mask)[..., 3] > 127
    assert may_change[expected].all() and not may_change[:, 40:45].any() and not may_change[:15].any()
    assert len(moved.arrows) == 3 * 7 and all(arrow[2:] == (40, 5) for arrow in moved.arrows)
    assert all(10 < x < 30 and 20 < y < 30 for x, y, *_ in moved.arrows)


@pytest.mark.parametrize("words", ["translate 12 -6", "rotate 90", "stretch 2 1", "homography 8 0 -8 0 0 0 0 0"])
def test_a_scaled_preview_shows_the_same_motion(picture, mask, tmp_path, words):
    full = preview_motion(picture, mask, worded_flow_of(words, mask), tmp_path, margin=2)
    in_full = levels(full.warped)[..., 0].astype(float)
    small = preview_motion(shrink_to(picture, 40), mask, worded_flow_of(words, mask), tmp_path, margin=2)
    in_small = np.kron(levels(small.warped)[..., 0], np.ones((2, 2)))
    assert in_small.shape == in_full.shape and np.abs(in_small - in_full).mean() < 6
    if words.startswith("translate"):
        assert {arrow[2:] for arrow in small.arrows} == {arrow[2:] for arrow in full.arrows} == {(12, -6)}


def test_motions_that_make_no_sense_are_refused_in_a_sentence(picture, mask, tmp_path):
    for words, sentence in (
        ("translate 500 0", "moves every pixel out of the picture"),
        ("fly 5", "fly is not a motion"),
        ("homography 60 0 -60 0 0 0 0 0", "no convex quadrangle"),
    ):
        with pytest.raises(UserError, match=sentence):
            preview_motion(picture, mask, worded_flow_of(words, mask), tmp_path, margin=2)

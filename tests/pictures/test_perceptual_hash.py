from __future__ import annotations

import cv2
import numpy as np

from mimicbrush.pictures.perceptual_hash import MAX_DISTANCE, distance, hash_parts, invert, perceptual_hash
from tests.data_prep.conftest import texture


def grey(seed: int) -> np.ndarray:
    return cv2.cvtColor(texture(seed), cv2.COLOR_RGB2GRAY)


def test_a_scaled_picture_is_near_and_another_is_far():
    shown = grey(0)
    assert distance(perceptual_hash(shown), perceptual_hash(cv2.resize(shown, (90, 60)))) <= MAX_DISTANCE
    assert all(distance(perceptual_hash(shown), perceptual_hash(grey(seed))) > MAX_DISTANCE for seed in range(1, 30))


def test_parts_are_the_whole_and_its_quarters_and_flat_ones_have_no_hash():
    shown = grey(0)
    shown[:80, :120] = 128
    parts = hash_parts(shown)
    assert parts[0] == perceptual_hash(shown) and parts[1] is None and parts[4] == perceptual_hash(shown[80:, 120:])


def test_an_inverted_hash_differs_in_every_bit():
    word = perceptual_hash(grey(0))
    assert distance(word, invert(word)) == 64 and invert(invert(word)) == word

from __future__ import annotations

import numpy as np
import pytest

from data_prep.stills.rle import decode_compressed_runs, encode_rle

BY_HAND = [
    ("4", [[0, 0], [0, 0]]),
    ("04", [[1, 1], [1, 1]]),
    ("22", [[0, 1], [0, 1]]),  # column by column
    ("1112", [[0], [1], [0], [1], [1], [1]]),  # the fourth run, 3, is written as 3 - 1
    ("`0", np.zeros((4, 4))),  # 16 sets the sign bit, so a zero group follows
    ("X1", np.zeros((5, 8))),  # 40 = 8 + 32 * 1
]


@pytest.mark.parametrize(("counts", "mask"), BY_HAND)
def test_known_strings(counts: str, mask: list) -> None:
    expected = np.array(mask, bool)
    assert np.array_equal(decode_compressed_runs(counts, *expected.shape), expected)
    assert encode_rle(expected) == counts


def test_random_masks_come_back() -> None:
    generator = np.random.default_rng(0)
    for share in (0.01, 0.5, 0.99):
        mask = generator.random((37, 53)) < share
        assert np.array_equal(decode_compressed_runs(encode_rle(mask), 37, 53), mask)


@pytest.mark.parametrize("counts", ["3", "5", "X", "4\x10", "04N"])
def test_damaged_strings_are_refused(counts: str) -> None:
    with pytest.raises(ValueError, match=r"mask|pixels"):
        decode_compressed_runs(counts, 2, 2)

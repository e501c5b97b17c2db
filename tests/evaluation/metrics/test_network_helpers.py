from __future__ import annotations

import numpy as np
import pytest
import torch

from mimicbrush.evaluation.metrics.network_helpers import ResultCache, exactly


def arithmetic() -> tuple:
    cudnn = torch.backends.cudnn
    matrix = torch.get_float32_matmul_precision()
    return matrix, cudnn.enabled, cudnn.allow_tf32, cudnn.deterministic, torch.is_grad_enabled()


def test_full_float32_within_and_all_as_it_was_after():
    before = arithmetic()
    torch.set_float32_matmul_precision("high")
    try:
        with exactly():
            assert arithmetic() == ("highest", True, False, True, False)
        assert arithmetic() == ("high", *before[1:])
        with pytest.raises(KeyError), exactly():
            raise KeyError
        assert arithmetic() == ("high", *before[1:])
    finally:
        torch.set_float32_matmul_precision(before[0])


def pictures(*values: int) -> list[np.ndarray]:
    return [np.full((2, 3, 3), value, np.uint8) for value in values]


def test_equal_pictures_are_computed_once_and_come_in_order():
    cache, computed = ResultCache(size=10), []

    def compute(unknown: list[np.ndarray]) -> list[int]:
        computed.append([int(picture.max()) for picture in unknown])
        return [10 * value for value in computed[-1]]

    assert cache.look_up(pictures(1, 2, 1), compute) == [10, 20, 10]
    assert cache.look_up(pictures(3, 2), compute) == [30, 20]
    assert computed == [[1, 2], [3]]


def test_same_bytes_of_another_shape_are_another_picture():
    cache = ResultCache(size=10)
    (picture,) = pictures(1)
    cache.look_up([picture], lambda unknown: ["flat"])
    assert cache.look_up([picture.reshape(3, 2, 3)], lambda unknown: ["tall"]) == ["tall"]


def test_the_cache_is_bounded_and_forgets_what_was_used_longest_ago():
    cache, asked = ResultCache(size=2), []

    def compute(unknown: list[np.ndarray]) -> list[int]:
        asked.extend(int(picture.max()) for picture in unknown)
        return [0] * len(unknown)

    for value in (1, 2, 1, 3, 1, 2):
        cache.look_up(pictures(value), compute)
    assert asked == [1, 2, 3, 2]
    # More at once than it holds.
    assert cache.look_up(pictures(4, 5, 6), compute) == [0, 0, 0]

from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import structural_similarity as reference_similarity

from data_prep.frames.ssim import moments, similarity_map, structural_similarity
from tests.data_prep.conftest import texture


@pytest.mark.parametrize("shape", [(256, 455), (144, 200), (7, 7), (65, 33)])
@pytest.mark.parametrize("level", [0, 3, 128, 250])
def test_similarity_equals_scikit_image(shape: tuple[int, int], level: int) -> None:
    generator = np.random.default_rng(0)
    flat = np.full(shape, level)
    pictures = [texture(1, 464, 464)[: shape[0], : shape[1], 0], flat]
    pictures += [flat + generator.normal(0, noise, shape) for noise in (2, 60, 255)]
    frames = [np.clip(picture, 0, 255).astype(np.uint8) for picture in pictures]
    for first in frames:
        for second in frames:
            expected = reference_similarity(first, second, data_range=255)
            assert structural_similarity(first, second) == pytest.approx(expected, abs=1e-6)


def test_the_map_shows_where_frames_differ() -> None:
    first, second = texture(0)[..., 0], texture(0)[..., 0].copy()
    second[40:60, 100:120] = 255 - second[40:60, 100:120]
    local = similarity_map(moments(first), moments(second))
    assert local.shape == (first.shape[0] - 6, first.shape[1] - 6)
    assert local[40:50, 100:110].max() < 0.5 < local[:30].min()


def test_unfit_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        structural_similarity(np.zeros((9, 9), np.uint8), np.zeros((9, 10), np.uint8))
    with pytest.raises(ValueError, match="sides of 7"):
        moments(np.zeros((6, 9), np.uint8))

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from skimage.metrics import structural_similarity as reference_similarity

from data_prep.pairs import PairConfig, sample_times, select_pairs, structural_similarity
from data_prep.shard_videos import VideoShardConfig
from data_prep.video import Frame
from mimicbrush.config import parse_config
from mimicbrush.errors import UserError
from tests.data_prep.conftest import panning_frames, texture


def frames_of(images: list[np.ndarray], gap: float = 0.5) -> list[Frame]:
    return [Frame(gap * number, image, "pyav") for number, image in enumerate(images)]


@pytest.mark.parametrize("shape", [(144, 200), (7, 7), (65, 33)])
def test_similarity_equals_scikit_image(shape: tuple[int, int]) -> None:
    generator = np.random.default_rng(0)
    first = generator.integers(0, 256, shape).astype(np.uint8)
    for noise in (0, 5, 60, 255):
        second = np.clip(first + generator.normal(0, noise, shape), 0, 255).astype(np.uint8)
        expected = reference_similarity(first, second, data_range=255)
        assert structural_similarity(first, second) == pytest.approx(expected, abs=1e-6)


def test_similarity_refuses_other_shapes() -> None:
    with pytest.raises(ValueError, match="one shape"):
        structural_similarity(np.zeros((9, 9), np.uint8), np.zeros((9, 10), np.uint8))


def test_pairs_lie_in_the_band_and_apart_in_time() -> None:
    config = PairConfig(ssim_low=0.3, ssim_high=0.7, min_gap=1.0, pairs_per_clip=5)
    selection = select_pairs(frames_of(panning_frames(0, num=16)), config, np.random.default_rng(0))
    assert 0 < len(selection.pairs) <= 5
    assert any(not 0.3 <= score <= 0.7 for score in selection.scores)
    for pair in selection.pairs:
        assert 0.3 <= pair.similarity <= 0.7
        assert pair.second.time - pair.first.time >= 1.0
    assert len({(pair.first.time, pair.second.time) for pair in selection.pairs}) == len(selection.pairs)


def test_pairs_spread_over_the_band() -> None:
    config = PairConfig(ssim_low=0.0, ssim_high=1.0, min_gap=0, pairs_per_clip=3)
    selection = select_pairs(frames_of(panning_frames(0, num=12, step=1)), config, np.random.default_rng(0))
    filled = {int(score * 3) for score in selection.scores}
    assert {int(pair.similarity * 3) for pair in selection.pairs} == filled


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        ([np.zeros((64, 64, 3), np.uint8)] * 3, "near_black"),
        ([np.full((64, 64, 3), 128, np.uint8)] * 3, "blurred"),
        ([texture(0)] * 3, "near_duplicate"),
        ([texture(0)], "too_short"),
        ([texture(seed) for seed in range(3)], "no_pair_in_band"),
        ([np.full((4, 64, 3), 128, np.uint8)] * 3, "too_small"),
    ],
)
def test_a_clip_without_pairs_says_why(images: list[np.ndarray], reason: str) -> None:
    selection = select_pairs(frames_of(images), PairConfig(ssim_low=0.5), np.random.default_rng(0))
    assert (selection.pairs, selection.reason) == ([], reason)


def test_times_rise_within_the_clip() -> None:
    times = sample_times(10.0, PairConfig(), np.random.default_rng(0))
    assert len(times) == 12
    assert times == sorted(times)
    assert 0.2 <= times[0] <= times[-1] <= 9.6


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"ssim_low": 0.9, "ssim_high": 0.2}, "ssim_low"),
        ({"ssim_low": -1.5}, "ssim_low"),
        ({"ssim_high": 1.2}, "ssim_high"),
        ({"frames_per_clip": 1}, "frames_per_clip"),
        ({"pairs_per_clip": 0}, "pairs_per_clip"),
        ({"min_gap": -1.0}, "min_gap"),
    ],
)
def test_bad_settings_name_their_field(fields: dict, named: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=named):
        PairConfig(**fields)
    argv = ["--videos", str(tmp_path), "--output", str(tmp_path / "out")]
    argv += [f"--pairs.{name}={value}" for name, value in fields.items()]
    with pytest.raises(UserError, match=named):
        parse_config(VideoShardConfig, argv)

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from data_prep.clips.clip_record import ClipRecord
from data_prep.clips.pairs import Selection, select_pairs
from data_prep.clips.shots import Shot
from data_prep.config import PairConfig, VideoShardConfig
from mimicbrush.config import parse_config
from mimicbrush.errors import UserError
from mimicbrush.video.decoded_clip import Frame
from tests.data_prep.conftest import panning_frames, texture


def shot_of(images: list[np.ndarray], gap: float = 0.5) -> Shot:
    return Shot([Frame(gap * number, image) for number, image in enumerate(images)], [], {})


def scores(selection: Selection) -> list[float]:
    return [pair.similarity for pair in selection.candidates]


def test_pairs_lie_in_the_band_and_apart_in_time() -> None:
    config = PairConfig(ssim_low=0.3, ssim_high=0.7, min_gap=1.0, pairs_per_shot=5)
    selection = select_pairs(shot_of(panning_frames(0, num=16)), config, np.random.default_rng(0))
    assert 0 < len(selection.pairs) <= 5
    assert any(not 0.3 <= score <= 0.7 for score in scores(selection))
    for pair in selection.pairs:
        assert 0.3 <= pair.similarity <= 0.7
        assert pair.second.time - pair.first.time >= 1.0
    assert len({(pair.first.time, pair.second.time) for pair in selection.pairs}) == len(selection.pairs)


def test_pairs_spread_over_the_band() -> None:
    config = PairConfig(ssim_low=0.0, ssim_high=1.0, min_gap=0, pairs_per_shot=3)
    selection = select_pairs(shot_of(panning_frames(0, num=12, step=1)), config, np.random.default_rng(0))
    filled = {int(score * 3) for score in scores(selection)}
    assert {int(pair.similarity * 3) for pair in selection.pairs} == filled


def test_pairs_spread_over_gaps_and_frames() -> None:
    config = PairConfig(ssim_low=-1.0, ssim_high=1.0, min_gap=0, min_changed=0, pairs_per_shot=6)
    pairs = select_pairs(shot_of(panning_frames(0, num=12)), config, np.random.default_rng(0)).pairs
    gaps = [pair.gap for pair in pairs]
    assert min(gaps) <= 11 * 0.5 / 3 < 2 * 11 * 0.5 / 3 <= max(gaps)
    assert len({frame.time for pair in pairs for frame in (pair.first, pair.second)}) >= 8


def test_a_still_scene_is_too_alike_whatever_its_grain() -> None:
    generator = np.random.default_rng(0)
    still = texture(0).astype(float)
    grainy = [np.clip(still + generator.normal(0, 12, still.shape), 0, 255).astype(np.uint8) for _ in range(3)]
    config = PairConfig(ssim_low=0.0, ssim_high=0.99)
    selection = select_pairs(shot_of(grainy), config, generator)
    assert max(scores(selection)) < 0.9
    assert selection.dropped_pairs == {"too_alike": 3}
    moved = [np.roll(image, 30 * number, axis=1) for number, image in enumerate(grainy)]
    assert select_pairs(shot_of(moved), config, generator).pairs


def test_no_pair_lies_across_unseen_frames_of_other_colours() -> None:
    images = [*panning_frames(0, num=6), *panning_frames(1, num=6)]
    colours = {0.5 * number: np.eye(2, dtype=np.float32)[number // 6] for number in range(12)}
    shot = shot_of(images)._replace(gaps=[3.0], colours=colours)
    config = PairConfig(ssim_low=-1.0, ssim_high=1.0, min_changed=0, pairs_per_shot=99)
    selection = select_pairs(shot, config, np.random.default_rng(0))
    assert selection.dropped_pairs["cut_between"] == 36
    assert all((pair.first.time < 3) == (pair.second.time < 3) for pair in selection.pairs)
    assert len(selection.examples["cut_between"]) == 2


def grainy_ground(seed: int, height: int = 320, width: int = 480) -> np.ndarray:
    """(H, W, 3) detail so fine that the SSIM of shifted views is near 0, as that of gravel or grass."""
    noise = np.random.default_rng(seed).normal(0, 1, (height, width, 3)).astype(np.float32)
    return np.clip(128 + 160 * cv2.GaussianBlur(noise, (0, 0), 1.2), 0, 255).astype(np.uint8)


def handheld_views(seed: int, num: int = 6) -> list[np.ndarray]:
    ground = grainy_ground(seed)
    return [np.ascontiguousarray(ground[5 * i : 5 * i + 240, 9 * i : 9 * i + 320]) for i in range(num)]


def test_matches_vouch_for_pairs_below_the_band() -> None:
    config = PairConfig(pairs_per_shot=5)
    selection = select_pairs(shot_of(handheld_views(0)), config, np.random.default_rng(0))
    assert max(scores(selection)) < config.ssim_low
    assert len(selection.pairs) == 5
    assert all(pair.is_vouched for pair in selection.pairs)
    assert selection.dropped_pairs["too_unlike"] == 15 - 5
    record = ClipRecord()
    record.add_shot(selection, [[] for _ in selection.pairs])
    assert record.summarise()["vouched"] == 5
    paper = select_pairs(shot_of(handheld_views(0)), PairConfig(vouching=False), np.random.default_rng(0))
    assert (paper.pairs, paper.dropped_pairs["too_unlike"]) == ([], 15)


def test_pairs_in_the_band_come_first() -> None:
    config = PairConfig(pairs_per_shot=3, ssim_high=1.0, min_changed=0)
    images = [*panning_frames(0, num=3, side=240), *[view[:, :240] for view in handheld_views(0, num=3)]]
    several = select_pairs(shot_of(images), config, np.random.default_rng(0)).pairs
    assert [pair.is_vouched for pair in several] == [False] * 3
    few = select_pairs(shot_of(images[1:]), config, np.random.default_rng(0)).pairs
    assert [pair.is_vouched for pair in few] == [False, True, True]


def test_nothing_vouches_for_unrelated_frames_below_one_logo() -> None:
    images = [grainy_ground(seed, 240, 320) for seed in range(4)]
    for image in images:
        image[10:70, 10:90] = grainy_ground(9, 60, 80)
    assert select_pairs(shot_of(images), PairConfig(), np.random.default_rng(0)).pairs == []


def test_nothing_vouches_for_a_still_scene_below_noise() -> None:
    generator = np.random.default_rng(0)
    still = texture(0, 240, 320).astype(float)
    images = [
        np.clip(still * gain + generator.normal(0, 40, still.shape), 0, 255).astype(np.uint8) for gain in (1, 0.6)
    ]
    selection = select_pairs(shot_of(images), PairConfig(ssim_low=0.6), generator)
    assert max(scores(selection)) < 0.6
    assert selection.pairs == []


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        ([np.zeros((64, 64, 3), np.uint8)] * 3, "near_black"),
        ([np.full((64, 64, 3), 128, np.uint8)] * 3, "blurred"),
        ([texture(0)] * 3, "near_duplicate"),
        ([texture(0)], "too_short"),
        ([texture(seed) for seed in range(3)], "too_unlike"),
        ([texture(seed)[:15] for seed in range(3)], "too_small"),
        ([np.tile(texture(seed), (1, 9, 1)) for seed in range(3)], "too_small"),
    ],
)
def test_a_clip_without_pairs_says_why(images: list[np.ndarray], reason: str) -> None:
    record = ClipRecord()
    record.add_shot(select_pairs(shot_of(images), PairConfig(ssim_low=0.5), np.random.default_rng(0)), [])
    assert (record.num_pairs, record.summarise()["status"]) == (0, reason)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"ssim_low": 0.9, "ssim_high": 0.2}, "ssim_low"),
        ({"ssim_low": -1.5}, "ssim_low"),
        ({"ssim_high": 1.2}, "ssim_high"),
        ({"frames_per_shot": 1}, "frames_per_shot"),
        ({"pairs_per_shot": 0}, "pairs_per_shot"),
        ({"min_gap": -1.0}, "min_gap"),
        ({"min_changed": 1.0}, "min_changed"),
    ],
)
def test_bad_settings_name_their_field(fields: dict, named: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=named):
        PairConfig(**fields)
    argv = ["--videos", str(tmp_path), "--output", str(tmp_path / "out")]
    argv += [f"--pairs.{name}={value}" for name, value in fields.items()]
    with pytest.raises(UserError, match=named):
        parse_config(VideoShardConfig, argv)


def test_the_record_counts_shots_and_says_what_was_done_to_frames() -> None:
    config, record = PairConfig(ssim_low=-1.0, min_gap=0, min_changed=0), ClipRecord(num_frames=6)
    shot = shot_of(panning_frames(0, num=3))
    woven = Shot([frame._replace(deinterlaced=True) for frame in shot.frames], [], {})
    for each in (shot, woven):
        selection = select_pairs(each, config, np.random.default_rng(0))
        record.add_shot(selection, [[] for _ in selection.pairs])
        assert record.summarise().get("deinterlaced", False) == (each is woven)
    assert record.summarise()["shots"] == 2


@pytest.mark.parametrize("num_visited", [0, 1, 4])
def test_a_few_pairs_that_shadows_do_not_explain_are_dropped_with_the_others(
    monkeypatch: pytest.MonkeyPatch, num_visited: int
) -> None:
    """Shadows explain 27 of 28 pairs of frames without a visitor."""

    class Explained:
        def __init__(self, greys: list[np.ndarray]) -> None:
            self.num_still = len(greys) - num_visited

        def explain(self, first: int, second: int) -> bool:
            return second < self.num_still and (first, second) != (0, 1)

    monkeypatch.setattr("data_prep.clips.pairs.MovingShadows", Explained)
    config = PairConfig(ssim_low=-1.0, ssim_high=1.0, min_gap=0)
    selection = select_pairs(shot_of(panning_frames(0, num=8)), config, np.random.default_rng(0))
    assert bool(selection.pairs) == bool(num_visited)
    assert sum(selection.dropped_pairs.values()) + len(selection.pairs) == 28

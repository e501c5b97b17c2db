"""Clips of several shots: pairs of each shot, never across, and a bound for long ones."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from data_prep.clip_to_pairs import read_clip
from data_prep.config import PairConfig, VideoShardConfig
from data_prep.parallel_sharding import Outcome
from data_prep.report_inputs import describe_treatment
from mimicbrush.video.clip_writer import write_h264
from tests.data_prep.conftest import panning_frames

LIMITS = {"ssim_low": 0.2, "ssim_high": 0.95, "pairs_per_shot": 2, "min_gap": 0.1, "min_changed": 0}
SHOT = 2.5


def read_film(folder: Path, num_shots: int, **fields: int) -> Outcome:
    """Read a film of shots of 2.5 s, in which a camera moves slowly, at 8 frames a second."""
    shots = [panning_frames(seed, round(8 * SHOT), step=1, side=96) for seed in range(num_shots)]
    write_h264(folder / "film.mp4", (frame for shot in shots for frame in shot), fps=8)
    config = VideoShardConfig(videos=folder, output=folder, short_side=96, pairs=PairConfig(**LIMITS, **fields))
    return partial(read_clip, clips={"film.mp4": folder / "film.mp4"}, metadata={}, config=config)("film.mp4")


def shots_of(outcome: Outcome) -> list[int]:
    """The shot of each pair; fails if a pair lies across a cut."""
    numbers = [{int(time / SHOT) for time in pair.origin["times"]} for pair in outcome.pairs]
    assert all(len(of_pair) == 1 for of_pair in numbers)
    return [min(of_pair) for of_pair in numbers]


def test_shots_of_a_film_give_pairs_and_none_lies_across_a_cut(tmp_path: Path) -> None:
    outcome = read_film(tmp_path, 8)
    assert len(set(shots_of(outcome))) >= 6
    assert outcome.record["dropped_pairs"]["cut_between"] > 0
    assert outcome.record["stretches"] == [2, 2]
    assert describe_treatment(outcome.record) == ["read in 2 stretches"]


def test_a_long_film_says_how_much_of_it_was_read(tmp_path: Path) -> None:
    record = read_film(tmp_path, 12, shots_per_clip=3).record
    assert record["stretches"] == [1, 3]
    assert record["shots"] == 3
    assert record["left_out_shots"] >= 1
    assert describe_treatment(record)[0] == "read 1 of 3 stretches"
    assert "not used" in describe_treatment(record)[1]

"""Clips of several shots: pairs of each shot, never across, and a bound for long ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from weakref import ref

import numpy as np
import pytest

from data_prep.clips import clip_to_pairs
from data_prep.clips.clip_to_pairs import read_clip
from data_prep.clips.shots import Division
from data_prep.config import PairConfig, VideoShardConfig
from data_prep.shard_report.input_table import describe_treatment
from data_prep.sharding.parallel_sharding import Outcome
from mimicbrush.video.clip_reader import open_clip
from mimicbrush.video.clip_writer import write_h264
from mimicbrush.video.decoded_clip import DecodedClip
from tests.data_prep.conftest import texture

LIMITS = {"ssim_low": 0.2, "ssim_high": 0.95, "pairs_per_shot": 2, "min_gap": 0.1, "min_changed": 0}
SHOT = 2.5


def read_film(folder: Path, num_shots: int, *, decoder: str = "auto", **fields: int) -> Outcome:
    """Read a film of shots of 2.5 s, at 8 frames a second; it is written once for each test."""
    if not (folder / "film.mp4").exists():
        frames = (frame for seed in range(num_shots) for frame in shot_frames(seed, round(8 * SHOT)))
        write_h264(folder / "film.mp4", frames, fps=8)
    config = VideoShardConfig(
        videos=folder, output=folder, short_side=96, decoder=decoder, pairs=PairConfig(**LIMITS, **fields)
    )
    return read_clip("film.mp4", folder / "film.mp4", metadata={}, config=config)


def shot_frames(seed: int, num: int) -> Iterator[np.ndarray]:
    """Frames of a thing that moves before a camera that stands still."""
    scene, thing = texture(seed, 96, 96), texture(seed + 100, 32, 32)
    for i in range(num):
        frame = scene.copy()
        frame[32:64, 2 * i + 8 : 2 * i + 40] = thing
        yield frame


def shots_of(outcome: Outcome) -> list[int]:
    """The shot of each pair; fails if a pair lies across a cut."""
    numbers = [{int(time / SHOT) for time in pair.origin["times"]} for pair in outcome.pairs]
    assert all(len(of_pair) == 1 for of_pair in numbers)
    return [min(of_pair) for of_pair in numbers]


@pytest.mark.parametrize("decoder", ["auto", "decord"])
def test_every_shot_of_a_short_clip_gives_pairs_though_it_starts_at_a_keyframe(tmp_path: Path, decoder: str) -> None:
    if decoder == "decord":
        pytest.importorskip("decord")
    outcome = read_film(tmp_path, 4, decoder=decoder)
    assert shots_of(outcome) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert outcome.record["shots"] == 4
    assert "stretches" not in outcome.record


@pytest.mark.parametrize(("num_shots", "num_readings"), [(1, 1), (2, 2)])
def test_only_a_clip_of_several_shots_is_read_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_shots: int, num_readings: int
) -> None:
    readings = []
    monkeypatch.setattr(clip_to_pairs, "open_clip", lambda *args, **kw: readings.append(kw) or open_clip(*args, **kw))
    read_film(tmp_path, num_shots)
    assert len(readings) == num_readings


def test_a_second_reading_of_a_single_shot_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    once = read_film(tmp_path, 1)
    monkeypatch.setattr(Division, "may_hide_cuts", lambda self: True)
    twice = read_film(tmp_path, 1)
    assert len(once.pairs) == 2
    assert twice.pairs == once.pairs


def test_shots_of_a_film_give_pairs_and_none_lies_across_a_cut(tmp_path: Path) -> None:
    outcome = read_film(tmp_path, 8)
    assert len(set(shots_of(outcome))) >= 6
    assert outcome.record["dropped_pairs"]["cut_between"] > 0
    assert outcome.record["stretches"] == [2, 2]
    assert describe_treatment(outcome.record) == ["read in 2 stretches"]


@pytest.mark.parametrize(("num_shots", "num_readings"), [(12, 3), (2, 2)], ids=["stretches", "twice"])
def test_frames_are_freed_before_others_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_shots: int, num_readings: int
) -> None:
    images: list[ref] = []
    num_alive: list[int] = []

    def watched(read: Callable[..., DecodedClip]) -> Callable[..., DecodedClip]:
        def read_and_note(*args: object) -> DecodedClip:
            num_alive.append(sum(image() is not None for image in images))
            clip = read(*args)
            images.extend(ref(frame.image) for frame in clip.frames)
            return clip

        return read_and_note

    for name in ("read_at", "read_all"):
        monkeypatch.setattr(clip_to_pairs, name, watched(getattr(clip_to_pairs, name)))
    assert len(read_film(tmp_path, num_shots).pairs) > 2
    assert len(images) > 15
    assert num_alive == [0] * num_readings


def test_most_shots_of_less_than_half_a_second_give_a_pair(tmp_path: Path) -> None:
    """Ten frames each, at 25 frames a second; the frames of a pair are at least 0.25 s apart."""
    frames = (frame for seed in range(20) for frame in shot_frames(seed, 10))
    write_h264(tmp_path / "film.mp4", frames, fps=25)
    limits = PairConfig(**{**LIMITS, "min_gap": PairConfig().min_gap})
    config = VideoShardConfig(videos=tmp_path, output=tmp_path, short_side=96, pairs=limits)
    outcome = read_clip("film.mp4", tmp_path / "film.mp4", metadata={}, config=config)
    shots = [{int(time / 0.4 + 1e-6) for time in pair.origin["times"]} for pair in outcome.pairs]
    assert all(len(of_pair) == 1 for of_pair in shots)
    assert len(set.union(*shots)) >= 12


def test_a_long_film_says_how_much_of_it_was_read(tmp_path: Path) -> None:
    record = read_film(tmp_path, 12, shots_per_clip=3).record
    assert record["stretches"] == [1, 3]
    assert record["shots"] == 3
    assert record["left_out_shots"] >= 1
    assert describe_treatment(record)[0] == "read 1 of 3 stretches"
    assert "not used" in describe_treatment(record)[1]

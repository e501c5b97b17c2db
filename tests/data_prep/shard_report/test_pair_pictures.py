"""The pairs that a report shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_prep.shard_report import pair_pictures
from data_prep.shard_report.folder_scan import Place
from data_prep.shard_report.pair_pictures import (
    MAX_OF_ONE,
    MAX_SHARDS,
    Listed,
    choose_extremes,
    choose_over_band,
    list_samples,
)
from data_prep.shard_report.report_page import write_report
from tests.data_prep.shard_report.conftest import write_pairs


def listed(similarity: float | None, name: str = "a.mp4") -> Listed:
    return Listed(Place(Path("x.tar"), 0, 0), "key", similarity, name)


def test_few_shards_and_samples_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = write_pairs(tmp_path, 30, 5)
    monkeypatch.setattr(pair_pictures, "MAX_SAMPLES", 3)
    samples = list_samples(shards)
    read = sorted({sample.place.shard for sample in samples})
    assert len(read) == MAX_SHARDS
    assert (read[0], read[-1]) == (shards[0], shards[-1])
    assert len(samples) == 3 * MAX_SHARDS
    assert "36 of 150 samples, in 12 of 30 shards" in write_report(tmp_path).read_text()


def test_shown_pairs_lie_evenly_over_the_band() -> None:
    crowded = [listed(0.8 + i * 1e-4, f"{i}.mp4") for i in range(1000)]
    sparse = [listed(value, f"{value}.mp4") for value in np.linspace(0.2, 0.8, 13)]
    shown = [sample.similarity for sample in choose_over_band(crowded + sparse, 8)]
    assert np.diff(shown) == pytest.approx(0.1, abs=0.03)


def test_shown_pairs_come_from_many_clips() -> None:
    samples = [listed(0.5 + i * 1e-4, f"{i // 10}.mp4") for i in range(100)]
    assert len({sample.name for sample in choose_over_band(samples, 10)}) == 10


def test_stills_take_a_quarter_beside_pairs_and_all_without() -> None:
    pairs, stills = [listed(0.5)] * 30, [listed(None)] * 30
    assert [sample.similarity for sample in choose_over_band(pairs + stills, 8)] == [0.5] * 6 + [None] * 2
    assert len(choose_over_band(stills, 8)) == 8


def test_extremes_are_sorted_and_disjoint() -> None:
    samples = [listed(value, f"{value}.mp4") for value in (0.3, 0.9, 0.5, None, 0.7, 0.4)]
    most, least = choose_extremes(samples, 10)
    assert [sample.similarity for sample in most] == [0.9, 0.7, 0.5]
    assert [sample.similarity for sample in least] == [0.3, 0.4]


def test_one_clip_does_not_fill_the_extremes() -> None:
    samples = [listed(0.9 - i / 1000, "still.mp4") for i in range(9)] + [listed(0.5, "a.mp4"), listed(0.1, "b.mp4")]
    most, least = choose_extremes(samples, 10)
    assert [sample.name for sample in most] == ["still.mp4"] * MAX_OF_ONE
    assert [sample.name for sample in least] == ["b.mp4", "a.mp4", "still.mp4", "still.mp4"]

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.pairs import PairConfig
from data_prep.report import NUM_SHOWN, write_report
from data_prep.shard_sam import SamShardConfig, shard_sam
from data_prep.shard_videos import VideoShardConfig, shard_videos
from mimicbrush.errors import UserError
from tests.data_prep.conftest import write_still


def test_report_shows_reasons_and_every_pair(clips: Path, tmp_path: Path) -> None:
    (clips / "zero<b>.mp4").touch()
    pairs = PairConfig(ssim_low=0.0, ssim_high=0.95, frames_per_clip=4, min_gap=0.1)
    config = VideoShardConfig(videos=clips, output=tmp_path / "out", short_side=64, pairs=pairs, workers=1)
    summary = shard_videos(config)
    text = write_report(tmp_path / "out").read_text()
    assert text.count("<figure>") == min(summary["pairs"], NUM_SHOWN)
    assert "unreadable" in text
    assert "zero&lt;b&gt;.mp4" in text
    assert "zero<b>" not in text
    assert text.count("<svg") == 2


def test_report_shows_stills(tmp_path: Path) -> None:
    write_still(tmp_path / "in", "sa_1")
    shard_sam(SamShardConfig(stills=tmp_path / "in", output=tmp_path / "out", workers=1))
    text = write_report(tmp_path / "out").read_text()
    assert "still with 1 masks" in text
    assert text.count("<figure>") == 2


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no summary"):
        write_report(tmp_path)

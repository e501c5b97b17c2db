"""An array of tasks shares the clips; the job that waits for it merges what they have made."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.clips.clip_to_pairs import shard_videos
from data_prep.config import WorkConfig
from mimicbrush.config import dump_config
from mimicbrush.data.shard_index import list_shards
from mimicbrush.data.shards import FramePair, read_pairs
from tests.data_prep.conftest import summary_in, write_clip
from tests.data_prep.test_shard_videos import config_for
from tests.slurm.conftest import ON_CPU, Submit

pytestmark = pytest.mark.slurm


def pairs_in(output: Path) -> list[FramePair]:
    return sorted(read_pairs(list_shards(output)), key=lambda pair: pair.key)


def test_an_array_and_its_merge_make_what_one_process_makes(checkout: Path, tmp_path: Path, submit: Submit) -> None:
    for seed in range(6):
        write_clip(tmp_path / "clips" / f"{seed}.mp4", seed, step=1)
    config = config_for(tmp_path / "clips", tmp_path / "many", work=WorkConfig())
    (tmp_path / "videos.yaml").write_text(dump_config(config))

    array = submit(checkout, "shard_videos.sh", "--config", tmp_path / "videos.yaml", options=[*ON_CPU, "--array=0-1"])
    merge = submit(checkout, "merge.sh", tmp_path / "many", options=[*ON_CPU, f"--dependency=afterok:{array.number}"])
    assert not (tmp_path / "many" / "summary.json").exists()
    array.wait()
    merge.wait()

    assert "task 0 of 2: did " in array.log
    assert "task 1 of 2: did " in array.log
    assert "of 6 videos" in merge.log
    shard_videos(config_for(tmp_path / "clips", tmp_path / "one"))
    assert pairs_in(tmp_path / "many") == pairs_in(tmp_path / "one")
    assert summary_in(tmp_path / "many")["pairs"] == summary_in(tmp_path / "one")["pairs"]

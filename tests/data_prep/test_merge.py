from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from data_prep.clips.clip_to_pairs import shard_videos
from data_prep.config import WorkConfig
from data_prep.merge import COMMAND
from data_prep.records.work_units import slug
from data_prep.sharding.shard_folder import merge
from mimicbrush.command import call_command
from mimicbrush.data.shard_index import list_shards
from mimicbrush.data.shards import read_pairs
from mimicbrush.errors import UserError
from tests.data_prep.conftest import done_last, summary_in, write_clip
from tests.data_prep.test_shard_videos import PAIRS, config_for, contents

pytestmark = pytest.mark.usefixtures("without_training_view")


def keys_in(output: Path) -> list[str]:
    return sorted(pair.key for pair in read_pairs(list_shards(output)))


def test_tasks_of_an_array_make_what_one_command_makes(clips: Path, tmp_path: Path) -> None:
    shard_videos(config_for(clips, tmp_path / "one"))
    tasks = [WorkConfig(workers=1, task=task, num_tasks=3) for task in range(3)]
    said = shard_videos(config_for(clips, tmp_path / "many", work=tasks[0]))
    assert said.startswith("task 0 of 3: did ")
    assert not (tmp_path / "many" / "summary.json").exists()
    shard_videos(config_for(clips, tmp_path / "many", work=tasks[2]))
    assert "1 of 3 tasks are not done: sbatch --array=1" in merge(tmp_path / "many")
    shard_videos(config_for(clips, tmp_path / "many", work=tasks[1]))
    assert "not done" not in merge(tmp_path / "many")
    assert keys_in(tmp_path / "many") == keys_in(tmp_path / "one")
    index = json.loads((tmp_path / "many" / "index.json").read_text())
    assert [shard["name"] for shard in index["shards"]] == [path.name for path in list_shards(tmp_path / "many")]
    assert index["pairs"] == len(keys_in(tmp_path / "one"))


def test_another_number_of_tasks_does_only_what_is_left(clips: Path, tmp_path: Path) -> None:
    shard_videos(config_for(clips, tmp_path / "out", work=WorkConfig(workers=1, task=0, num_tasks=2)))
    shard_videos(config_for(clips, tmp_path / "out"))
    shard_videos(config_for(clips, tmp_path / "one"))
    assert keys_in(tmp_path / "out") == keys_in(tmp_path / "one")


def test_a_repeated_clip_is_excluded_and_the_loader_obeys(clips: Path, tmp_path: Path) -> None:
    for seed, name in enumerate(("a", "b")):
        write_clip(clips / f"{name}.mp4", seed, num=96, step=1)
    shutil.copy(clips / "a.mp4", clips / "zz copy of a.mp4")
    pairs = replace(PAIRS, ssim_low=-1.0)
    said = shard_videos(config_for(clips, tmp_path / "out", pairs=pairs))
    assert "; 1 excluded: repeats another (1)" in said
    summary = summary_in(tmp_path / "out")
    assert summary["near_duplicates"] == {"zz copy of a.mp4": "a.mp4"}
    used = list(read_pairs(list_shards(tmp_path / "out")))
    assert len(used) == summary["pairs"] < summary["stored_pairs"]
    assert f"{len(used)} of {summary['stored_pairs']} pairs" in said
    assert {pair.origin["file"] for pair in used} == {"a.mp4", "b.mp4", "c.mp4", "deep/d.mp4", "e.mp4"}
    shard_videos(config_for(clips, tmp_path / "out", duplicate_share=1.1, pairs=pairs))
    assert "zz copy of a.mp4" in {pair.origin["file"] for pair in read_pairs(list_shards(tmp_path / "out"))}


def test_replaced_and_deleted_clips_lose_their_old_pairs(clips: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    shard_videos(config_for(clips, output))
    shards = contents(output)
    before = keys_in(output)
    write_clip(clips / "a.mp4", seed=20, num=30, step=1)
    (clips / "b.mp4").unlink()
    (clips / "c.mp4").touch()  # unchanged
    assert "; 1 changed, 1 gone -> " in shard_videos(config_for(clips, output))
    assert done_last(output) == 1
    assert shards.items() <= contents(output).items()
    used = list(read_pairs(list_shards(output)))
    assert {pair.origin["file"] for pair in used} == {"a.mp4", "c.mp4", "deep/d.mp4", "e.mp4"}
    assert all("-edition2-" in pair.key for pair in used if pair.origin["file"] == "a.mp4")
    shard_videos(config_for(clips, tmp_path / "anew"))
    fresh = {key for key in keys_in(tmp_path / "anew") if key.startswith(slug("a.mp4"))}
    assert {key.replace("edition2-", "") for key in keys_in(output)} == fresh | {
        key for key in before if not key.startswith((slug("a.mp4"), slug("b.mp4")))
    }
    assert summary_in(output)["inputs"] == summary_in(output)["kept"] == 4
    assert summary_in(output)["pairs"] == len(used)


def test_interrupted_work_on_replaced_clips_ends_as_if_it_had_not_been(clips: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    shard_videos(config_for(clips, output, videos_per_shard=1))
    for seed, name in ((20, "a"), (21, "c")):
        write_clip(clips / f"{name}.mp4", seed=seed, num=30, step=1)
    shard_videos(config_for(clips, output, videos_per_shard=1))
    whole = contents(output)
    for suffix in ("tar", "json"):
        (output / f"videos-000005.{suffix}").unlink()
    shard_videos(config_for(clips, output, videos_per_shard=1))
    assert done_last(output) == 1
    assert contents(output) == whole


def test_a_clip_that_comes_back_is_used_again(clips: Path, tmp_path: Path) -> None:
    shard_videos(config_for(clips, tmp_path / "out"))
    before = keys_in(tmp_path / "out")
    (clips / "b.mp4").rename(tmp_path / "b.mp4")
    assert "; 1 gone -> " in shard_videos(config_for(clips, tmp_path / "out"))
    assert "1 gone" in merge(tmp_path / "out")
    (tmp_path / "b.mp4").rename(clips / "b.mp4")
    assert "gone" not in shard_videos(config_for(clips, tmp_path / "out"))
    assert done_last(tmp_path / "out") == 0
    assert keys_in(tmp_path / "out") == before


def test_tasks_of_an_array_find_what_changed(clips: Path, tmp_path: Path) -> None:
    tasks = [WorkConfig(workers=1, task=task, num_tasks=2) for task in range(2)]
    for _ in range(2):
        for task in tasks:
            shard_videos(config_for(clips, tmp_path / "many", work=task))
            shard_videos(config_for(clips, tmp_path / "one"))
        write_clip(clips / "a.mp4", seed=20, num=30, step=1)
        (clips / "b.mp4").unlink(missing_ok=True)
    assert "; 1 changed, 1 gone" in merge(tmp_path / "many")
    assert keys_in(tmp_path / "many") == keys_in(tmp_path / "one")


def test_a_lost_shard_is_noticed(clips: Path, tmp_path: Path) -> None:
    shard_videos(config_for(clips, tmp_path / "out"))
    (tmp_path / "out" / "videos-000001.tar").unlink()
    for command in (lambda: merge(tmp_path / "out"), lambda: shard_videos(config_for(clips, tmp_path / "out"))):
        with pytest.raises(UserError, match=r"videos-000001\.tar: missing, its index says"):
            command()


def test_the_log_says_when_and_by_which_command(clips: Path, tmp_path: Path) -> None:
    shard_videos(config_for(clips, tmp_path / "out"))
    (entry,) = map(json.loads, (tmp_path / "out" / "log.jsonl").read_text().splitlines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", entry["date"])
    assert entry["command"].startswith("python ")


def test_a_torn_line_of_the_log_is_passed_over(clips: Path, tmp_path: Path) -> None:
    shard_videos(config_for(clips, tmp_path / "out"))
    with (tmp_path / "out" / "log.jsonl").open("a") as log:
        log.write('{"task": 0, "num')
    assert merge(tmp_path / "out").startswith("kept 5 of 5 videos")


def test_other_exclusions_stay(clips: Path, tmp_path: Path) -> None:
    shard_videos(config_for(clips, tmp_path / "out"))
    keys = keys_in(tmp_path / "out")
    (tmp_path / "out" / "excluded.json").write_text(json.dumps({"ugly": {"a.mp4": {"keys": keys[:1]}}}))
    merge(tmp_path / "out")
    assert keys_in(tmp_path / "out") == keys[1:]
    assert summary_in(tmp_path / "out")["pairs"] == len(keys) - 1


def test_mistakes_are_explained(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no folder of shards; expected a sharding command's config\.yaml"):
        merge(tmp_path)
    with pytest.raises(UserError, match="no folder of shards"):
        call_command(COMMAND, [str(tmp_path)])
    with pytest.raises(UserError, match="folder"):
        call_command(COMMAND, [])

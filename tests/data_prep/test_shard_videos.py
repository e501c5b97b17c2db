from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from data_prep.clips.clip_to_pairs import shard_videos
from data_prep.config import PairConfig, VideoShardConfig, WorkConfig
from data_prep.inputs.clip_files import list_videos
from data_prep.records.summary import describe
from data_prep.shard_videos import COMMAND
from mimicbrush.command import call_command
from mimicbrush.data.shard_index import list_shards
from mimicbrush.data.shards import FramePair, read_pairs
from mimicbrush.errors import UserError
from mimicbrush.folder_lock import held
from mimicbrush.pictures.reading import decode_rgb
from tests.data_prep.conftest import (
    SIDE,
    done_last,
    real_data,
    summary_in,
    write_audio_only,
    write_clip,
    write_damaged,
    write_truncated,
)

pytestmark = pytest.mark.usefixtures("without_training_view")

REPOSITORY = Path(__file__).parents[2]
PAIRS = PairConfig(ssim_low=0.2, ssim_high=0.9, frames_per_shot=10, pairs_per_shot=2, min_gap=0.1, min_changed=0)


def config_for(clips: Path, output: Path, **fields: object) -> VideoShardConfig:
    defaults = {"short_side": SIDE, "videos_per_shard": 2, "work": WorkConfig(workers=1), "pairs": PAIRS}
    return VideoShardConfig(videos=clips, output=output, **{**defaults, **fields})


def contents(output: Path) -> dict[str, bytes]:
    """Every shard and index, by name."""
    return {path.name: path.read_bytes() for path in sorted(output.glob("videos-*"))}


def pairs_in(output: Path) -> list[FramePair]:
    return list(read_pairs(list_shards(output)))


def test_pairs_are_what_they_say(clips: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    shard_videos(config_for(clips, output))
    summary = summary_in(output)
    pairs = pairs_in(output)
    assert summary["kept"] == 5
    assert summary["pairs"] == len(pairs) >= 5
    assert {pair.origin["file"] for pair in pairs} == {"a.mp4", "b.mp4", "c.mp4", "deep/d.mp4", "e.mp4"}
    for pair in pairs:
        assert re.fullmatch(r"[A-Za-z0-9_]+-[0-9a-f]{16}-\d+-\d+", pair.key)
        assert 0.2 <= pair.similarity <= 0.9
        assert decode_rgb(pair.source).shape == decode_rgb(pair.reference).shape == (SIDE, SIDE, 3)
        assert pair.origin["group"] == pair.origin["file"]
        assert pair.origin["size"] == [SIDE, SIDE]
        assert abs(pair.origin["times"][0] - pair.origin["times"][1]) >= 0.1
    forward = [pair.origin["times"][0] < pair.origin["times"][1] for pair in pairs]
    assert len(set(forward)) == 2
    assert (output / "report.html").is_file()


def test_stored_keypoints_follow_the_camera(clips: Path, tmp_path: Path) -> None:
    shard_videos(config_for(clips, tmp_path / "out"))
    matched = [pair for pair in pairs_in(tmp_path / "out") if pair.keypoints]
    assert matched
    for pair in matched:
        seconds = pair.origin["times"][1] - pair.origin["times"][0]
        moved = np.median([(sx - rx) * SIDE for sx, _, rx, _ in pair.keypoints])
        assert moved == pytest.approx(24 * seconds, abs=1)


def test_an_interrupted_run_ends_as_if_it_had_not_been(clips: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    shard_videos(config_for(clips, whole))
    shard_videos(config_for(clips, broken))
    (broken / "videos-000001.json").unlink()  # the tar is there, nothing vouches for it
    (broken / "videos-000002.json").unlink()
    (broken / "videos-000002.tar").unlink()
    (broken / ".videos-000002.tar.1.partial").write_bytes(b"half")
    shard_videos(config_for(clips, broken))
    assert done_last(broken) == 3
    assert contents(broken) == contents(whole)


def test_a_killed_command_goes_on_as_if_it_had_not_been(clips: Path, tmp_path: Path) -> None:
    for number in range(5):
        write_clip(clips / f"more{number}.mp4", seed=10 + number, step=1)
    shard_videos(config_for(clips, tmp_path / "whole"))
    config_for_killing = ["--short_side", str(SIDE), "--videos_per_shard", "2", "--work.workers", "2"]
    config_for_killing += ["--pairs.ssim_low=0.2", "--pairs.ssim_high=0.9", "--pairs.frames_per_shot=10"]
    config_for_killing += ["--pairs.pairs_per_shot=2", "--pairs.min_gap=0.1", "--pairs.min_changed=0"]
    command = [sys.executable, str(REPOSITORY / "data_prep/shard_videos.py"), "--videos", str(clips)]
    command += ["--output", str(tmp_path / "killed"), *config_for_killing]
    num_killed = 0
    for num_shards in (1, 3):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and len(list((tmp_path / "killed").glob("videos-*.json"))) < num_shards:
            time.sleep(0.005)
        process.kill()
        num_killed += process.wait() == -signal.SIGKILL
    assert num_killed >= 1
    shard_videos(config_for(clips, tmp_path / "killed"))
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert not list((tmp_path / "killed").glob(".videos*"))


def test_two_commands_do_not_write_to_one_folder(clips: Path, tmp_path: Path) -> None:
    output, alone = tmp_path / "out", config_for(clips, tmp_path / "out")
    first, second = (config_for(clips, output, work=WorkConfig(task=task, num_tasks=2)) for task in (0, 1))
    with held(output), pytest.raises(UserError, match=f"{output} is held by process {os.getpid()} on"):
        shard_videos(alone)
    # Tasks of an array share it; a command that works alone waits for all of them.
    with held(output, share="0000"):
        for refused in (alone, first):
            with pytest.raises(UserError, match="is held by process"):
                shard_videos(refused)
        shard_videos(second)


def test_a_full_disk_is_named_and_the_same_command_resumes(clips: Path, tmp_path: Path) -> None:
    shard_videos(config_for(clips, tmp_path / "whole"))
    limit = 20_000  # bytes a file may have: less than a shard, more than an outcome or an index
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(UserError, match="run the same command"):
            shard_videos(config_for(clips, tmp_path / "full"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list((tmp_path / "full").glob("*.tar"))
    shard_videos(config_for(clips, tmp_path / "full"))
    assert contents(tmp_path / "full") == contents(tmp_path / "whole")


def test_the_result_does_not_depend_on_the_workers(clips: Path, tmp_path: Path) -> None:
    shard_videos(config_for(clips, tmp_path / "one"))
    shard_videos(config_for(clips, tmp_path / "two", work=WorkConfig(workers=2)))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_added_clips_alone_are_done(clips: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    shard_videos(config_for(clips, output))
    before = contents(output)
    shard_videos(config_for(clips, output))
    assert done_last(output) == 0
    write_clip(clips / "aa.mp4", seed=9)
    shard_videos(config_for(clips, output))
    assert (done_last(output), summary_in(output)["inputs"]) == (1, 6)
    assert before.items() <= contents(output).items()


def test_bad_clips_are_named_and_leave_the_good_ones_unchanged(clips: Path, tmp_path: Path) -> None:
    shard_videos(config_for(clips, tmp_path / "good", videos_per_shard=50))
    write_clip(clips / "one_frame.mp4", num=1)
    write_truncated(clips / "cut.mp4")
    write_damaged(clips / "damaged.mp4")
    write_audio_only(clips / "audio.mp4")
    (clips / "zero.mp4").touch()
    (clips / "text.mp4").write_text("not a video")
    (clips / "notes.txt").write_text("no clip at all")
    shard_videos(config_for(clips, tmp_path / "mixed", videos_per_shard=50))
    summary = summary_in(tmp_path / "mixed")
    assert {reason: set(names) for reason, names in summary["skipped"].items()} == {
        "unreadable": {"zero.mp4", "text.mp4"},
        "too_short": {"one_frame.mp4"},
        "corrupt_frames": {"cut.mp4", "damaged.mp4"},
        "no_video_stream": {"audio.mp4"},
    }
    assert contents(tmp_path / "mixed")["videos-000000.tar"] == contents(tmp_path / "good")["videos-000000.tar"]
    line = describe(summary)
    assert line.startswith("kept 5 of 11 videos, ")
    words = "damaged frames (2), not readable as a video (2), no video in the file (1), too short (1)"
    assert f"; 6 skipped: {words}" in line


def test_metadata_reaches_the_samples(clips: Path, tmp_path: Path) -> None:
    metadata = tmp_path / "metadata.csv"
    metadata.write_text("file,group,licence\na.mp4,beach,CC0\n")
    shard_videos(config_for(clips, tmp_path / "out", metadata=metadata))
    origins = {pair.origin["file"]: pair.origin for pair in pairs_in(tmp_path / "out")}
    assert (origins["a.mp4"]["group"], origins["a.mp4"]["licence"]) == ("beach", "CC0")
    assert origins["b.mp4"]["group"] == "b.mp4"


def test_a_list_file_names_clips_relative_to_itself(clips: Path) -> None:
    (clips / "list.txt").write_text("# two of them\nb.mp4\n\ndeep/d.mp4\n")
    listed = list_videos(clips / "list.txt", output=clips / "out").clips
    assert listed == {"b.mp4": clips / "b.mp4", "deep/d.mp4": clips / "deep/d.mp4"}


def test_another_run_is_not_mixed_in(clips: Path, tmp_path: Path) -> None:
    shard_videos(config_for(clips, tmp_path / "out"))
    with pytest.raises(UserError, match=r"seed was 0, is 1; choose another output"):
        shard_videos(config_for(clips, tmp_path / "out", seed=1))
    write_clip(tmp_path / "others" / "x.mp4")
    with pytest.raises(UserError, match=r"videos was .*clips, is .*others"):
        shard_videos(config_for(tmp_path / "others", tmp_path / "out"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--videos", "{tmp}/nowhere"], "no such folder or list of videos; pass --videos"),
        (["--videos", "{tmp}/empty"], "holds no video"),
        (["--videos", "{tmp}/broken"], "nothing to train on: kept 0 of 1 videos"),
        (["--pairs.ssim_low", "0.9", "--pairs.ssim_high", "0.1"], "ssim_low"),
        (["--pairs.ssim_high", "1.5"], "ssim_high"),
        (["--short_side", "15"], "short_side is 15; expected 16 or more"),
        (["--short_side", "large"], "short_side"),
        (["--decoder", "vlc"], "decoder"),
        (["--colour", "red"], "colour"),
        (["--config", "{tmp}/nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_mistakes_end_in_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "zero.mp4").touch()
    argv = [argument.format(tmp=tmp_path) for argument in arguments]
    with pytest.raises(UserError, match=re.escape(message)):
        call_command(COMMAND, ["--output", str(tmp_path / "out"), *argv])
    assert not list((tmp_path).glob("out/*.tar"))


def test_the_script_finds_its_packages_and_fails_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, str(REPOSITORY / "data_prep/shard_videos.py"), "--videos", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"error: {tmp_path}: holds no video")


@pytest.mark.parametrize("path", sorted((REPOSITORY / "configs/data").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_configs_parse_and_say_what_they_are_for(path: Path) -> None:
    from data_prep.config import SamShardConfig
    from mimicbrush.config import load_config

    assert path.read_text().startswith("# ")
    load_config(SamShardConfig if "stills:" in path.read_text() else VideoShardConfig, path)


def test_real_clips_give_pairs(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    for name in ("wolf.mp4", "flipping_a_pancake.mkv"):
        (clips / name).symlink_to(real_data("videos") / name)
    shard_videos(config_for(clips, tmp_path / "out", short_side=144, pairs=PairConfig(frames_per_shot=6)))
    assert summary_in(tmp_path / "out")["kept"] == 2
    for pair in pairs_in(tmp_path / "out"):
        assert min(decode_rgb(pair.source).shape[:2]) == 144
        assert cv2.Laplacian(decode_rgb(pair.source), cv2.CV_32F).var() > 8

import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from data_prep.sharding.parallel_sharding import Stopwatch
from mimicbrush.bench.naive_preparation import decode_sequentially, prepare_by_decord, prepare_naively
from mimicbrush.bench.rendered_clips import SIZES, RenderedShot, render_clips
from mimicbrush.pictures.reading import decode_rgb
from mimicbrush.video.decord_reader import decord
from tests.data_prep.conftest import SIDE, write_clip

needs_decord = pytest.mark.skipif(decord is None, reason="decord is not installed here")
both_scripts = pytest.mark.parametrize("prepare", [prepare_naively, prepare_by_decord])


def prepare_clip(prepare: Callable[..., int], folder: Path, *, num_pairs: int = 4) -> tuple[int, dict[str, bytes]]:
    """Return the reported number of pairs, and the contents of the shard's files by name."""
    clip, shard = write_clip(folder / "clip.mp4", step=1), folder / "shard.tar"
    settings = {"num_frames": 6, "num_pairs": num_pairs, "generator": np.random.default_rng(0), "clock": Stopwatch()}
    num = prepare(clip, shard, **settings)
    with tarfile.open(shard) as tar:
        return num, {member.name: tar.extractfile(member).read() for member in tar}


def similarities(members: dict[str, bytes]) -> dict[str, float]:
    return {name: json.loads(content)["similarity"] for name, content in members.items() if name.endswith(".json")}


@needs_decord
@both_scripts
def test_the_shard_has_the_returned_number_of_pairs(prepare, tmp_path):
    num, members = prepare_clip(prepare, tmp_path)
    pictures = [decode_rgb(content) for name, content in members.items() if name.endswith(".jpg")]
    assert 0 < num <= 4
    assert len(pictures) == 2 * num
    assert {picture.shape for picture in pictures} == {(SIDE, SIDE, 3)}
    assert all(0.25 <= similarity <= 0.85 for similarity in similarities(members).values())


@needs_decord
@both_scripts
def test_at_most_num_pairs_pairs_are_written(prepare, tmp_path):
    assert prepare_clip(prepare, tmp_path, num_pairs=1)[0] == 1


@needs_decord
def test_both_scripts_compute_equal_similarities_for_small_frames(tmp_path):
    first, second = (
        similarities(prepare_clip(prepare, tmp_path, num_pairs=15)[1])
        for prepare in (prepare_naively, prepare_by_decord)
    )
    assert first == pytest.approx(second, abs=0.01)


@needs_decord
@both_scripts
def test_every_stage_is_timed(prepare, tmp_path):
    clip, clock = write_clip(tmp_path / "clip.mp4", step=1), Stopwatch()
    generator = np.random.default_rng(0)
    prepare(clip, tmp_path / "shard.tar", num_frames=6, num_pairs=4, generator=generator, clock=clock)
    assert list(clock.seconds) == ["decode", "similarity", "encode", "write"]


def test_every_frame_is_decoded(tmp_path):
    clock = Stopwatch()
    assert decode_sequentially(write_clip(tmp_path / "clip.mp4", num=24), clock) == 24
    assert list(clock.seconds) == ["decode"]


def keyframes(path: Path) -> list[int]:
    """Numbers of the keyframes in order of presentation."""
    with av.open(str(path)) as container:
        return [number for number, frame in enumerate(container.decode(video=0)) if frame.key_frame]


def test_keyframes_are_at_the_interval_and_existing_clips_are_kept(tmp_path, monkeypatch):
    monkeypatch.setitem(SIZES, "1080p", (192, 108))
    shots = [RenderedShot("pan", "coffee", "1080p", 1.1)]
    clips = render_clips(tmp_path, shots=shots)
    assert {clip.keyframe_interval: keyframes(clip.path) for clip in clips} == {250: [0], 30: [0, 30]}
    written = [clip.path.stat().st_mtime_ns for clip in clips]
    assert [clip.path.stat().st_mtime_ns for clip in render_clips(tmp_path, shots=shots)] == written

"""Cost of preparing a clip, compared with a naive script, the best script with decord, and bare decoding."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from data_prep.clips.clip_to_pairs import hash_clip, read_clip
from data_prep.config import PairConfig, VideoShardConfig, WorkConfig
from data_prep.inputs.input_states import InputStates, state_of
from data_prep.records.work_units import Unit
from data_prep.sharding.parallel_sharding import Outcome, Stopwatch, shard_inputs
from data_prep.sharding.pool import start_worker, worker_context
from mimicbrush.bench.config import PAIRS_FOR, PreparationBenchConfig
from mimicbrush.bench.naive_preparation import (
    SSIM_HIGH,
    SSIM_LOW,
    decode_sequentially,
    prepare_by_decord,
    prepare_naively,
)
from mimicbrush.bench.rendered_clips import BenchClip, render_clips
from mimicbrush.data.shards import write_shard
from mimicbrush.errors import UserError
from mimicbrush.machine import MEBIBYTE, PROC, processor_name, usable_cores
from mimicbrush.video.decord_reader import decord

MEMORY_STEPS = 10
WAYS = ("naive", "decord", "sequential", "ours", "ours + keypoints")


class PreparationCost(NamedTuple):
    """Mean cost per clip of one way on one kind of clips."""

    seconds: dict[str, float]
    """CPU seconds by stage."""
    pairs: float

    @property
    def total(self) -> float:
        """CPU seconds of all stages."""
        return sum(self.seconds.values())


def bench_preparation(config: PreparationBenchConfig) -> None:
    """Print the cost of each way on each kind of clips; raises UserError if decord is not installed."""
    if decord is None:
        raise UserError(
            "decord is not installed, but this benchmark compares with it; install it (Linux on x86-64 only)"
        )
    cv2.setNumThreads(1)
    clips = render_clips(config.clips)
    print(f"{processor_name()}, {usable_cores()} cores; CPU seconds per clip, one process\n")
    for num_frames in config.frames:
        for kind in dict.fromkeys((clip.resolution, clip.keyframe_interval) for clip in clips):
            chosen = [clip for clip in clips if (clip.resolution, clip.keyframe_interval) == kind]
            _report_kind(
                f"{kind[0]}, a keyframe every {kind[1]} frames, {num_frames} frames",
                _measure(chosen, num_frames, config),
            )
    _report_workers(clips)
    if config.memory_clips:
        _report_memory(min(clips, key=lambda clip: clip.path.stat().st_size), config.memory_clips)


def _measure(clips: Sequence[BenchClip], num_frames: int, config: PreparationBenchConfig) -> dict[str, PreparationCost]:
    """Measure the ways alternately on each clip, after one round that triggers lazy imports."""
    watches = {way: Stopwatch() for way in WAYS}
    pairs = dict.fromkeys(WAYS, 0)
    # Ours runs in a worker whose allocator keeps large arrays, as in use; the others run as an ordinary script.
    worker = ProcessPoolExecutor(1, mp_context=worker_context(), initializer=start_worker)
    with worker, tempfile.TemporaryDirectory() as folder:
        ways = _ways(num_frames, Path(folder) / "bench.tar", worker)
        for way in WAYS:
            ways[way](clips[0], 0, Stopwatch())
        for number in range(config.repeats):
            for clip in clips:
                for way in WAYS:
                    pairs[way] += ways[way](clip, number, watches[way])
    num = len(clips) * config.repeats
    means = {way: {stage: seconds / num for stage, seconds in watches[way].seconds.items()} for way in WAYS}
    return {way: PreparationCost(means[way], pairs[way] / num) for way in WAYS}


def _ways(num_frames: int, shard: Path, worker: Executor) -> dict[str, Callable[[BenchClip, int, Stopwatch], int]]:
    """Functions of a clip, a seed and a stopwatch that prepare the clip and return the number of pairs."""
    settings = {"num_frames": num_frames, "num_pairs": PAIRS_FOR[num_frames]}

    def script(prepare: Callable) -> Callable[[BenchClip, int, Stopwatch], int]:
        return lambda clip, seed, watch: prepare(
            clip.path, shard, **settings, generator=np.random.default_rng(seed), clock=watch
        )

    def sequential(clip: BenchClip, seed: int, watch: Stopwatch) -> int:
        decode_sequentially(clip.path, watch)
        return 0

    def ours(keypoints: bool) -> Callable[[BenchClip, int, Stopwatch], int]:
        def prepare(clip: BenchClip, seed: int, watch: Stopwatch) -> int:
            config = _config(num_frames, seed=seed, keypoints=keypoints)
            seconds, num_pairs = worker.submit(_prepare, clip.path, shard, config).result()
            watch.seconds.update(seconds)
            return num_pairs

        return prepare

    return {
        "naive": script(prepare_naively),
        "decord": script(prepare_by_decord),
        "sequential": sequential,
        "ours": ours(keypoints=False),
        "ours + keypoints": ours(keypoints=True),
    }


def _prepare(path: Path, shard: Path, config: VideoShardConfig) -> tuple[dict[str, float], int]:
    """Prepare a clip in this process; return the CPU seconds by stage, and the number of pairs."""
    outcome = _read(path.name, path, config)
    watch = Stopwatch()
    with watch.measure("write"):
        write_shard(shard, outcome.pairs, {})
    return {**outcome.seconds, **watch.seconds}, len(outcome.pairs)


def _config(num_frames: int, *, seed: int = 0, keypoints: bool = True) -> VideoShardConfig:
    """Config of our preparation with the similarity bounds of the others."""
    limits = {"ssim_low": SSIM_LOW, "ssim_high": SSIM_HIGH, "frames_per_shot": num_frames}
    pairs = PairConfig(**limits, pairs_per_shot=PAIRS_FOR[num_frames], min_changed=0)
    return VideoShardConfig(videos=Path(), output=Path(), pairs=pairs, keypoints=keypoints, seed=seed)


def _read(name: str, path: Path, config: VideoShardConfig) -> Outcome:
    return read_clip(name, path, metadata={}, config=config)


def _report_kind(title: str, costs: dict[str, PreparationCost]) -> None:
    print(
        f"{title}\n  {'':18s} {'CPU s':>7s} {'ours is':>8s} {'pairs':>6s} {'pairs/CPU s':>12s} {'ours is':>8s}   stages"
    )
    plain = costs["ours"]
    for way, cost in costs.items():
        rate, faster = cost.pairs / cost.total, plain.total and cost.total / plain.total
        richer = f"{plain.pairs / plain.total / rate:7.2f}x" if rate else " " * 8
        stages = ", ".join(f"{stage} {100 * seconds / cost.total:.0f} %" for stage, seconds in cost.seconds.items())
        print(f"  {way:18s} {cost.total:7.3f} {faster:7.2f}x {cost.pairs:6.1f} {rate:12.2f} {richer}   {stages}")
    print()


def _report_workers(clips: Sequence[BenchClip]) -> None:
    """Print the elapsed seconds for all 1080p clips, each twice, with one and with two workers."""
    paths = {f"{turn}-{clip.path.name}": clip.path for clip in clips if clip.resolution == "1080p" for turn in range(2)}
    seconds = {}
    for workers in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            units = [Unit(Path(folder) / "videos-000000.tar", sorted(paths), editions={})]
            states = {name: state_of(path) for name, path in paths.items()}
            inputs = InputStates(states, lambda name: partial(hash_clip, paths[name]), {})
            work = WorkConfig(workers=workers)
            effort = shard_inputs(
                units,
                lambda name: partial(_read, name, paths[name], _config(16)),
                inputs=inputs,
                work=work,
                noun="video",
            )
            seconds[workers] = effort.wall_seconds
    ratio = seconds[1] / seconds[2]
    print(f"{len(paths)} clips: one worker {seconds[1]:.1f} s, two {seconds[2]:.1f} s, {ratio:.2f} times as fast")


def _report_memory(clip: BenchClip, num_clips: int) -> None:
    """Print the resident memory of one process while it prepares the same clip many times under different names."""
    config = _config(16)
    print(f"\nresident memory of one process over {num_clips} clips ({clip.path.name})")
    for number in range(num_clips):
        _read(str(number), clip.path, config)
        if (number + 1) % max(1, num_clips // MEMORY_STEPS) == 0:
            print(f"  after {number + 1:5d}: {_resident() / MEBIBYTE:7.1f} MiB")


def _resident() -> int:
    """Resident bytes of this process, on Linux."""
    return int((PROC / "statm").read_text().split()[1]) * mmap.PAGESIZE

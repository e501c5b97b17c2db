"""Videos to training shards: frames, pairs in the similarity band, matched keypoints, and a report.

    python data_prep/shard_videos.py --videos DIR --output runs/shards/videos

The same command goes on after an interruption and takes up clips that were added.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

if not __package__:  # run as a script, whose own folder comes first on the path; the packages lie one above
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from data_prep.images import encode_jpeg
from data_prep.inputs import UnreadableInput
from data_prep.keypoints import match_keypoints
from data_prep.pairs import ChosenPair, PairConfig, sample_times, select_pairs
from data_prep.report import write_report
from data_prep.run import KEPT, claim_output, make_shard, plan_units, read_metadata, run_tasks, seed_for, slug
from data_prep.summary import final_line, histogram, summarise
from data_prep.video import VIDEO_SUFFIXES, Decoder, Frame, VideoInfo, probe, read_frames
from mimicbrush.config import parse_config
from mimicbrush.data.shards import FramePair
from mimicbrush.errors import UserError, run_command

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = "python data_prep/shard_videos.py --videos DIR --output runs/shards/videos"


@dataclass(frozen=True, kw_only=True)
class VideoShardConfig:
    """Make frame-pair shards from a folder of videos."""

    videos: Path
    """A folder of clips, searched to any depth, or a text file with one path per line, relative to itself."""
    output: Path
    """Folder for the shards, config.yaml, summary.json and report.html."""
    metadata: Path | None = None
    """A CSV with a column `file` and any of group, licence, url; clips of one group are not independent."""
    short_side: int = 576
    """Frames are scaled down to this short side, never up."""
    decoder: Decoder = "auto"
    """decord, pyav, or auto: decord where it reads the clip, else PyAV. Only PyAV recognises damaged frames."""
    pairs: PairConfig = field(default_factory=PairConfig)
    """Which frames make a pair."""
    videos_per_shard: int = 100
    """Clips in one unit of work, which becomes one shard."""
    seed: int = 0
    """Decides the moments, the pairs, and which frame of a pair is the source."""
    workers: int = 0
    """Processes; 0: one per usable core. Does not change the result."""

    def __post_init__(self) -> None:
        for name in ("short_side", "videos_per_shard"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 1 or more")
        if self.workers < 0:
            raise ValueError(f"workers is {self.workers}; expected 0 (one per core) or more")


def list_videos(videos: Path) -> dict[str, Path]:
    """Clips by the name they are known by, sorted; raises UserError if there are none."""
    if videos.is_dir():
        found = (path for path in videos.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file())
        clips = {_readable(path.relative_to(videos)): path for path in found if not path.name.startswith(".")}
    elif videos.is_file() and videos.suffix.lower() not in VIDEO_SUFFIXES:
        lines = (line.strip() for line in _read_list(videos).splitlines())
        clips = {line: videos.parent / line for line in lines if line and not line.startswith("#")}
    else:
        raise UserError(f"{videos}: no such folder or list of videos; pass --videos, for example: {EXAMPLE}")
    if not clips:
        raise UserError(f"{videos}: holds no video ({', '.join(sorted(VIDEO_SUFFIXES))}); pass --videos DIR")
    return dict(sorted(clips.items()))


def _readable(path: Path) -> str:
    """The name as text, also where its bytes are no UTF-8."""
    return path.as_posix().encode(errors="surrogateescape").decode(errors="replace")


def _read_list(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path}: neither a folder of videos nor a text file that lists them") from None


def shard_videos(config: VideoShardConfig) -> dict:
    """Shard what is not yet sharded; returns the summary. Raises UserError for a mistake or if nothing is kept."""
    started = time.monotonic()
    clips = list_videos(config.videos)
    metadata = read_metadata(config.metadata, clips)
    claim_output(config.output, config, free=("output", "workers"))
    sizes = {name: path.stat().st_size if path.is_file() else 0 for name, path in clips.items()}
    units = plan_units(config.output, "videos", sizes, config.videos_per_shard)
    read = partial(read_pairs_of_clip, clips=clips, metadata=metadata, config=config)
    work = partial(make_shard, read=read, sizes=sizes)
    run_tasks(units, work, workers=config.workers, noun="video", size=lambda unit: len(unit.names))
    summary = summarise(
        config.output,
        noun="videos",
        inputs=clips,
        band=(config.pairs.ssim_low, config.pairs.ssim_high),
        new=sum(len(unit.names) for unit in units),
        seconds=time.monotonic() - started,
    )
    write_report(config.output)
    return summary


def read_pairs_of_clip(
    name: str, *, clips: dict[str, Path], metadata: dict[str, dict], config: VideoShardConfig
) -> tuple[list[FramePair], dict]:
    """A clip's pairs, and what to note of it; raises UnreadableInput."""
    path = clips[name]
    origin = {"group": name, **metadata.get(name, {}), "file": name}
    generator = seed_for(config.seed, name)
    info = probe(path)
    if info.duration <= 0:
        raise UnreadableInput("no_duration", "the container does not say how long it is")
    times = sample_times(info.duration, config.pairs, generator)
    frames = read_frames(path, times, short_side=config.short_side, decoder=config.decoder, info=info)
    if len(frames) < 2:
        raise UnreadableInput("too_short", f"{len(frames)} distinct frame in {info.duration:.2f} s")
    selection = select_pairs(frames, config.pairs, generator)
    pairs = [_frame_pair(pair, origin, info, generator) for pair in selection.pairs]
    detail = "" if pairs else f"{len(frames)} frames, {len(selection.scores)} candidate pairs"
    record = {
        "status": selection.reason or KEPT,
        "detail": detail,
        "decoder": frames[0].decoder,
        "dropped": dict(selection.dropped),
        "similarity": histogram(pair.similarity for pair in pairs),
        "candidates": histogram(selection.scores),
    }
    return pairs, record


def _frame_pair(pair: ChosenPair, origin: dict, info: VideoInfo, generator: np.random.Generator) -> FramePair:
    """The chosen frames as a sample; either may be the source, so that edits go forward and backward in time."""
    frames = (pair.first, pair.second) if generator.random() < 0.5 else (pair.second, pair.first)
    source, reference = frames
    milliseconds = "-".join(str(round(frame.time * 1000)) for frame in frames)
    return FramePair(
        key=f"{slug(origin['file'])}-{milliseconds}",
        source=encode_jpeg(source.image),
        reference=encode_jpeg(reference.image),
        similarity=round(pair.similarity, 6),
        keypoints=match_keypoints(source.image, reference.image),
        origin={**origin, **_provenance(source, reference, info)},
    )


def _provenance(source: Frame, reference: Frame, info: VideoInfo) -> dict:
    height, width = source.image.shape[:2]
    return {
        "times": [round(source.time, 4), round(reference.time, 4)],
        "size": [width, height],
        "video_size": [info.width, info.height],
        "codec": info.codec,
        "decoder": source.decoder,
    }


def main() -> None:
    config = parse_config(VideoShardConfig, default=ROOT / "configs/data/videos.yaml")
    print(final_line(shard_videos(config), config.output))


if __name__ == "__main__":
    run_command(main)

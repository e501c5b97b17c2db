"""Videos to training shards: frames, pairs in the similarity band, matched keypoints, and a report.

    python data_prep/shard_videos.py --videos DIR --output runs/shards/videos

The same command goes on after an interruption and takes up clips that were added.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

if not __package__:  # run as a script, whose own folder comes first on the path; the packages lie one above
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from data_prep.duplicates import hash_glimpses
from data_prep.footage import Footage, Frame
from data_prep.images import EncodeConfig, encode_image, encode_strip
from data_prep.inputs import check_file, find_files, readable_name, size_of
from data_prep.keypoints import Match, detect_keypoints, match_keypoints, median_motion
from data_prep.merge import shard_and_merge
from data_prep.pairs import ChosenPair, PairConfig, Selection, sample_times, select_pairs
from data_prep.run import KEPT, WorkConfig, seed_for, slug
from data_prep.summary import BAND_BIN, GAP_BIN, MOTION_BIN, histogram
from data_prep.video import VIDEO_SUFFIXES, Decoder, read_frames
from data_prep.work import Outcome, Stopwatch
from mimicbrush.config import parse_config
from mimicbrush.data.shards import FramePair
from mimicbrush.errors import UserError, run_command
from mimicbrush.machine import require_posix
from mimicbrush.metadata import read_metadata
from mimicbrush.unusable_input import UnusableInput

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
    encode: EncodeConfig = field(default_factory=EncodeConfig)
    """How pictures are stored."""
    decoder: Decoder = "auto"
    """decord, pyav, or auto: PyAV, which tells damaged frames and was no slower for any codec tried."""
    exact_frames: bool = False
    """Decode the very frames of the random moments, not the reference frames before them: half as slow again."""
    keypoints: bool = True
    """Store matched keypoints, which the paper's masks follow."""
    pairs: PairConfig = field(default_factory=PairConfig)
    """Which frames make a pair."""
    duplicate_share: float = 0.5
    """Clips are excluded whose frames, to this share at least, look like another's; above 1 none is."""
    videos_per_shard: int = 100
    """Clips in one unit of work, which becomes one shard."""
    seed: int = 0
    """Decides the moments, the pairs, and which frame of a pair is the source."""
    work: WorkConfig = field(default_factory=WorkConfig)
    """Who does the work."""

    def __post_init__(self) -> None:
        for name in ("short_side", "videos_per_shard"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 1 or more")
        if self.duplicate_share <= 0:
            raise ValueError(f"duplicate_share is {self.duplicate_share}; expected a share above 0")


def list_videos(videos: Path) -> dict[str, Path]:
    """Clips by the name they are known by, sorted; raises UserError if there are none."""
    if videos.is_dir():
        found = (path for path in find_files(videos) if path.suffix.lower() in VIDEO_SUFFIXES or path.is_dir())
        clips = {readable_name(path.relative_to(videos)): path for path in found}
    elif videos.is_file() and videos.suffix.lower() not in VIDEO_SUFFIXES:
        lines = (line.strip() for line in _read_list(videos).splitlines())
        named = (os.path.normpath(line) for line in lines if line and not line.startswith("#"))
        clips = {name: videos.parent / name for name in named}
    else:
        raise UserError(f"{videos}: no such folder or list of videos; pass --videos, for example: {EXAMPLE}")
    if not clips:
        raise UserError(f"{videos}: holds no video ({', '.join(sorted(VIDEO_SUFFIXES))}); pass --videos DIR")
    return dict(sorted(clips.items()))


def _read_list(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path}: neither a folder of videos nor a text file that lists them") from None


def shard_videos(config: VideoShardConfig) -> str:
    """Shard what is not yet sharded; returns a line on the outcome. Raises UserError for a mistake."""
    clips = list_videos(config.videos)
    metadata = read_metadata(config.metadata, clips)
    sizes = {name: size_of(path) for name, path in clips.items()}
    read = partial(read_clip, clips=clips, metadata=metadata, config=config)
    return shard_and_merge(config, read, sizes=sizes, kind="video", per_shard=config.videos_per_shard)


def read_clip(
    name: str, *, clips: Mapping[str, Path], metadata: Mapping[str, dict], config: VideoShardConfig
) -> Outcome:
    """A clip's pairs, and what to note of it; raises UnusableInput."""
    watch, generator = Stopwatch(), seed_for(config.seed, name)
    with watch.measure("decode"):
        footage = _decode(clips[name], config, generator)
    with watch.measure("similarity"):
        selection = select_pairs(footage, config.pairs, generator)
    with watch.measure("keypoints"):
        matches = _match(selection.pairs) if config.keypoints else [[] for _ in selection.pairs]
    with watch.measure("encode"):
        origin = {"group": name, **metadata.get(name, {}), "file": name, **_facts(footage)}
        frames = _frames_of(selection.pairs)
        encoded = {moment: encode_image(frame.image, config.encode) for moment, frame in frames.items()}
        chosen = zip(selection.pairs, matches, strict=True)
        pairs = [_frame_pair(pair, found, origin, encoded, generator) for pair, found in chosen]
        examples = {reason: encode_strip([f.image for f in frames]) for reason, frames in selection.examples.items()}
    record = _record(footage, selection, matches)
    return Outcome(pairs, record, examples, dict(watch.seconds))


def _decode(path: Path, config: VideoShardConfig, generator: np.random.Generator) -> Footage:
    check_file(path)
    times = partial(sample_times, config=config.pairs, generator=generator)
    decoding = {"short_side": config.short_side, "decoder": config.decoder, "exact": config.exact_frames}
    footage = read_frames(path, times, **decoding)
    if len(footage.frames) < 2:
        seconds = footage.info.duration
        raise UnusableInput("too_short", f"{len(footage.frames)} distinct frame in {seconds:.2f} s")
    return footage


def _match(pairs: Sequence[ChosenPair]) -> list[list[Match]]:
    """Keypoints from the earlier frame to the later one, each frame looked at once."""
    features = {moment: detect_keypoints(frame.image) for moment, frame in _frames_of(pairs).items()}
    return [match_keypoints(features[pair.first.time], features[pair.second.time]) for pair in pairs]


def _frames_of(pairs: Sequence[ChosenPair]) -> dict[float, Frame]:
    """Every frame of the pairs once, by its time."""
    return {frame.time: frame for pair in pairs for frame in (pair.first, pair.second)}


def _frame_pair(
    pair: ChosenPair,
    matches: list[Match],
    origin: dict,
    encoded: Mapping[float, bytes],
    generator: np.random.Generator,
) -> FramePair:
    """The chosen frames, `encoded` by their times, as a sample; either is the source, as edits go both ways in time."""
    source, reference = pair.first, pair.second
    if generator.random() >= 0.5:
        source, reference = reference, source
        matches = [(*match[2:], *match[:2]) for match in matches]
    milliseconds = "-".join(str(round(frame.time * 1000)) for frame in (source, reference))
    height, width = source.image.shape[:2]
    return FramePair(
        key=f"{slug(origin['file'])}-{milliseconds}",
        source=encoded[source.time],
        reference=encoded[reference.time],
        similarity=round(pair.similarity, 6),
        keypoints=matches,
        origin={**origin, "times": [round(source.time, 4), round(reference.time, 4)], "size": [width, height]},
    )


def _facts(footage: Footage) -> dict:
    info = footage.info
    return {"video_size": [info.width, info.height], "codec": info.codec, "decoder": footage.decoder}


def _record(footage: Footage, selection: Selection, matches: Sequence[list[Match]]) -> dict:
    """What the shard's index says of a clip that could be decoded."""
    motions = [motion for motion in map(median_motion, matches) if motion is not None]
    detail = f"{len(footage.frames)} frames, {len(selection.candidates)} pairs compared"
    return {
        "status": selection.reason or KEPT,
        "detail": detail if selection.reason else "",
        **_facts(footage),
        "dropped_frames": dict(selection.dropped_frames),
        "dropped_pairs": dict(selection.dropped_pairs),
        "candidates": histogram((pair.similarity for pair in selection.candidates), BAND_BIN),
        "similarity": histogram((pair.similarity for pair in selection.pairs), BAND_BIN),
        "gap": histogram((pair.gap for pair in selection.pairs), GAP_BIN),
        "motion": histogram(motions, MOTION_BIN),
        "hashes": hash_glimpses(footage.glimpses),
    }


def main() -> None:
    config = parse_config(VideoShardConfig, default=ROOT / "configs/data/videos.yaml")
    require_posix("sharding")
    print(shard_videos(config))


if __name__ == "__main__":
    run_command(main)

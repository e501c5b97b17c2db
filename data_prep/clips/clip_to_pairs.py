"""Turn clips into training shards: decode frames, divide them into shots, choose pairs, match keypoints, encode."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from data_prep.clips.borders import Borders, find_borders
from data_prep.clips.clip_record import ClipRecord
from data_prep.clips.moments import Stretch, drop_further, plan_stretches, read_all, read_at, sample_times
from data_prep.clips.pairs import ChosenPair, select_pairs
from data_prep.clips.shots import Division, Shot, find_shots, num_pairs_across, thin_out
from data_prep.config import PairConfig, VideoShardConfig
from data_prep.frames.images import encode_image
from data_prep.frames.keypoints import FrameFeatures, KeypointMatcher, Match
from data_prep.inputs.clip_files import list_videos
from data_prep.inputs.input_files import check_file
from data_prep.inputs.input_states import InputStates, state_of
from data_prep.records.duplicates import hash_thumbnails
from data_prep.records.work_units import slug
from data_prep.sharding.parallel_sharding import Outcome, Stopwatch
from data_prep.sharding.shard_folder import shard_and_merge
from mimicbrush.data.picture_limits import is_storable
from mimicbrush.data.shards import FramePair
from mimicbrush.files import sha256
from mimicbrush.metadata import read_metadata
from mimicbrush.seeds import seed_of_input
from mimicbrush.video.clip_reader import ClipReader, open_clip
from mimicbrush.video.decoded_clip import DecodedClip, Frame, Thumbnail

THUMBNAIL_STEP = 4
"""Step between thumbnails kept for the hashes of a clip that is read in stretches, because there may be many."""


def shard_videos(config: VideoShardConfig) -> str:
    """Shard all clips that no finished shard covers; returns a line on the result. Raises UserError for a mistake."""
    clips, passed_over = list_videos(config.videos, output=config.output)
    metadata = read_metadata(config.metadata, clips)
    states = {name: state_of(path) for name, path in clips.items()}
    inputs = InputStates(states, lambda name: partial(hash_clip, clips[name]), passed_over)

    def reader(name: str) -> Callable[[], Outcome]:
        return partial(read_clip, name, clips[name], metadata=metadata.get(name, {}), config=config)

    return shard_and_merge(config, reader, inputs=inputs, kind="video", per_shard=config.videos_per_shard)


def hash_clip(path: Path) -> str:
    """SHA-256 of a clip's file; raises UnusableInput if it is no file, and OSError."""
    check_file(path)
    return sha256(path)


@dataclass(frozen=True)
class _Reading:
    """One clip that is being read: options, randomness, and what is counted and timed on the way."""

    path: Path
    config: VideoShardConfig
    generator: np.random.Generator
    record: ClipRecord
    watch: Stopwatch

    @property
    def pairs(self) -> PairConfig:
        """Options for pairs."""
        return self.config.pairs

    def open(self, decoder: str = "auto") -> AbstractContextManager[ClipReader]:
        """Open the clip at its start."""
        config = self.config
        return open_clip(self.path, short_side=config.short_side, decoder=decoder, exact=config.exact_frames)


def read_clip(name: str, path: Path, *, metadata: Mapping, config: VideoShardConfig) -> Outcome:
    """Read one clip: its pairs, and its record in the shard's index; raises UnusableInput.

    metadata: the clip's own, stored with its pairs.
    """
    generator = np.random.default_rng(seed_of_input(config.seed, name))
    reading = _Reading(path, config, generator, ClipRecord(), Stopwatch())
    check_file(path)
    origin = {"group": name, **metadata, "file": name}
    pairs, thumbnails, facts = [], [], {}
    for read_stretch in _stretches(reading):
        found, seen, facts = _pairs_of_stretch(read_stretch, reading, origin=origin)
        pairs += found
        thumbnails += seen
    described = {**reading.record.summarise(), **facts, "hashes": hash_thumbnails(thumbnails)}
    return Outcome(pairs, described, reading.record.examples, dict(reading.watch.seconds))


def _stretches(reading: _Reading) -> Iterator[Callable[[], tuple[DecodedClip, Division]]]:
    """Functions that decode a stretch of a clip and divide it into shots, to be called in turn; raises UnusableInput.

    Nothing here refers to a stretch once it was read, so that its frames are freed before the next is decoded.
    """
    record = reading.record
    with ExitStack() as stack:
        with reading.watch.measure("decode"):
            reader = stack.enter_context(reading.open(reading.config.decoder))
        info = reader.info
        stretches, record.num_stretches = plan_stretches(info.duration, info.width * info.height, reading.pairs)
        record.num_stretches_read = len(stretches)
        if record.num_stretches == 1:
            yield partial(_read_short_clip, reader, reading)
            return
        if reading.config.decoder == "decord":
            reader = stack.enter_context(reading.open())
        for stretch in stretches:
            yield partial(_read_stretch, reader, reading, stretch=stretch)


def _read_stretch(reader: ClipReader, reading: _Reading, *, stretch: Stretch) -> tuple[DecodedClip, Division]:
    """Read one stretch of a long clip."""
    with reading.watch.measure("decode"):
        times = sample_times(stretch, reader.info.duration, reading.pairs, reading.generator)
        clip = read_all(reader, stretch, times, reading.pairs)
    with reading.watch.measure("similarity"):
        return clip, find_shots(clip)


def _read_short_clip(reader: ClipReader, reading: _Reading) -> tuple[DecodedClip, Division]:
    """Read a clip at random moments; if frames that were skipped may hide cuts, read all of it again.

    A clip of a single shot has frames at the random moments alone.
    """
    watch, duration = reading.watch, reader.info.duration
    whole = Stretch(0.0, duration)
    with watch.measure("decode"):
        times = sample_times(whole, duration, reading.pairs, reading.generator)
        clip = read_at(reader, times)
    with watch.measure("similarity"):
        division = find_shots(clip)
    if not division.may_hide_cuts():
        return clip, division
    del clip, division  # frees their frames
    with watch.measure("decode"), reading.open() as again:
        clip = read_all(again, whole, times, reading.pairs)
    with watch.measure("similarity"):
        division = find_shots(clip)
    if len(division.shots) == 1:
        shot = division.shots[0]
        shot = shot._replace(frames=drop_further(shot.frames, times, clip.thumbnails) or shot.frames)
        division = division._replace(shots=[shot])
    return clip, division


def _pairs_of_stretch(
    read_stretch: Callable[[], tuple[DecodedClip, Division]], reading: _Reading, *, origin: Mapping
) -> tuple[list[FramePair], list[Thumbnail], dict]:
    """Read a stretch: its pairs, thumbnails from which the clip is hashed, and facts of the clip."""
    clip, division = read_stretch()
    facts = _facts(clip)
    pairs = []
    for shot in _choose_shots(division, reading.record, reading.pairs):
        pairs += _pairs_of_shot(shot, reading, division.features, origin={**origin, **facts})
    return pairs, clip.thumbnails[:: 1 if reading.record.num_stretches == 1 else THUMBNAIL_STEP], facts


def _choose_shots(division: Division, record: ClipRecord, config: PairConfig) -> list[Shot]:
    """The shots of a stretch of which pairs are chosen; what is left out is counted.

    Frames between shots are dropped, and pairs of two shots are never compared.
    """
    shots, transitions = division.shots, division.transitions
    record.num_frames += len(transitions) + sum(len(shot.frames) for shot in shots)
    if transitions:
        record.dropped_frames["transition"] += len(transitions)
        record.add_example("transition", transitions[:1])
    if num_across := num_pairs_across(shots):
        record.dropped_pairs["cut_between"] += num_across
        record.add_example("cut_between", [shots[0].frames[-1], shots[1].frames[0]])
    largest = sorted(shots, key=lambda shot: len(shot.frames), reverse=True)[: record.shots_per_stretch(config)]
    record.num_shots_left_out += len(shots) - len(largest)
    return [thin_out(shot, config.frames_per_shot) for shot in sorted(largest, key=lambda shot: shot.frames[0].time)]


def _pairs_of_shot(shot: Shot, reading: _Reading, features: FrameFeatures, *, origin: Mapping) -> list[FramePair]:
    """Choose the pairs of a shot, match their keypoints and encode their frames."""
    config, watch, generator = reading.config, reading.watch, reading.generator
    matcher = KeypointMatcher(features)
    with watch.measure("similarity"):
        shot, borders = _crop(shot)
        selection = select_pairs(shot, config.pairs, generator, matcher)
    with watch.measure("keypoints"):
        matches = [matcher.match(pair.first, pair.second) if config.keypoints else [] for pair in selection.pairs]
    with watch.measure("encode"):
        frames = _frames_of(selection.pairs)
        encoded = {moment: encode_image(frame.image, config.encode) for moment, frame in frames.items()}
        chosen = zip(selection.pairs, matches, strict=True)
        origin = {**origin, "cropped": list(borders)} if any(borders) else origin
        pairs = [_frame_pair(*each, origin=origin, encoded=encoded, generator=generator) for each in chosen]
        reading.record.add_shot(selection, matches, borders)
    return pairs


def _crop(shot: Shot) -> tuple[Shot, Borders]:
    """Crop constant borders (bars, blurred sides) from a shot's frames."""
    height, width = shot.frames[0].image.shape[:2]
    borders = find_borders([frame.image for frame in shot.frames]) if is_storable(width, height) else Borders()
    if not any(borders):
        return shot, borders
    cropped = [frame._replace(image=np.ascontiguousarray(borders.crop(frame.image))) for frame in shot.frames]
    return shot._replace(frames=cropped), borders


def _frames_of(pairs: Sequence[ChosenPair]) -> dict[float, Frame]:
    """The frames of all pairs, each once, by their times."""
    return {frame.time: frame for pair in pairs for frame in (pair.first, pair.second)}


def _frame_pair(
    pair: ChosenPair,
    matches: list[Match],
    *,
    origin: Mapping,
    encoded: Mapping[float, bytes],
    generator: np.random.Generator,
) -> FramePair:
    """Make a sample of two frames, `encoded` by their times; which one is the source is drawn at random."""
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
        origin={
            **origin,
            "times": [round(source.time, 4), round(reference.time, 4)],
            "size": [width, height],
            **({"vouched": True} if pair.is_vouched else {}),
        },
    )


def _facts(clip: DecodedClip) -> dict:
    """Facts of a clip that are stored in its record and in its samples."""
    info = clip.info
    return {"video_size": [info.width, info.height], "codec": info.codec, "decoder": clip.decoder}

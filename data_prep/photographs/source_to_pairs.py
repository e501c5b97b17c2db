"""Turn your own photographs into training shards: pairs of a source and a reference, with masks and matched points."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.config import PairConfig, PhotographShardConfig
from data_prep.frames.images import encode_image, encode_strip, shrink, to_grey
from data_prep.frames.keypoints import Features, detect_keypoints, match_keypoints, median_motion
from data_prep.frames.likeness import Likeness, Look, compare, look_at
from data_prep.inputs.input_states import InputStates
from data_prep.inputs.photograph_files import SourceFiles, list_sources
from data_prep.photographs.photograph_reading import Photograph, read_photograph
from data_prep.photographs.source_masks import SourceMask, add_sam_masks, find_mask
from data_prep.records.folder_summary import SUMMARY_NAME
from data_prep.records.source_facts import name_faults
from data_prep.records.summary import BAND_BIN, MOTION_BIN, histogram
from data_prep.records.work_units import KEPT, slug
from data_prep.sharding.parallel_sharding import Outcome, Stopwatch
from data_prep.sharding.shard_folder import NothingToTrainOnError, shard_and_merge
from mimicbrush.data.shards import FramePair
from mimicbrush.errors import UnusableInput
from mimicbrush.files import read_object
from mimicbrush.pictures.perceptual_hash import hash_colours, invert
from mimicbrush.pictures.writing import encode_png
from mimicbrush.seeds import seed_of_input

LIMITS = PairConfig()
"""Limits on pairs of frames; those on nearly equal pictures also apply to photographs."""


def shard_photographs(config: PhotographShardConfig) -> str:
    """Shard all sources that no finished shard covers; returns lines on the result. Raises UserError for a mistake."""
    sources, passed_over = list_sources(config)
    if config.masks.method == "sam":
        sources = add_sam_masks(sources, config)
    states = {name: files.state for name, files in sources.items()}
    inputs = InputStates(states, lambda name: sources[name].hash_content, passed_over)

    def reader(name: str) -> Callable[[], Outcome]:
        return partial(read_source, name, sources[name], config=config)

    try:
        result = shard_and_merge(config, reader, inputs=inputs, kind="source", per_shard=config.sources_per_shard)
    except NothingToTrainOnError:
        print("\n".join(name_faults(read_object(config.output / SUMMARY_NAME))))
        raise
    if config.work.is_shared:
        return result
    return "\n".join([*name_faults(read_object(config.output / SUMMARY_NAME)), result])


def read_source(name: str, files: SourceFiles, *, config: PhotographShardConfig) -> Outcome:
    """Read one source and its references: their pairs, and their record in the shard's index.

    A reference that cannot be used is left out and counted. Raises UnusableInput where no pair is left.
    """
    if files.fault:
        raise UnusableInput(*files.fault.split(": ", 1))
    watch = Stopwatch()
    with watch.measure("decode"):
        source = read_photograph(files.source, short_side=config.short_side)
    with watch.measure("masks"):
        mask = find_mask(files, source, config.masks, seed=seed_of_input(config.seed, name) % 2**31)
    origin = {**files.facts, "size": list(source.image.shape[1::-1])}
    maker = _PairMaker(source, config, watch)
    pairs = []
    for number, (reference_name, path) in enumerate(files.references.items()):
        reference = maker.read(path, reference_name)
        if reference is None:
            continue
        pair = FramePair(
            key=f"{slug(name)}-{number}",
            source=maker.encoded,
            reference=encode_image(reference.image, config.encode),
            similarity=round(maker.similarities[-1], 6),
            keypoints=maker.matches[-1],
            masks=[] if mask.mask is None else [encode_png(mask.mask)],
            origin={**origin, "file": f"{files.file} + {reference_name}"},
        )
        pairs.append(pair)
    if not pairs and len(files.references) == 1:
        raise UnusableInput(*maker.last_fault)
    return Outcome(pairs, _record(files, source, mask, maker), maker.examples, dict(watch.seconds))


class _PairMaker:
    """Pairs one source with its references, one after the other, and counts what is dropped."""

    def __init__(self, source: Photograph, config: PhotographShardConfig, watch: Stopwatch) -> None:
        self.source, self.config, self.watch = source, config, watch
        self.grey = to_grey(source.image, LIMITS.ssim_size)
        self.look: Look = look_at(self.grey)
        with watch.measure("keypoints"):
            self.features: Features = detect_keypoints(source.image)
        with watch.measure("encode"):
            self.encoded = encode_image(source.image, config.encode)
        self.similarities: list[float] = []
        self.matches: list[list[tuple[float, ...]]] = []
        self.dropped: Counter[str] = Counter()
        self.examples: dict[str, bytes] = {}
        self.last_fault = ("", "")
        self.reference: NDArray[np.uint8] | None = None
        """Picture of the last reference that was kept."""

    def read(self, path: Path, name: str) -> Photograph | None:
        """Read a reference, compare it with the source and match it; None if it gives no pair."""
        try:
            with self.watch.measure("decode"):
                reference = read_photograph(path, short_side=self.config.short_side)
            self._refuse_copy(reference, name)
        except UnusableInput as error:
            self.dropped[error.reason] += 1
            self.last_fault = error.reason, error.detail
            return None
        with self.watch.measure("keypoints"):
            self.matches.append(match_keypoints(self.features, detect_keypoints(reference.image)))
        return reference

    def _refuse_copy(self, reference: Photograph, name: str) -> None:
        """Raise UnusableInput (copies) if training could solve the pair by copying in place."""
        with self.watch.measure("similarity"):
            grey = to_grey(reference.image, LIMITS.ssim_size)
            fitted = cv2.resize(grey, self.grey.shape[::-1], interpolation=cv2.INTER_AREA)
            likeness: Likeness = compare(self.look, look_at(fitted), min_changed=LIMITS.min_changed)
        if likeness.similarity > LIMITS.ssim_high or likeness.changed < LIMITS.min_changed:
            self.examples.setdefault("copies", encode_strip([self.source.image, reference.image]))
            raise UnusableInput("copies", f"{name}: SSIM {likeness.similarity:.2f}, {likeness.changed:.0%} changed")
        self.similarities.append(likeness.similarity)
        self.reference = reference.image


def _record(files: SourceFiles, source: Photograph, mask: SourceMask, maker: _PairMaker) -> dict:
    hashes = hash_colours(shrink(source.image, LIMITS.ssim_size))
    if len(files.references) == 1 and maker.reference is not None:
        # Inverted, so that a reference never looks like a source: A with B does not repeat B with A.
        hashes += map(invert, hash_colours(shrink(maker.reference, LIMITS.ssim_size)))
    motions = [motion for motion in map(median_motion, maker.matches) if motion is not None]
    return {
        "status": KEPT if maker.similarities else maker.dropped.most_common(1)[0][0],
        "detail": "" if maker.similarities else maker.last_fault[1],
        "video_size": list(source.full_size),
        "group": files.facts["group"],
        "hashes": hashes,
        "mask": mask.origin,
        **({"note": mask.fault} if mask.fault else {}),
        "matched": len(motions),
        "dropped_pairs": dict(maker.dropped),
        "similarity": histogram(maker.similarities, BAND_BIN),
        "motion": histogram(motions, MOTION_BIN),
    }

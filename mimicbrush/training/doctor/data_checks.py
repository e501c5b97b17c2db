"""Check that the shards are what training expects, by a few samples of each source, spread over its shards."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from mimicbrush.data.config import CacheConfig, DataConfig, SourceConfig
from mimicbrush.data.datamodule import choose_heldout
from mimicbrush.data.decode import decode_image, decode_pair
from mimicbrush.data.remote_files import locate
from mimicbrush.data.remote_samples import prepare_ahead
from mimicbrush.data.shard_index import sound_indexes
from mimicbrush.data.shards import DamagedSampleError, FramePair, Shard, open_shards
from mimicbrush.files import sha256
from mimicbrush.reports.number_format import format_bytes
from mimicbrush.training.config import TrainConfig
from mimicbrush.training.doctor.findings import Finding

MAX_NAMED = 4
MAX_OBJECT_AREA = 0.5
"""Share of a picture that most objects of SA-1B do not exceed; if most masks do, black and white were swapped."""


class CheckExtent(NamedTuple):
    """Amount of data that is checked."""

    num_decoded: int
    """Number of samples of each source that are decoded."""
    num_read: int
    """Number of samples of each folder whose group is read."""
    hashed_bytes: int
    """Bytes of each source's shards whose digests are compared with their indexes."""


BEFORE_A_RUN = CheckExtent(num_decoded=16, num_read=256, hashed_bytes=0)
IN_FULL = CheckExtent(num_decoded=64, num_read=4096, hashed_bytes=2**30)


class DecodedSampleFacts(NamedTuple):
    """Facts about one decoded sample."""

    longer_side: int
    has_reference: bool
    num_keypoints: int
    mask_areas: list[float]
    """Share of the picture that each object mask covers."""


def check_source(
    source: SourceConfig, config: DataConfig, *, size: int, samples_per_step: int, extent: CheckExtent
) -> Iterator[Finding]:
    """Check one source of the mixture. Raises UserError where its folder holds no valid shard."""
    name = locate(source.shards).name
    shards = open_shards(source.shards, config.cache)
    samples, damaged = _decode_samples(shards, size, extent.num_decoded)
    num_pairs = sum(len(shard.samples) for shard in shards)
    share = source.weight / sum(other.weight for other in config.sources)
    steps = num_pairs / (share * samples_per_step)
    content = f"{len(shards)} shards, {num_pairs} pairs, a pass takes {steps:.0f} steps"
    if not samples:
        yield Finding(
            name, "fault", f"{content}; all {len(damaged)} looked at are damaged: {damaged[0]}; make the shards again"
        )
        return
    yield Finding(name, "ok", f"{content}; looked at {len(samples)}: {_describe(samples)}")
    if damaged:
        message = (
            f"{len(damaged)} of {len(samples) + len(damaged)} samples are damaged: {damaged[0]}; they will be skipped"
        )
        yield Finding(name, "warning", message)
    yield from _check_layout(name, samples)
    yield from _check_sizes(name, samples, size)
    yield from _check_object_masks(name, samples)
    if extent.hashed_bytes:
        yield from _check_digests(name, shards, extent.hashed_bytes)


def check_heldout(config: DataConfig, extent: CheckExtent) -> Iterator[Finding]:
    """Check that held-out data is not in the training data. Raises UserError where a folder holds no valid shard."""
    if config.heldout is None:
        message = "no data.heldout: no previews and no reference use; make shards of some other clips for it"
        yield Finding("held-out", "warning", message)
        return
    folders = [source.shards for source in config.sources]
    keys = _keys(config.heldout) & set().union(*map(_keys, folders))
    groups, num_heldout = _groups(config.heldout, config.cache, extent.num_read)
    read = [_groups(folder, config.cache, extent.num_read) for folder in folders]
    trained = set().union(*(found for found, _ in read))
    shared = groups & trained
    if keys or shared:
        common = f"{len(keys)} samples ({_named(keys)})" if keys else f"{len(shared)} groups ({_named(shared)})"
        fact = f"{config.heldout} and the training data share {common}, so measurements on it are too good"
        yield Finding("held-out", "warning", f"{fact}; hold out whole clips")
        return
    # The same clip may have another folder in its path.
    if alike := _file_names(groups) & _file_names(trained):
        fact = f"{config.heldout} and the training data have files of the same names in other folders ({_named(alike)})"
        remedy = "if they are the same clips, measurements on it are too good: hold out whole clips"
        yield Finding("held-out", "warning", f"{fact}; {remedy}")
        return
    checked = f"{num_heldout} held-out and {sum(num for _, num in read)} training samples looked at"
    yield Finding("held-out", "ok", f"{len(groups)} groups, none of them in the training data ({checked})")


def check_heldout_pairs(config: TrainConfig) -> Iterator[Finding]:
    """Check that previews, reference use and held-out loss have enough pairs. Raises UserError where they have not."""
    run = config.run
    num_previews = run.num_previews if run.preview_every else 0
    wanted = max(num_previews, run.num_reference_use_pairs if run.reference_use_every else 0)
    if config.data.heldout is not None and wanted:
        choose_heldout(config.data.heldout, wanted)
        yield Finding("held-out", "ok", f"it holds the {wanted} pairs that this run needs")
    if config.data.heldout is not None and run.heldout_loss_every:
        chosen = choose_heldout(config.data.heldout, run.num_heldout_loss_pairs, or_fewer=True)
        yield Finding("held-out loss", "ok", f"{len(chosen)} pairs, every {run.heldout_loss_every} steps")


def _decode_samples(shards: Sequence[Shard], size: int, num: int) -> tuple[list[DecodedSampleFacts], list[str]]:
    """Decode samples as training does; returns their facts, and the messages of damaged ones."""
    samples, damaged = [], []
    for shard, sample in prepare_ahead(_spread(shards, num)):
        try:
            pair = shard.read(sample)
            decode_pair(pair, size, random.Random(0))
            samples.append(_facts_of(pair))
        except DamagedSampleError as error:
            damaged.append(str(error))
    return samples, damaged


def _facts_of(pair: FramePair) -> DecodedSampleFacts:
    source = decode_image(pair.source, "RGB")
    areas = [(decode_image(mask, "L") > 0.5).float().mean().item() for mask in pair.masks]
    return DecodedSampleFacts(max(source.shape[1:]), pair.reference is not None, len(pair.keypoints), areas)


def _describe(samples: Sequence[DecodedSampleFacts]) -> str:
    """Describe the samples in one line."""
    with_reference = [sample for sample in samples if sample.has_reference]
    stills = [sample for sample in samples if not sample.has_reference]
    parts = [f"longer side {_range([sample.longer_side for sample in samples])} pixels"]
    if with_reference:
        points = median(sample.num_keypoints for sample in with_reference)
        parts.append(f"{len(with_reference)} with a reference, {points:.0f} keypoints at the median")
    if stills:
        parts.append(f"{len(stills)} stills, {_range([len(sample.mask_areas) for sample in stills])} masks each")
    return "; ".join(parts)


def _check_layout(name: str, samples: Sequence[DecodedSampleFacts]) -> Iterator[Finding]:
    bare = [sample for sample in samples if not sample.has_reference and not sample.mask_areas]
    if bare:
        fact = (
            f"{len(bare)} of {len(samples)} samples have neither a reference nor object masks: they train on grid masks"
        )
        yield Finding(name, "warning", f"{fact} over a warped copy; shard videos, or stills with their masks")
    # Pseudo-pairs of stills have masks instead of keypoints.
    pairs = [sample for sample in samples if sample.has_reference and not sample.mask_areas]
    unmatched = [sample for sample in pairs if not sample.num_keypoints]
    if len(unmatched) > len(pairs) / 2:
        fact = (
            f"{len(unmatched)} of {len(pairs)} pairs have no keypoints, so masks cannot prefer what the reference shows"
        )
        yield Finding(name, "warning", f"{fact}; shard with keypoints, or look at the pairs in report.html")


def _check_sizes(name: str, samples: Sequence[DecodedSampleFacts], size: int) -> Iterator[Finding]:
    small = [sample.longer_side for sample in samples if sample.longer_side < size]
    if small:
        fact = f"{len(small)} of {len(samples)} pictures are smaller ({_range(small)} pixels) than network.size {size}"
        yield Finding(name, "warning", f"{fact}: the network learns their blur; shard with --short_side {size}")


def _check_object_masks(name: str, samples: Sequence[DecodedSampleFacts]) -> Iterator[Finding]:
    areas = [area for sample in samples for area in sample.mask_areas]
    large = [area for area in areas if area > MAX_OBJECT_AREA]
    if len(large) > len(areas) / 2:
        fact = f"{len(large)} of {len(areas)} object masks cover over half of their picture, {median(areas):.0%} at the"
        remedy = "white must be the object; if black is, invert the masks and make the shards again"
        yield Finding(name, "warning", f"{fact} median: {remedy}")


def _check_digests(name: str, shards: Sequence[Shard], most: int) -> Iterator[Finding]:
    """Compare the digests of some shards, the smallest first, with those in their indexes."""
    if any(shard.remote for shard in shards):
        yield Finding(name, "ok", "at an address: each sample is compared with its checksum when it is read")
        return
    checked = read = 0
    damaged = []
    for shard in sorted(shards, key=lambda shard: shard.offsets[-1]):
        if checked and read + shard.offsets[-1] > most:
            break
        if sha256(shard.path) != shard.sha256:
            damaged.append(shard.path.name)
        checked, read = checked + 1, read + shard.offsets[-1]
    if damaged:
        fact = f"{', '.join(damaged[:MAX_NAMED])}: changed since they were written"
        yield Finding(name, "fault", f"{fact}; delete them with their indexes and make the shards again")
        return
    yield Finding(name, "ok", f"sha256 of {checked} of {len(shards)} shards compared ({format_bytes(read)})")


def _spread(shards: Sequence[Shard], num: int) -> Iterator[tuple[Shard, int]]:
    """Choose at most `num` samples, evenly over all shards."""
    ends = np.cumsum([len(shard.samples) for shard in shards])
    num = min(num, int(ends[-1]))
    for place in (turn * int(ends[-1]) // num for turn in range(num)):
        number = int(np.searchsorted(ends, place, side="right"))
        yield shards[number], int(shards[number].samples[place - ends[number]])


def _groups(folder: str | Path, cache: CacheConfig, num: int) -> tuple[set[str], int]:
    """Read the groups of samples spread over a folder; returns them and the number of readable samples."""
    groups, read = set(), 0
    for shard, sample in prepare_ahead(_spread(open_shards(folder, cache), num)):
        try:
            pair = shard.read(sample)
        except DamagedSampleError:
            continue
        groups.add(str(pair.origin.get("group", pair.key)))
        read += 1
    return groups, read


def _file_names(groups: set[str]) -> set[str]:
    return {Path(group).name for group in groups}


def _keys(folder: str | Path) -> set[str]:
    return {key for index in sound_indexes(folder).values() for key in index.keys}


def _named(names: set[str]) -> str:
    return ", ".join(islice(sorted(names), MAX_NAMED)) + (", ..." if len(names) > MAX_NAMED else "")


def _range(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"

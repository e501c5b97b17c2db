"""Are the shards what training expects? A few samples of each source, spread over its shards."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from mimicbrush.data.config import DataConfig, SourceConfig
from mimicbrush.data.datamodule import choose_heldout
from mimicbrush.data.decode import decode_image, decode_pair
from mimicbrush.data.shard_index import list_shards, read_index
from mimicbrush.data.shards import DamagedSampleError, FramePair, Shard, open_shards
from mimicbrush.files import sha256
from mimicbrush.reports.number_format import format_bytes
from mimicbrush.training.config import TrainConfig
from mimicbrush.training.doctor.findings import Finding

MAX_NAMED = 4
MAX_OBJECT_AREA = 0.5
"""Most objects of SA-1B cover less of their picture; where most masks cover more, black and white were swapped."""


class Depth(NamedTuple):
    """How much is looked at."""

    num_decoded: int
    """Samples of each source that are decoded."""
    num_read: int
    """Samples of each folder whose group is read."""
    hashed_bytes: int
    """Of each source's shards, compared with the digests in their indexes."""


BEFORE_A_RUN = Depth(num_decoded=16, num_read=256, hashed_bytes=0)
IN_FULL = Depth(num_decoded=64, num_read=4096, hashed_bytes=2**30)


class Look(NamedTuple):
    """What is noted of one decoded sample."""

    longer_side: int
    has_reference: bool
    num_keypoints: int
    mask_areas: list[float]
    """Share of the picture that each object mask covers."""


def check_source(
    source: SourceConfig, config: DataConfig, *, size: int, samples_per_step: int, depth: Depth
) -> Iterator[Finding]:
    """One source of the mixture. Raises UserError where its folder holds no sound shard."""
    name = source.shards.name
    shards = open_shards(source.shards)
    looks, damaged = _look(shards, size, depth.num_decoded)
    num_pairs = sum(len(shard.samples) for shard in shards)
    share = source.weight / sum(other.weight for other in config.sources)
    steps = num_pairs / (share * samples_per_step)
    held = f"{len(shards)} shards, {num_pairs} pairs, a pass takes {steps:.0f} steps"
    if not looks:
        yield Finding(name, "fault", f"{held}; all {len(damaged)} looked at are damaged: {damaged[0]}; shard anew")
        return
    yield Finding(name, "ok", f"{held}; looked at {len(looks)}: {_describe(looks)}")
    if damaged:
        said = f"{len(damaged)} of {len(looks) + len(damaged)} samples are damaged: {damaged[0]}; they will be skipped"
        yield Finding(name, "warning", said)
    yield from _check_layout(name, looks)
    yield from _check_sizes(name, looks, size)
    yield from _check_object_masks(name, looks)
    if depth.hashed_bytes:
        yield from _check_digests(name, shards, depth.hashed_bytes)


def check_heldout(config: DataConfig, depth: Depth) -> Iterator[Finding]:
    """Whether training and judging see the same things. Raises UserError where a folder holds no sound shard."""
    if config.heldout is None:
        said = "no data.heldout: no previews and no reference use; shard some clips apart and name their folder"
        yield Finding("held-out", "warning", said)
        return
    folders = [source.shards for source in config.sources]
    keys = _keys(config.heldout) & set().union(*map(_keys, folders))
    groups, num_heldout = _groups(config.heldout, depth.num_read)
    read = [_groups(folder, depth.num_read) for folder in folders]
    shared = groups & set().union(*(found for found, _ in read))
    if keys or shared:
        what = f"{len(keys)} samples ({_named(keys)})" if keys else f"{len(shared)} groups ({_named(shared)})"
        said = f"{config.heldout} and the training data share {what}: it judges on what was trained on; hold clips out"
        yield Finding("held-out", "warning", f"{said} whole")
        return
    looked = f"{num_heldout} held-out and {sum(num for _, num in read)} training samples looked at"
    yield Finding("held-out", "ok", f"{len(groups)} groups, none of them in the training data ({looked})")


def check_heldout_pairs(config: TrainConfig) -> Iterator[Finding]:
    """Whether previews, reference use and the held-out loss find their pairs. Raises UserError where they do not."""
    run = config.run
    of_previews = run.num_previews if run.preview_every else 0
    wanted = max(of_previews, run.num_reference_use_pairs if run.reference_use_every else 0)
    if config.data.heldout is not None and wanted:
        choose_heldout(config.data.heldout, wanted)
        yield Finding("held-out", "ok", f"it holds the {wanted} pairs that this run judges on")
    if config.data.heldout is not None and run.heldout_loss_every:
        chosen = choose_heldout(config.data.heldout, run.num_heldout_loss_pairs, or_fewer=True)
        yield Finding("held-out loss", "ok", f"{len(chosen)} pairs, every {run.heldout_loss_every} steps")


def _look(shards: Sequence[Shard], size: int, num: int) -> tuple[list[Look], list[str]]:
    """Decode samples as training does; also the messages of those that are damaged."""
    looks, damaged = [], []
    for shard, sample in _spread(shards, num):
        try:
            pair = shard.read(sample)
            decode_pair(pair, size, random.Random(0))
            looks.append(_note(pair))
        except DamagedSampleError as error:
            damaged.append(str(error))
    return looks, damaged


def _note(pair: FramePair) -> Look:
    source = decode_image(pair.source, "RGB")
    areas = [(decode_image(mask, "L") > 0.5).float().mean().item() for mask in pair.masks]
    return Look(max(source.shape[1:]), pair.reference is not None, len(pair.keypoints), areas)


def _describe(looks: Sequence[Look]) -> str:
    """What the samples are."""
    with_reference = [look for look in looks if look.has_reference]
    stills = [look for look in looks if not look.has_reference]
    parts = [f"longer side {_range([look.longer_side for look in looks])} pixels"]
    if with_reference:
        points = median(look.num_keypoints for look in with_reference)
        parts.append(f"{len(with_reference)} with a reference, {points:.0f} keypoints at the median")
    if stills:
        parts.append(f"{len(stills)} stills, {_range([len(look.mask_areas) for look in stills])} masks each")
    return "; ".join(parts)


def _check_layout(name: str, looks: Sequence[Look]) -> Iterator[Finding]:
    bare = [look for look in looks if not look.has_reference and not look.mask_areas]
    if bare:
        said = (
            f"{len(bare)} of {len(looks)} samples have neither a reference nor object masks: they train on grid masks"
        )
        yield Finding(name, "warning", f"{said} over a warped copy; shard videos, or stills with their masks")
    # Pseudo-pairs of stills have masks instead of keypoints.
    pairs = [look for look in looks if look.has_reference and not look.mask_areas]
    unmatched = [look for look in pairs if not look.num_keypoints]
    if len(unmatched) > len(pairs) / 2:
        said = (
            f"{len(unmatched)} of {len(pairs)} pairs have no keypoints, so masks cannot prefer what the reference shows"
        )
        yield Finding(name, "warning", f"{said}; shard with keypoints, or look at the pairs in report.html")


def _check_sizes(name: str, looks: Sequence[Look], size: int) -> Iterator[Finding]:
    small = [look.longer_side for look in looks if look.longer_side < size]
    if small:
        said = f"{len(small)} of {len(looks)} pictures are smaller ({_range(small)} pixels) than network.size {size}"
        yield Finding(name, "warning", f"{said}: it learns their blur; shard with --short_side {size}")


def _check_object_masks(name: str, looks: Sequence[Look]) -> Iterator[Finding]:
    areas = [area for look in looks for area in look.mask_areas]
    large = [area for area in areas if area > MAX_OBJECT_AREA]
    if len(large) > len(areas) / 2:
        said = f"{len(large)} of {len(areas)} object masks cover over half of their picture, {median(areas):.0%} at the"
        said += " median: white must be the object; where black is, invert the masks and shard anew"
        yield Finding(name, "warning", said)


def _check_digests(name: str, shards: Sequence[Shard], most: int) -> Iterator[Finding]:
    """Compare the bytes of some shards, the smallest first, with what their indexes vouch for."""
    checked = read = 0
    damaged = []
    for shard in sorted(shards, key=lambda shard: shard.offsets[-1]):
        if checked and read + shard.offsets[-1] > most:
            break
        if sha256(shard.path) != shard.sha256:
            damaged.append(shard.path.name)
        checked, read = checked + 1, read + shard.offsets[-1]
    if damaged:
        said = f"{', '.join(damaged[:MAX_NAMED])}: not the bytes they were written with; delete them with their indexes"
        yield Finding(name, "fault", f"{said} and shard again")
        return
    yield Finding(name, "ok", f"sha256 of {checked} of {len(shards)} shards compared ({format_bytes(read)})")


def _spread(shards: Sequence[Shard], num: int) -> Iterator[tuple[Shard, int]]:
    """At most `num` samples, evenly over all shards."""
    ends = np.cumsum([len(shard.samples) for shard in shards])
    num = min(num, int(ends[-1]))
    for place in (turn * int(ends[-1]) // num for turn in range(num)):
        number = int(np.searchsorted(ends, place, side="right"))
        yield shards[number], int(shards[number].samples[place - ends[number]])


def _groups(folder: Path, num: int) -> tuple[set[str], int]:
    """Groups of samples spread over a folder, and of how many samples; damaged ones have none."""
    groups, read = set(), 0
    for shard, sample in _spread(open_shards(folder), num):
        try:
            pair = shard.read(sample)
        except DamagedSampleError:
            continue
        # By its name alone: the same clip may be listed from elsewhere.
        groups.add(Path(str(pair.origin.get("group", pair.key))).name)
        read += 1
    return groups, read


def _keys(folder: Path) -> set[str]:
    return {key for shard in list_shards(folder) for key in read_index(shard).keys}


def _named(names: set[str]) -> str:
    return ", ".join(islice(sorted(names), MAX_NAMED)) + (", ..." if len(names) > MAX_NAMED else "")


def _range(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"

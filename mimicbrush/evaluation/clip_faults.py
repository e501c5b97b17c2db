"""Faults of a set of clips, which has prompts and target pictures but no truth: files, sizes, frames, `clips.json`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mimicbrush.benchmark_layout import (
    CLIPS,
    GROUPS,
    MASK,
    PARTS,
    REFERENCE,
    REFERENCE_MASK,
    SOURCE,
    ClipFacts,
    find_pictures,
    optional_pictures,
    part_of,
)
from mimicbrush.config_faults import value_faults
from mimicbrush.evaluation.config import BenchmarkSet, Need
from mimicbrush.evaluation.picture_faults import (
    describe_part,
    file_faults,
    frame_faults,
    mask_faults,
    read_mask_levels,
    size_faults,
    try_read,
)
from mimicbrush.evaluation.text_faults import case_faults, need_faults, read_entries, text_faults
from mimicbrush.pictures.headers import read_header
from mimicbrush.pictures.reading import read_frames, read_image


def find_clip_faults(benchmark_set: BenchmarkSet, needs: frozenset[Need] = frozenset()) -> list[str]:
    """List all faults of a set of clips, whose folder exists; empty for a sound set.

    needs: files and texts that every sample must have for the chosen metrics.
    """
    folder = benchmark_set.folder
    pictures = find_pictures(folder)
    if not pictures:
        return [f"no clip; expected files such as 000{SOURCE}, 000{REFERENCE} and {CLIPS}"]
    needed = "reference_mask" in needs
    without = [name for name, parts in pictures.items() if needed and part_of(REFERENCE_MASK) not in parts]
    return [
        *(fault for name, parts in pictures.items() for fault in _sample_faults(folder, name, parts)),
        *case_faults(pictures),
        *_entry_faults(folder / CLIPS, pictures),
        *text_faults(folder / GROUPS, pictures),
        *need_faults({f"no reference mask (such as 000{REFERENCE_MASK})": without}),
    ]


def _sample_faults(folder: Path, name: str, parts: Mapping[str, list[Path]]) -> list[str]:
    faults: list[str] = []
    for suffix in PARTS:
        faults += file_faults(folder, name, suffix, parts, is_optional=suffix in optional_pictures("clips"))
    source = try_read(read_frames, folder, name, SOURCE, faults)
    reference = try_read(read_image, folder, name, REFERENCE, faults)
    if source is not None:
        faults += size_faults(f"{name}: source", source[0])
        if len(source) < 2:
            faults.append(f"{name}: source has 1 frame, expected a clip of at least 2")
    faults += size_faults(f"{name}: reference", reference)
    for suffix, owner, picture in (
        (MASK, "source", None if source is None else source[0]),
        (REFERENCE_MASK, "reference", reference),
    ):
        levels = try_read(read_mask_levels, folder, name, suffix, faults)
        label = f"{name}: {describe_part(suffix)}"
        faults += mask_faults(label, levels, owner, picture, may_be_full=suffix == REFERENCE_MASK)
        if suffix == MASK and levels is not None and source is not None:
            faults += frame_faults(label, read_header(folder / f"{name}{suffix}").num_frames, len(source))
    return faults


def _entry_faults(path: Path, ids: Mapping[str, object]) -> list[str]:
    if not path.is_file():
        return [f"{CLIPS} is missing; it maps each id to prompt, source_prompt and fps"]
    entries, faults = read_entries(path, ids)
    if entries is None:
        return faults or [f"{CLIPS} must map ids to mappings"]
    faults += [f"{name}: has no entry in {CLIPS}" for name in ids if name not in entries]
    for name, entry in entries.items():
        faults += value_faults(ClipFacts, entry, f"{CLIPS}, {name}")
        if isinstance(entry, dict) and isinstance(entry.get("fps"), int | float) and not 0 < entry["fps"] < 1000:
            faults.append(f"{CLIPS}, {name}: fps is {entry['fps']}, expected a positive number below 1000")
    return faults

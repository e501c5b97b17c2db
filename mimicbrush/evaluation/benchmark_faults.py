"""Faults of a benchmark set: every one is found and named before anything is edited."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

from mimicbrush.benchmark_layout import (
    GROUPS,
    MASK,
    PARTS,
    PROMPTS,
    REFERENCE,
    REFERENCE_MASK,
    SOURCE,
    find_pictures,
    is_filled,
    part_of,
)
from mimicbrush.evaluation.clip_faults import find_clip_faults
from mimicbrush.evaluation.config import BenchmarkSet, Need
from mimicbrush.evaluation.picture_faults import (
    file_faults,
    frame_faults,
    mask_faults,
    read_mask_levels,
    size_faults,
    try_read,
)
from mimicbrush.evaluation.preconditions import missing_folder
from mimicbrush.evaluation.text_faults import case_faults, need_faults, text_faults
from mimicbrush.evaluation.truth_faults import find_truth_faults
from mimicbrush.files import sha256
from mimicbrush.pictures.headers import read_header
from mimicbrush.pictures.reading import read_image, read_levels


def find_faults(benchmark_set: BenchmarkSet, needs: frozenset[Need] = frozenset()) -> list[str]:
    """List all faults of a set; empty for a sound set.

    needs: files and texts that every sample must have for the chosen metrics.
    """
    folder = benchmark_set.folder
    if missing := missing_folder(folder):
        return missing
    if benchmark_set.track == "truth":
        return find_truth_faults(benchmark_set, needs)
    if benchmark_set.track == "clips":
        return find_clip_faults(benchmark_set, needs)
    pictures = find_pictures(folder)
    if not pictures:
        return [f"no triplet; expected files such as 000{SOURCE}, 000{MASK}, 000{REFERENCE}"]
    # Decoding takes most of the time and releases the interpreter's lock, so threads help.
    with ThreadPoolExecutor() as pool:
        by_sample = pool.map(lambda item: _sample_faults(folder, *item), pictures.items())
    return [
        *chain.from_iterable(by_sample),
        *case_faults(pictures),
        *_duplicate_faults(folder, pictures),
        *text_faults(folder / PROMPTS, pictures),
        *text_faults(folder / GROUPS, pictures),
        *_need_faults(folder, pictures, needs),
    ]


def _sample_faults(folder: Path, name: str, parts: Mapping[str, list[Path]]) -> list[str]:
    """List the faults of one sample's files and of their content."""
    faults: list[str] = []
    for suffix in PARTS:
        faults += file_faults(folder, name, suffix, parts, is_optional=suffix == REFERENCE_MASK)
    source = try_read(read_image, folder, name, SOURCE, faults)
    reference = try_read(read_image, folder, name, REFERENCE, faults)
    mask = try_read(read_mask_levels, folder, name, MASK, faults)
    reference_mask = try_read(read_levels, folder, name, REFERENCE_MASK, faults)
    faults += size_faults(f"{name}: source", source) + size_faults(f"{name}: reference", reference)
    faults += mask_faults(f"{name}: mask", mask, "source", source, may_be_full=False)
    if source is not None and mask is not None:
        frames = {suffix: read_header(folder / f"{name}{suffix}").num_frames for suffix in (SOURCE, MASK)}
        faults += frame_faults(f"{name}: mask", frames[MASK], frames[SOURCE])
    faults += mask_faults(f"{name}: reference mask", reference_mask, "reference", reference, may_be_full=True)
    return faults


def _duplicate_faults(folder: Path, ids: Mapping[str, object]) -> list[str]:
    """Name samples whose source, mask and reference equal another's byte for byte: they would count twice."""
    first: dict[str, str] = {}
    faults = []
    for name in ids:
        files = [folder / f"{name}{suffix}" for suffix in (SOURCE, MASK, REFERENCE)]
        if not all(path.is_file() for path in files):
            continue
        content = " ".join(map(sha256, files))
        if content in first:
            faults.append(f"{name}: source, mask and reference are those of {first[content]}; delete one of the two")
        first.setdefault(content, name)
    return faults


def _need_faults(folder: Path, ids: Mapping[str, dict], needs: frozenset[Need]) -> list[str]:
    """Name the samples without a file or text that a chosen metric needs; one line for each kind."""
    missing = {
        f"no reference mask (such as 000{REFERENCE_MASK})": [
            name for name, parts in ids.items() if "reference_mask" in needs and part_of(REFERENCE_MASK) not in parts
        ],
        f"no prompt in {PROMPTS}": [
            name for name in ids if "prompt" in needs and not is_filled(_prompts(folder).get(name, ""))
        ],
    }
    return need_faults(missing)


def _prompts(folder: Path) -> dict[str, str]:
    """Read the prompts; empty if the file is missing or unsound, which `text_faults` reports."""
    try:
        texts = json.loads((folder / PROMPTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: text for name, text in texts.items() if isinstance(text, str)} if isinstance(texts, dict) else {}

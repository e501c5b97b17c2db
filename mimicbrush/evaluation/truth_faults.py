"""Faults of a benchmark set whose samples have a truth: files, sizes, frames, flow, and `samples.json`."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from itertools import chain
from pathlib import Path

from torch import Tensor

from mimicbrush.benchmark_layout import (
    FLOW,
    GROUPS,
    MASK,
    NEEDED_FACTS,
    OBJECT_MASK,
    OPTIONAL_PICTURES,
    PROMPTS,
    REFERENCE,
    REFERENCE_MASK,
    SAMPLES,
    SOURCE,
    TASKS_WITH_FLOW,
    TRUTH,
    TRUTH_MASK,
    SampleFacts,
    Task,
    find_pictures,
    part_of,
    pictures_of,
)
from mimicbrush.config_faults import value_faults
from mimicbrush.errors import UserError
from mimicbrush.evaluation.config import BenchmarkSet, Need
from mimicbrush.evaluation.picture_faults import (
    describe_part,
    file_faults,
    format_size,
    frame_faults,
    mask_faults,
    read_mask_levels,
    size_faults,
    try_read,
)
from mimicbrush.evaluation.text_faults import case_faults, need_faults, read_entries, text_faults
from mimicbrush.files import sha256
from mimicbrush.flow.flow_files import read_flow
from mimicbrush.pictures.headers import read_header
from mimicbrush.pictures.reading import read_frames, read_image, read_levels, read_mask_frames

MAX_CHANGE = 2 / 255
"""Largest difference of source and truth outside the region of the edit, left by rounding."""


def find_truth_faults(benchmark_set: BenchmarkSet, needs: frozenset[Need] = frozenset()) -> list[str]:
    """List all faults of a set with a truth, whose folder exists; empty for a sound set.

    needs: files and texts that every sample must have for the chosen metrics.
    """
    folder, task = benchmark_set.folder, benchmark_set.task
    suffixes = pictures_of(task, "truth")
    pictures = find_pictures(folder, suffixes)
    if not pictures:
        needed = [f"000{suffix}" for suffix in suffixes if suffix not in OPTIONAL_PICTURES]
        return [f"no sample; expected files such as {', '.join(needed)}"]
    entries, faults_of_entries = _read_facts(folder, pictures, benchmark_set)
    # Decoding takes most of the time and releases the interpreter's lock, so threads help.
    with ThreadPoolExecutor() as pool:
        by_sample = pool.map(lambda item: _sample_faults(folder, *item, task=task), pictures.items())
    return [
        *chain.from_iterable(by_sample),
        *case_faults(pictures),
        *_duplicate_faults(folder, pictures, entries),
        *faults_of_entries,
        *text_faults(folder / GROUPS, pictures),
        *_need_faults(pictures, entries, needs),
    ]


def _sample_faults(folder: Path, name: str, parts: Mapping[str, list[Path]], *, task: Task) -> list[str]:
    """List the faults of one sample's files and of their content."""
    faults: list[str] = []
    for suffix in pictures_of(task, "truth"):
        faults += file_faults(folder, name, suffix, parts, is_optional=suffix in OPTIONAL_PICTURES)
    source, truth = (try_read(read_frames, folder, name, suffix, faults) for suffix in (SOURCE, TRUTH))
    faults += size_faults(f"{name}: source", None if source is None else source[0])
    if source is not None and truth is not None and truth.shape != source.shape:
        faults.append(f"{name}: truth is {format_size(truth)}, source is {format_size(source)}; render both alike")
    for suffix in (MASK, TRUTH_MASK, OBJECT_MASK):
        levels = try_read(read_mask_levels, folder, name, suffix, faults)
        if levels is not None and source is not None:
            label = f"{name}: {describe_part(suffix)}"
            faults += mask_faults(label, levels, "source", source[0], may_be_full=suffix != MASK)
            faults += frame_faults(label, read_header(folder / f"{name}{suffix}").num_frames, len(source))
    if REFERENCE in pictures_of(task, "truth"):
        reference = try_read(read_image, folder, name, REFERENCE, faults)
        levels = try_read(read_levels, folder, name, REFERENCE_MASK, faults)
        faults += size_faults(f"{name}: reference", reference)
        faults += mask_faults(f"{name}: reference mask", levels, "reference", reference, may_be_full=True)
    if task in TASKS_WITH_FLOW:
        faults += _flow_faults(folder, name, task, source)
    return faults or _region_faults(name, source, truth, folder)


def _flow_faults(folder: Path, name: str, task: Task, source: Tensor | None) -> list[str]:
    path = folder / f"{name}{FLOW}"
    if not path.is_file():
        return [f"{name}: flow is missing ({path.name})"]
    try:
        stored = read_flow(path)
    except UserError as error:
        return [f"{name}: {str(error).replace(str(path), path.name)}"]
    if source is None:
        return []
    num_fields = 1 if task == "motion" else len(source) - 1
    expected = (num_fields, 2, *source.shape[2:])
    if stored.flow.shape != expected:
        return [f"{name}: flow is {stored.flow.shape}, expected {expected} for a source of {format_size(source)}"]
    if task == "motion" and not stored.flow.any():
        return [f"{name}: flow is zero everywhere, so nothing would move"]
    return []


def _region_faults(name: str, source: Tensor, truth: Tensor, folder: Path) -> list[str]:
    """Faults of a truth that differs from the source outside the region of the edit."""
    region, true_object = (read_mask_frames(folder / f"{name}{suffix}") > 0.5 for suffix in (MASK, TRUTH_MASK))
    left_out = int((true_object & ~region).sum())
    if left_out:
        return [f"{name}: {left_out} pixels of the truth mask lie outside the source mask, the region of the edit"]
    change = float(((truth - source).abs() * ~region).max())
    if change > MAX_CHANGE:
        return [
            f"{name}: truth differs from the source by up to {255 * change:.0f} levels outside the source mask; paint"
            " every pixel white that the true edit changes"
        ]
    return []


def _duplicate_faults(folder: Path, ids: Mapping[str, object], entries: Mapping[str, dict]) -> list[str]:
    """Name samples that equal another in everything that an editor receives and is compared with."""
    first: dict[str, str] = {}
    faults = []
    for name in ids:
        files = [folder / f"{name}{suffix}" for suffix in (SOURCE, MASK, REFERENCE, TRUTH, FLOW)]
        content = " ".join([*(sha256(path) for path in files if path.is_file()), repr(entries.get(name))])
        if content in first:
            faults.append(f"{name}: pictures and facts are those of {first[content]}; delete one of the two")
        first.setdefault(content, name)
    return faults


def _read_facts(folder: Path, ids: Mapping[str, object], benchmark_set: BenchmarkSet) -> tuple[dict, list[str]]:
    """Read the entries of `samples.json` with its faults; empty where it cannot be read."""
    path = folder / SAMPLES
    faults = []
    if (folder / PROMPTS).is_file():
        faults.append(f"{PROMPTS} is not read in a set with a truth; write its prompts into {SAMPLES}")
    if not path.is_file():
        return {}, [*faults, f"{SAMPLES} is missing; it maps each id to scoring, vocabulary, prompt, ..."]
    entries, found = read_entries(path, ids)
    if entries is None:
        return {}, [*faults, *(found or [f"{SAMPLES} must map ids to mappings"])]
    faults += found + [f"{name}: has no entry in {SAMPLES}" for name in ids if name not in entries]
    for name, entry in entries.items():
        faults += _entry_faults(f"{SAMPLES}, {name}", entry, benchmark_set.task)
    wanted = benchmark_set.vocabulary
    if not faults:
        chosen = [name for name, entry in entries.items() if wanted in (None, entry["vocabulary"])]
        if wanted and not chosen:
            faults.append(f"{SAMPLES}: no sample has vocabulary {wanted}")
        elif entries and not fnmatch.filter(chosen, benchmark_set.ids):
            faults.append(f"{SAMPLES}: no sample has an id like {benchmark_set.ids}")
    return entries, faults


def _entry_faults(label: str, entry: object, task: Task) -> list[str]:
    known = {each.name for each in fields(SampleFacts)}
    unknown = [name for name in entry if name not in known] if isinstance(entry, dict) else []
    if unknown:
        return [f"{label}: unknown {', '.join(map(repr, unknown))}; choose from {', '.join(sorted(known))}"]
    missing = [name for name in sorted(NEEDED_FACTS[task]) if isinstance(entry, dict) and not entry.get(name)]
    return value_faults(SampleFacts, entry, label) + ([f"{label}: lacks {', '.join(missing)}"] if missing else [])


def _need_faults(ids: Mapping[str, dict], entries: Mapping[str, dict], needs: frozenset[Need]) -> list[str]:
    """Name the samples without a file or text that a chosen metric needs."""
    missing = {
        f"no reference mask (such as 000{REFERENCE_MASK})": [
            name for name, parts in ids.items() if "reference_mask" in needs and part_of(REFERENCE_MASK) not in parts
        ],
        f"no prompt in {SAMPLES}": [
            name for name in ids if "prompt" in needs and not entries.get(name, {}).get("prompt")
        ],
    }
    return need_faults(missing)

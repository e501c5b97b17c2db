"""Faults of a benchmark set: every one is found and named before anything is edited."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
from mimicbrush.errors import UserError
from mimicbrush.evaluation.config import BenchmarkSet, Need
from mimicbrush.evaluation.preconditions import missing_folder
from mimicbrush.files import sha256
from mimicbrush.pictures.conversion import is_masked, mask_bytes
from mimicbrush.pictures.decoding import decode_frames
from mimicbrush.pictures.headers import read_header
from mimicbrush.pictures.mask_geometry import grow
from mimicbrush.pictures.reading import read_image, read_levels

MIN_SIDE = 16
"""Smallest side of a picture in pixels; a smaller one shows nothing to imitate."""
GREY_LEVELS = range(16, 240)
"""Levels that are neither black nor white; lossy formats change black and white by a few levels."""
BORDER_WIDTH = 3
"""Pixels on each side of a mask's border that antialiasing may leave grey."""
MAX_GREY = 0.001
"""Largest share of a mask's pixels that may be grey away from its border."""


def find_faults(benchmark_set: BenchmarkSet, needs: frozenset[Need] = frozenset()) -> list[str]:
    """List all faults of a set; empty for a sound set.

    needs: files and texts that every sample must have for the chosen metrics.
    """
    folder = benchmark_set.folder
    if missing := missing_folder(folder):
        return missing
    pictures = find_pictures(folder)
    if not pictures:
        return [f"no triplet; expected files such as 000{SOURCE}, 000{MASK}, 000{REFERENCE}"]
    # Decoding takes most of the time and releases the interpreter's lock, so threads help.
    with ThreadPoolExecutor() as pool:
        by_sample = pool.map(lambda item: _sample_faults(folder, *item), pictures.items())
    return [
        *chain.from_iterable(by_sample),
        *_case_faults(pictures),
        *_duplicate_faults(folder, pictures),
        *text_faults(folder / PROMPTS, pictures),
        *text_faults(folder / GROUPS, pictures),
        *_need_faults(folder, pictures, needs),
    ]


def _sample_faults(folder: Path, name: str, parts: Mapping[str, list[Path]]) -> list[str]:
    """List the faults of one sample's files and of their content."""
    faults: list[str] = []
    for suffix in PARTS:
        faults += _file_faults(folder / f"{name}{suffix}", name, _what(suffix), parts.get(part_of(suffix), []))
    source = _try_read(read_image, folder, name, SOURCE, faults)
    reference = _try_read(read_image, folder, name, REFERENCE, faults)
    mask = _try_read(_read_mask_levels, folder, name, MASK, faults)
    reference_mask = _try_read(read_levels, folder, name, REFERENCE_MASK, faults)
    faults += _size_faults(f"{name}: source", source) + _size_faults(f"{name}: reference", reference)
    faults += _mask_faults(f"{name}: mask", mask, "source", source, may_be_full=False)
    if source is not None and mask is not None:
        faults += _frame_faults(
            name, *(read_header(folder / f"{name}{suffix}").num_frames for suffix in (SOURCE, MASK))
        )
    faults += _mask_faults(f"{name}: reference mask", reference_mask, "reference", reference, may_be_full=True)
    return faults


def _what(suffix: str) -> str:
    return part_of(suffix).removeprefix("_").replace("_", " ")


def _file_faults(expected: Path, name: str, what: str, found: list[Path]) -> list[str]:
    """Name a picture that is missing, present in several formats, or not PNG."""
    names = [path.name for path in found]
    if not found:
        return [] if expected.name.endswith(REFERENCE_MASK) else [f"{name}: {what} is missing ({expected.name})"]
    if len(found) > 1:
        return [f"{name}: {what} is there {len(found)} times ({', '.join(names)}); keep only {expected.name}"]
    if names != [expected.name]:
        return [f"{name}: {what} is {names[0]}; save it as PNG, {expected.name}"]
    return []


def _try_read(read: Callable[[Path], Tensor], folder: Path, name: str, suffix: str, faults: list[str]) -> Tensor | None:
    """Read a picture; return None if it does not exist, or if it cannot be read, which is added to `faults`."""
    path = folder / f"{name}{suffix}"
    if not path.is_file():
        return None
    try:
        return read(path)
    except UserError as error:
        reason = str(error).removeprefix(f"{path}: ").replace(str(path), path.name)
        faults.append(f"{name}: {_what(suffix)} ({path.name}) is {reason}")
        return None


def _size_faults(label: str, picture: Tensor | None) -> list[str]:
    if picture is None or min(picture.shape[1:]) >= MIN_SIDE:
        return []
    return [f"{label} is {_size(picture)}, expected at least {MIN_SIDE} pixels a side"]


def _read_mask_levels(path: Path) -> Tensor:
    """Read a mask as (1, H, W) in 0..255; a clip's mask becomes the maximum over its frames."""
    return torch.from_numpy(np.max([mask_bytes(levels) for levels in decode_frames(path)], axis=0))[None]


def _frame_faults(name: str, source: int, mask: int) -> list[str]:
    if mask in (1, source):
        return []
    return [f"{name}: mask has {mask} frames, source has {source}; export as many, or one for all"]


def _mask_faults(
    label: str, levels: Tensor | None, owner: str, picture: Tensor | None, *, may_be_full: bool
) -> list[str]:
    """List the faults of a mask's content; levels: (1, H, W) in 0..255."""
    if levels is None:
        return []
    if picture is not None and levels.shape[1:] != picture.shape[1:]:
        return [f"{label} is {_size(levels)}, {owner} is {_size(picture)}; export both at one size"]
    grey = grey_share(levels[0].numpy())
    if grey > MAX_GREY:
        return [f"{label} is grey in {grey:.1%} of its pixels; paint it in black and white only"]
    mask = is_masked(levels)
    if not mask.any():
        return [f"{label} is empty; paint the region to edit white"]
    if mask.all() and not may_be_full:
        return [f"{label} is full; leave the region to keep black"]
    return []


def grey_share(levels: NDArray[np.uint8]) -> float:
    """Share of a mask's pixels, (H, W) in 0..255, that are grey although they lie away from its border."""
    grey = (levels >= GREY_LEVELS.start) & (levels < GREY_LEVELS.stop)
    mask = is_masked(levels)
    border = grow(mask, BORDER_WIDTH) & grow(~mask, BORDER_WIDTH)
    return float((grey & ~border).mean())


def _size(picture: Tensor) -> str:
    """Format a picture's size as width x height."""
    return f"{picture.shape[2]}x{picture.shape[1]}"


def _case_faults(ids: Mapping[str, object]) -> list[str]:
    """Name ids that differ only by case: on some file systems they would be one file."""
    alike = defaultdict(list)
    for name in ids:
        alike[name.casefold()].append(name)
    return [f"ids {' and '.join(names)} differ only by case; rename" for names in alike.values() if len(names) > 1]


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


def text_faults(path: Path, ids: Mapping[str, object]) -> list[str]:
    """List the faults of a JSON file that maps ids to texts; empty if the file does not exist."""
    if not path.is_file():
        return []
    repeated: list[str] = []
    try:
        # Python's parser silently keeps the last of equal keys.
        texts = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_collect_repeats(repeated))
    except ValueError as error:
        return [f"{path.name} is not JSON ({error})"]
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        return [f"{path.name} must map ids to texts"]
    return [f"{path.name} names {name} more than once" for name in repeated] + [
        f"{path.name} names {name}, which has no pictures" for name in texts if name not in ids
    ]


def _collect_repeats(repeated: list[str]) -> Callable[[list[tuple[str, object]]], dict]:
    def build(pairs: list[tuple[str, object]]) -> dict:
        repeated.extend(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        return dict(pairs)

    return build


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
    return [f"{what}, which a chosen metric needs, for {_list_ids(names)}" for what, names in missing.items() if names]


def _list_ids(ids: list[str]) -> str:
    return f"{', '.join(ids)} ({len(ids)} samples)" if len(ids) > 1 else ids[0]


def _prompts(folder: Path) -> dict[str, str]:
    """Read the prompts; empty if the file is missing or unsound, which `text_faults` reports."""
    try:
        texts = json.loads((folder / PROMPTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: text for name, text in texts.items() if isinstance(text, str)} if isinstance(texts, dict) else {}

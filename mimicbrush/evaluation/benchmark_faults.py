"""What is wrong with a benchmark folder: every fault is named, all together, before anything is edited."""

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
"""Pixels; less shows nothing to imitate."""
GREY_LEVELS = range(16, 240)
"""Levels that are neither black nor white, allowing for what lossy formats do to them."""
BORDER_WIDTH = 3
"""Pixels on each side of a mask's outline that antialiasing may leave grey."""
MAX_GREY = 0.001
"""Largest share of a mask's pixels that may be grey away from its outline: a handful of specks."""


def find_faults(benchmark_set: BenchmarkSet, needs: frozenset[Need] = frozenset()) -> list[str]:
    """Everything that keeps the set from being edited and scored with metrics of those needs; empty for a sound set."""
    folder = benchmark_set.folder
    if missing := missing_folder(folder):
        return missing
    pictures = find_pictures(folder)
    if not pictures:
        return [f"no triplet; expected files such as 000{SOURCE}, 000{MASK}, 000{REFERENCE}"]
    # Decoding takes most of the time, and lets other threads run.
    with ThreadPoolExecutor() as pool:
        by_sample = pool.map(lambda item: _sample_faults(folder, *item), pictures.items())
    return [
        *chain.from_iterable(by_sample),
        *_case_faults(pictures),
        *_twin_faults(folder, pictures),
        *text_faults(folder / PROMPTS, pictures),
        *text_faults(folder / GROUPS, pictures),
        *_need_faults(folder, pictures, needs),
    ]


def _sample_faults(folder: Path, name: str, parts: Mapping[str, list[Path]]) -> list[str]:
    """Faults of one sample's files, and of what they show."""
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
    """Missing, there twice, or not PNG."""
    names = [path.name for path in found]
    if not found:
        return [] if expected.name.endswith(REFERENCE_MASK) else [f"{name}: {what} is missing ({expected.name})"]
    if len(found) > 1:
        return [f"{name}: {what} is there {len(found)} times ({', '.join(names)}); keep {expected.name} alone"]
    if names != [expected.name]:
        return [f"{name}: {what} is {names[0]}; save it as PNG, {expected.name}"]
    return []


def _try_read(read: Callable[[Path], Tensor], folder: Path, name: str, suffix: str, faults: list[str]) -> Tensor | None:
    """The picture; None where there is none, or with a line added to `faults` where it cannot be read."""
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
    """(1, H, W) in 0..255: of a clip's mask, what is masked in any frame."""
    return torch.from_numpy(np.max([mask_bytes(levels) for levels in decode_frames(path)], axis=0))[None]


def _frame_faults(name: str, source: int, mask: int) -> list[str]:
    if mask in (1, source):
        return []
    return [f"{name}: mask has {mask} frames, source has {source}; export as many, or one for all"]


def _mask_faults(
    label: str, levels: Tensor | None, owner: str, picture: Tensor | None, *, may_be_full: bool
) -> list[str]:
    """levels: (1, H, W) in 0..255."""
    if levels is None:
        return []
    if picture is not None and levels.shape[1:] != picture.shape[1:]:
        return [f"{label} is {_size(levels)}, {owner} is {_size(picture)}; export both at one size"]
    grey = grey_share(levels[0].numpy())
    if grey > MAX_GREY:
        return [f"{label} is grey in {grey:.1%} of its pixels; paint it in black and white alone"]
    mask = is_masked(levels)
    if not mask.any():
        return [f"{label} is empty; paint the region to edit white"]
    if mask.all() and not may_be_full:
        return [f"{label} is full, which leaves nothing to keep"]
    return []


def grey_share(levels: NDArray[np.uint8]) -> float:
    """Share of a mask's pixels, (H, W) in 0..255, that are grey and lie farther from its outline than antialiasing."""
    grey = (levels >= GREY_LEVELS.start) & (levels < GREY_LEVELS.stop)
    mask = is_masked(levels)
    border = grow(mask, BORDER_WIDTH) & grow(~mask, BORDER_WIDTH)
    return float((grey & ~border).mean())


def _size(picture: Tensor) -> str:
    """Width x height, as picture viewers say it."""
    return f"{picture.shape[2]}x{picture.shape[1]}"


def _case_faults(ids: Mapping[str, object]) -> list[str]:
    """Ids that are one file on a disk that does not tell capitals from small letters."""
    alike = defaultdict(list)
    for name in ids:
        alike[name.casefold()].append(name)
    return [f"ids {' and '.join(names)} differ by case alone; rename" for names in alike.values() if len(names) > 1]


def _twin_faults(folder: Path, ids: Mapping[str, object]) -> list[str]:
    """Samples of the same source, mask and reference, byte for byte, which would count twice."""
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
    """Faults of a JSON file that maps ids to texts; none where there is no such file."""
    if not path.is_file():
        return []
    repeated: list[str] = []
    try:
        # Python's parser keeps the last of equal keys and says nothing.
        texts = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_noting_repeats(repeated))
    except ValueError as error:
        return [f"{path.name} is not JSON ({error})"]
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        return [f"{path.name} must map ids to texts"]
    return [f"{path.name} names {name} more than once" for name in repeated] + [
        f"{path.name} names {name}, which has no pictures" for name in texts if name not in ids
    ]


def _noting_repeats(repeated: list[str]) -> Callable[[list[tuple[str, object]]], dict]:
    def build(pairs: list[tuple[str, object]]) -> dict:
        repeated.extend(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        return dict(pairs)

    return build


def _need_faults(folder: Path, ids: Mapping[str, dict], needs: frozenset[Need]) -> list[str]:
    """What a chosen metric needs and some samples lack; one line each, because it is often all of them."""
    lacking = {
        f"no reference mask (such as 000{REFERENCE_MASK})": [
            name for name, parts in ids.items() if "reference_mask" in needs and part_of(REFERENCE_MASK) not in parts
        ],
        f"no prompt in {PROMPTS}": [
            name for name in ids if "prompt" in needs and not is_filled(_prompts(folder).get(name, ""))
        ],
    }
    return [f"{what}, which a chosen metric needs, of {_some(names)}" for what, names in lacking.items() if names]


def _some(ids: list[str]) -> str:
    return f"{', '.join(ids)} ({len(ids)} samples)" if len(ids) > 1 else ids[0]


def _prompts(folder: Path) -> dict[str, str]:
    """Empty where the file is missing or, as `text_faults` says, unsound."""
    try:
        texts = json.loads((folder / PROMPTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: text for name, text in texts.items() if isinstance(text, str)} if isinstance(texts, dict) else {}

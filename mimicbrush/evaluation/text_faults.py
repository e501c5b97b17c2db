"""Faults of a benchmark set's ids, and of the JSON files that describe its samples by id."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path


def case_faults(ids: Mapping[str, object]) -> list[str]:
    """Name ids that differ only by case: on some file systems they would be one file."""
    alike = defaultdict(list)
    for name in ids:
        alike[name.casefold()].append(name)
    return [f"ids {' and '.join(names)} differ only by case; rename" for names in alike.values() if len(names) > 1]


def text_faults(path: Path, ids: Mapping[str, object]) -> list[str]:
    """List the faults of a JSON file that maps ids to texts; empty if the file does not exist."""
    if not path.is_file():
        return []
    texts, faults = read_entries(path, ids)
    if texts is None or not all(isinstance(text, str) for text in texts.values()):
        return faults or [f"{path.name} must map ids to texts"]
    return faults


def read_entries(path: Path, ids: Mapping[str, object]) -> tuple[dict | None, list[str]]:
    """Read a JSON file that maps ids to entries, with its faults; None if it is no such file.

    A JSON value that is no object has no fault here, because only the caller knows what it expects.
    """
    repeated: list[str] = []
    try:
        # Python's parser silently keeps the last of equal keys.
        entries = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_collect_repeats(repeated))
    except ValueError as error:
        return None, [f"{path.name} is not JSON ({error})"]
    if not isinstance(entries, dict):
        return None, []
    return entries, [f"{path.name} names {name} more than once" for name in repeated] + [
        f"{path.name} names {name}, which has no pictures" for name in entries if name not in ids
    ]


def need_faults(missing: Mapping[str, list[str]]) -> list[str]:
    """Name the samples without a file or text that a chosen metric needs; one line for each kind.

    missing: ids by what they lack.
    """
    return [f"{what}, which a chosen metric needs, for {_list_ids(names)}" for what, names in missing.items() if names]


def _list_ids(ids: list[str]) -> str:
    return f"{', '.join(ids)} ({len(ids)} samples)" if len(ids) > 1 else ids[0]


def _collect_repeats(repeated: list[str]) -> Callable[[list[tuple[str, object]]], dict]:
    def build(pairs: list[tuple[str, object]]) -> dict:
        repeated.extend(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        return dict(pairs)

    return build

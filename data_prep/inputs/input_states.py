"""Recognise inputs that were replaced or deleted since they were sharded.

The record of an input states its size, when its files were last modified, and a hash of their content. A file of the
same size and time counts as unchanged. If only the time differs, as after copying a folder, the hash decides. Records
of earlier versions state the size alone.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mimicbrush.errors import UnusableInput
from mimicbrush.machine import usable_cores
from mimicbrush.progress import progress_bar


class InputState(NamedTuple):
    """Size and age of an input's files."""

    bytes: int
    """Size of all its files together."""
    modified: list[int]
    """When each file was last modified, in nanoseconds since 1970; empty if there is none."""


def state_of(*paths: Path) -> InputState:
    """The state of an input that is made of whole files; a broken link or a folder counts as none."""
    found = []
    for path in paths:
        with suppress(OSError):
            found.append(path.stat())
    files = [each for each in found if stat.S_ISREG(each.st_mode)]
    return InputState(sum(each.st_size for each in files), [each.st_mtime_ns for each in files])


@dataclass(frozen=True)
class InputStates:
    """The inputs of a sharding command as they are now."""

    states: Mapping[str, InputState]
    """By name."""
    hasher: Callable[[str], Callable[[], str]]
    """Gives, for a name, a function that hashes the input's content and can be sent to a worker; it may raise
    UnusableInput or OSError."""
    passed_over: Mapping[str, int]
    """Numbers of files that were found and not taken as inputs, by suffix."""

    def find_changed(self, records: Mapping[str, Sequence[dict]]) -> set[str]:
        """Find inputs that differ from each of their records, or have none; records: by name of input."""
        changed = {name for name, found in records.items() if not any(self._looks_like(name, each) for each in found)}
        known = {
            name: {each["sha256"] for each in records[name] if self._has_equal_size(name, each) and "sha256" in each}
            for name in changed
        }
        to_compare = sorted(name for name in changed if known[name])
        with ThreadPoolExecutor(usable_cores()) as pool:
            hashes = pool.map(try_hash, map(self.hasher, to_compare))
            hashes = progress_bar(hashes, total=len(to_compare), unit="input compared")
            # Nothing is known of an input that cannot be read now, so it is left as it is.
            same = {name for name, found in zip(to_compare, hashes, strict=True) if found in (None, *known[name])}
        return changed - same

    def _looks_like(self, name: str, record: dict) -> bool:
        """Whether size and time are those of a record, or it states no hash and the size must do."""
        return self._has_equal_size(name, record) and (
            "sha256" not in record or record["modified"] == self.states[name].modified
        )

    def _has_equal_size(self, name: str, record: dict) -> bool:
        return record["bytes"] == self.states[name].bytes


def try_hash(hash_content: Callable[[], str]) -> str | None:
    """Hash the content of an input; None if it cannot be read."""
    try:
        return hash_content()
    except (UnusableInput, OSError):
        return None

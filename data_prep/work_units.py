"""Divide the inputs of a sharding command into units of work, and resume.

An output folder belongs to one run. A unit is a slice of the sorted inputs and becomes one shard. The index of a
finished shard names its inputs, so the inputs that no index names are left to do: the same command resumes after an
interruption, and processes inputs that were added.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from data_prep.config import WorkConfig
from mimicbrush.data.shard_index import ShardIndex, check_shard, index_path, read_index
from mimicbrush.errors import UserError
from mimicbrush.run_folder import CONFIG_NAME, claim, find_difference
from mimicbrush.yaml_reading import parse_yaml

KEPT = "kept"
FREE_FIELDS = ("output", "work", "duplicate_share")
"""Fields of a sharding config that do not change what is stored."""


class Unit(NamedTuple):
    """One shard, and the names of its inputs."""

    shard: Path
    names: list[str]


def claim_output(output: Path, config: object, *, free: tuple[str, ...] = FREE_FIELDS, results: str = "*.tar") -> None:
    """Record in `config.yaml` which run the folder belongs to.

    free: fields of the config that do not change what is stored. results: glob of the files that a run writes.
    Raises UserError, which names the field, if the folder belongs to a run with another config.
    """
    has_results = any(output.glob(results))
    if has_results and not (output / CONFIG_NAME).is_file():
        raise UserError(f"{output}: holds results but no {CONFIG_NAME}; choose another --output")
    if not has_results and find_difference(output, config, free=free) and _kept_nothing(output, config):
        # The earlier run kept nothing, so the user may try again with other settings.
        for path in (output / CONFIG_NAME, *list_indexes(output)):
            path.unlink()
    claim(output, config, free=free)


def _kept_nothing(output: Path, config: object) -> bool:
    """Whether the folder holds a run of this command that kept nothing; only then may its files be deleted."""
    fields = parse_yaml((output / CONFIG_NAME).read_text(encoding="utf-8"))
    same_command = isinstance(fields, dict) and fields.keys() == asdict(config).keys()
    return same_command and all(index.pairs == 0 for index in read_indexes(output))


def list_indexes(output: Path) -> list[Path]:
    """The index files of the finished shards, sorted."""
    return sorted(path for path in output.glob("[!.]*.json") if re.search(r"-\d{6}$", path.stem))


def read_indexes(output: Path) -> list[ShardIndex]:
    """The indexes of the finished shards, sorted by shard; raises UserError if a shard is missing or damaged."""
    shards = [path.with_suffix(".tar") for path in list_indexes(output)]
    indexes = [read_index(shard) for shard in shards]
    for shard, index in zip(shards, indexes, strict=True):
        check_shard(shard, index)
    return indexes


def merge_inputs(indexes: Iterable[ShardIndex]) -> dict[str, dict]:
    """The record of each input. If two indexes name an input, the one that kept it counts, otherwise the later one."""
    merged: dict[str, dict] = {}
    for index in indexes:
        for name, record in index.inputs.items():
            if merged.get(name, {}).get("status") != KEPT:
                merged[name] = record
    return merged


def plan_units(output: Path, prefix: str, sizes: Mapping[str, int], per_shard: int, work: WorkConfig) -> list[Unit]:
    """Divide this task's inputs that no finished shard covers into units.

    sizes: size of each input in bytes. A skipped input is processed again if its size has changed since, as when a
    download has completed, or if its reason is to be retried. Only whole units finish, so an interrupted run has the
    same units, with the same numbers, as one that was not interrupted.
    """
    done = {
        name
        for index in read_indexes(output)
        for name, record in index.inputs.items()
        if _is_covered(record, sizes.get(name), work.retry)
    }
    left = [name for name in work.by_name(sorted(sizes)) if name not in done]
    if work.is_shared:
        prefix = f"{prefix}-{work.lock_name}"
    units: list[Unit] = []
    number = 0
    for start in range(0, len(left), per_shard):
        while index_path(shard := output / f"{prefix}-{number:06d}.tar").exists():
            number += 1
        units.append(Unit(shard, left[start : start + per_shard]))
        number += 1
    return units


def _is_covered(record: dict, size: int | None, retry: Sequence[str]) -> bool:
    return record["status"] == KEPT or (record["bytes"] == size and record["status"] not in retry)


def slug(name: str) -> str:
    """A short unique name for an input, made of letters, digits, - and _, as keys need."""
    readable = re.sub(r"[^A-Za-z0-9_]+", "-", Path(name).stem).strip("-")[:40] or "input"
    return f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"

"""Divide the inputs of a sharding command into units of work, and resume.

An output folder belongs to one run. A unit is a slice of the sorted inputs and becomes one shard. The index of a
finished shard names its inputs, so the inputs that no index names are left to do: the same command resumes after an
interruption, and processes inputs that were added.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from data_prep.config import WorkConfig
from data_prep.inputs.input_files import is_index_name
from data_prep.inputs.input_states import InputStates
from data_prep.records.reasons import REASONS
from mimicbrush.data.shard_index import ShardIndex, check_shard, index_path, read_index
from mimicbrush.errors import UserError
from mimicbrush.files import write_text
from mimicbrush.run_folder import CONFIG_NAME, claim, find_difference
from mimicbrush.yaml_reading import parse_yaml

KEPT = "kept"
FREE_FIELDS = ("output", "work", "duplicate_share")
"""Fields of a sharding config that do not change what is stored."""

RENAMED = {"frames_per_clip": "frames_per_shot", "pairs_per_clip": "pairs_per_shot"}
"""Fields of the pairs' config whose names have changed since version 0.1.0."""


class Unit(NamedTuple):
    """One shard, and the names of its inputs."""

    shard: Path
    names: list[str]
    editions: dict[str, int]
    """Edition, from 2 on, of each input that was kept before and has changed since; its samples get new keys."""


def claim_output(output: Path, config: object, *, free: tuple[str, ...] = FREE_FIELDS, results: str = "*.tar") -> None:
    """Record in `config.yaml` which run the folder belongs to.

    free: fields of the config that do not change what is stored. results: glob of the files that a run writes.
    Raises UserError, which names the field, if the folder belongs to a run with another config.
    """
    _rename_fields(output / CONFIG_NAME)
    has_results = any(output.glob(results))
    if has_results and not (output / CONFIG_NAME).is_file():
        raise UserError(f"{output}: holds results but no {CONFIG_NAME}; choose another --output")
    if not has_results and find_difference(output, config, free=free) and _kept_nothing(output, config):
        # The earlier run kept nothing, so the user may try again with other settings.
        for path in (output / CONFIG_NAME, *map(index_path, list_finished(output))):
            path.unlink()
    claim(output, config, free=free)


def _rename_fields(path: Path) -> None:
    """Give fields in the config of an earlier version their present names, so that its folder can be continued."""
    if not path.is_file():
        return
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    renamed = re.sub(
        rf"^(\s+)({'|'.join(RENAMED)}):", lambda found: f"{found[1]}{RENAMED[found[2]]}:", text, flags=re.M
    )
    if renamed != text:
        write_text(renamed, path)


def _kept_nothing(output: Path, config: object) -> bool:
    """Whether the folder holds a run of this command that kept nothing; only then may its files be deleted."""
    fields = parse_yaml((output / CONFIG_NAME).read_text(encoding="utf-8"))
    same_command = isinstance(fields, dict) and fields.keys() == asdict(config).keys()
    return same_command and all(index.pairs == 0 for index in read_indexes(output).values())


def list_finished(output: Path) -> list[Path]:
    """Paths of the finished shards, which have an index, sorted; a shard without pairs has no tar."""
    return sorted(path.with_suffix(".tar") for path in output.glob("*.json") if is_index_name(path.name))


def read_indexes(output: Path) -> dict[Path, ShardIndex]:
    """The finished shards, sorted, and their indexes; raises UserError if a shard is missing or damaged."""
    indexes = {shard: read_index(shard) for shard in list_finished(output)}
    for shard, index in indexes.items():
        check_shard(shard, index)
    return indexes


def latest_records(indexes: Iterable[ShardIndex]) -> dict[str, list[dict]]:
    """The records of each input's latest edition, in order; there are several if it was tried again."""
    records: dict[str, list[dict]] = {}
    for index in indexes:
        for name, record in index.inputs.items():
            known = records.setdefault(name, [])
            if known and edition_of(record) > edition_of(known[0]):
                known.clear()
            if not known or edition_of(record) == edition_of(known[0]):
                known.append(record)
    return records


def edition_of(record: dict) -> int:
    """The number of times, counted from 1, that an input has been kept and replaced before this record was made."""
    return record.get("edition", 1)


def merge_inputs(indexes: Iterable[ShardIndex]) -> dict[str, dict]:
    """The record of each input's latest edition: the one that kept it counts, otherwise the last one."""
    return {
        name: next((record for record in records if record["status"] == KEPT), records[-1])
        for name, records in latest_records(indexes).items()
    }


def plan_units(
    output: Path,
    prefix: str,
    inputs: InputStates,
    per_shard: int,
    work: WorkConfig,
    *,
    records: Mapping[str, Sequence[dict]],
) -> list[Unit]:
    """Divide this task's inputs that no finished shard covers into units; records: `latest_records` of the output.

    An input is processed again if its content has changed since, as when a download has completed, or if it was skipped
    for a reason that is to be retried. Only whole units finish, so an interrupted run has the same units, with the same
    numbers, as one that was not interrupted.
    """
    _check_retry(work, records)
    own = work.by_name(sorted(inputs.states))
    settled = {name: [record for record in records.get(name, ()) if record["status"] not in work.retry] for name in own}
    changed = inputs.find_changed(settled)
    left = [name for name in own if name in changed]
    if work.is_shared:
        prefix = f"{prefix}-{work.lock_name}"
    units: list[Unit] = []
    number = 0
    for start in range(0, len(left), per_shard):
        while index_path(shard := output / f"{prefix}-{number:06d}.tar").exists():
            number += 1
        names = left[start : start + per_shard]
        editions = {name: _next_edition(records.get(name, ())) for name in names}
        units.append(Unit(shard, names, {name: edition for name, edition in editions.items() if edition > 1}))
        number += 1
    return units


def _check_retry(work: WorkConfig, records: Mapping[str, Sequence[dict]]) -> None:
    """Raise UserError if an input cannot have been skipped for a reason that is to be retried."""
    stated = {record["status"] for found in records.values() for record in found}
    unknown = [reason for reason in work.retry if reason not in stated and reason not in REASONS]
    if unknown:
        retried = ", ".join(code for code, reason in REASONS.items() if reason.can_retry)
        raise UserError(f"--work.retry: {unknown[0]} is no reason; the following can be retried: {retried}")


def _next_edition(records: Sequence[dict]) -> int:
    """The edition in which to process an input with these records: a new one, unless it has no samples yet."""
    latest = max(map(edition_of, records), default=1)
    return latest + 1 if latest > 1 or any(record["status"] == KEPT for record in records) else 1


def key_of_edition(key: str, name: str, edition: int) -> str:
    """The key of a sample of an input; keys of later editions differ from those of the samples that they replace."""
    return key if edition == 1 else f"{slug(name)}-edition{edition}{key.removeprefix(slug(name))}"


def keys_by_input(index: ShardIndex) -> Iterator[tuple[str, list[str]]]:
    """The keys of each input in a shard, which stores them in the order of its inputs."""
    keys = iter(index.keys)
    for name, record in index.inputs.items():
        yield name, list(islice(keys, record.get("pairs", 0)))


def slug(name: str) -> str:
    """A short unique name for an input, made of letters, digits, - and _, as keys need."""
    readable = re.sub(r"[^A-Za-z0-9_]+", "-", Path(name).stem).strip("-")[:40] or "input"
    return f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"

"""What every sharding command shares: one run per output folder, units of work, worker processes, the summary.

A unit is a slice of the sorted inputs and becomes one shard. A finished shard's index names its inputs, so what is
left to do is what no index names: the same command goes on after an interruption, and takes up what was added.
"""

from __future__ import annotations

import csv
import hashlib
import io
import multiprocessing
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
import yaml
from tqdm import tqdm

from data_prep.inputs import UnreadableInput
from mimicbrush.data.shards import FramePair, ShardIndex, index_path, read_index, write_shard
from mimicbrush.errors import UserError
from mimicbrush.run_folder import CONFIG_NAME, claim, find_difference

T = TypeVar("T")

KEPT = "kept"
ORIGIN_FIELDS = ("group", "licence", "url")
"""Columns of a metadata file that are copied into each sample's origin."""


class Unit(NamedTuple):
    """The inputs of one shard."""

    shard: Path
    names: list[str]


def claim_output(output: Path, config: object, *, free: tuple[str, ...], results: str = "*.tar") -> None:
    """Note in `config.yaml` whose result the folder holds; `free` names the fields that do not change the content.

    results: glob of what a run makes. Raises UserError, naming the field, where the folder holds that of another run.
    """
    has_results = any(output.glob(results))
    if has_results and not (output / CONFIG_NAME).is_file():
        raise UserError(f"{output}: holds results but no {CONFIG_NAME}; choose another --output")
    if not has_results and find_difference(output, config, free=free) and _is_barren(output, config):
        # A run that kept nothing binds nobody: the user is trying again with other settings.
        for path in (output / CONFIG_NAME, *list_indexes(output)):
            path.unlink()
    claim(output, config, free=free)


def _is_barren(output: Path, config: object) -> bool:
    """Whether the folder holds a run of this very command that kept nothing: only then may its files go."""
    fields = yaml.safe_load((output / CONFIG_NAME).read_text())
    same_command = isinstance(fields, dict) and fields.keys() == asdict(config).keys()
    return same_command and all(index.pairs == 0 for index in read_indexes(output))


def list_indexes(output: Path) -> list[Path]:
    """The index files of the finished shards, sorted."""
    return sorted(path for path in output.glob("*.json") if re.search(r"-\d{6}$", path.stem))


def read_indexes(output: Path) -> list[ShardIndex]:
    """The indexes of the finished shards, sorted by shard."""
    return [read_index(path.with_suffix(".tar")) for path in list_indexes(output)]


def merge_inputs(indexes: Iterable[ShardIndex]) -> dict[str, dict]:
    """What became of each input so far; a later shard's word counts."""
    return {name: record for index in indexes for name, record in index.inputs.items()}


def plan_units(output: Path, prefix: str, sizes: Mapping[str, int], per_shard: int) -> list[Unit]:
    """Slices of the inputs that no finished shard covers.

    sizes: bytes of each input; a skipped input whose size has changed since (a download completed) is done again.
    As only whole slices finish, an interrupted run is cut and numbered as if it had not been.
    """
    done = merge_inputs(read_indexes(output))
    left = [name for name in sorted(sizes) if not _is_covered(done.get(name), sizes[name])]
    slices = [left[start : start + per_shard] for start in range(0, len(left), per_shard)]
    units: list[Unit] = []
    number = 0
    for names in slices:
        while index_path(shard := output / f"{prefix}-{number:06d}.tar").exists():
            number += 1
        units.append(Unit(shard, names))
        number += 1
    return units


def _is_covered(record: dict | None, size: int) -> bool:
    return record is not None and (record["status"] == KEPT or record["bytes"] == size)


def make_shard(unit: Unit, *, read: Callable[[str], tuple[list[FramePair], dict]], sizes: Mapping[str, int]) -> None:
    """One unit of work: all samples of its inputs, written as one shard.

    read: an input's samples and what to note of it; an input that it finds unreadable is noted with its reason.
    """
    inputs: dict[str, dict] = {}
    write_shard(unit.shard, _samples_of(unit.names, read, sizes, inputs), inputs)


def _samples_of(names: list[str], read: Callable, sizes: Mapping[str, int], inputs: dict) -> Iterator[FramePair]:
    for name in names:
        try:
            samples, record = read(name)
        except UnreadableInput as error:
            samples, record = [], {"status": error.reason, "detail": error.detail}
        except Exception as error:
            error.add_note(f"while working on {name}")
            raise
        inputs[name] = {**record, "pairs": len(samples), "bytes": sizes[name]}
        yield from samples


def run_tasks(
    tasks: Sequence[T], work: Callable[[T], None], *, workers: int, noun: str, size: Callable[[T], int] | None = None
) -> None:
    """Do every task, in `workers` processes; workers 0: one per usable core.

    size: how many of the progress bar's nouns a task holds, else 1. Raises UserError where a worker dies; what the
    others finished stays.
    """
    sizes = [size(task) if size else 1 for task in tasks]
    processes = min(workers or len(os.sched_getaffinity(0)), len(tasks))
    with tqdm(total=sum(sizes), unit=noun, disable=not tasks) as progress:
        if processes <= 1:
            for task, amount in zip(tasks, sizes, strict=True):
                work(task)
                progress.update(amount)
        else:
            _run_in_processes(tasks, sizes, work, processes, progress)


def _run_in_processes(
    tasks: Sequence[T], sizes: list[int], work: Callable[[T], None], processes: int, progress: tqdm
) -> None:
    pool = ProcessPoolExecutor(processes, mp_context=_clean_context(), initializer=cv2.setNumThreads, initargs=(1,))
    futures: dict[Future, int] = {pool.submit(work, task): amount for task, amount in zip(tasks, sizes, strict=True)}
    try:
        for future in as_completed(futures):
            future.result()
            progress.update(futures[future])
    except BrokenProcessPool:
        raise UserError(
            "a worker process died (out of memory, or an input that crashes its decoder); finished files are kept; "
            "the same command with --workers 1 shows where it dies"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _clean_context() -> multiprocessing.context.BaseContext:
    """Workers forked from a clean server: OpenCV hangs in a fork of a process that has used its threads."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # What takes seconds to import is imported once, by the server.
    context.set_forkserver_preload(["data_prep.video", "mimicbrush.data.shards"])
    return context


def read_metadata(path: Path | None, names: Iterable[str]) -> dict[str, dict[str, str]]:
    """What a CSV says of each input: {file: {group, licence, url}}, columns but `file` optional, empty cells left out.

    Raises UserError if the file is missing, has no column `file`, or names none of the inputs.
    """
    if path is None:
        return {}
    if not path.is_file():
        raise UserError(f"{path}: no such metadata file; leave --metadata out or give a CSV with a column `file`")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file; expected a CSV with a column `file`") from None
    with io.StringIO(text, newline="") as file:
        reader = csv.DictReader(file)
        if "file" not in (reader.fieldnames or ()):
            raise UserError(f"{path}: has columns {reader.fieldnames}; expected `file` and any of {ORIGIN_FIELDS}")
        rows = {row["file"]: {name: row[name] for name in ORIGIN_FIELDS if row.get(name)} for row in reader}
    if not rows.keys() & set(names):
        raise UserError(f"{path}: names none of the inputs; `file` is relative to the input folder")
    return rows


def seed_for(seed: int, name: str) -> np.random.Generator:
    """A generator that depends on the run's seed and the input's name, not on who works on it or when."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8]))


def slug(name: str) -> str:
    """A short, unique word for an input, fit for a key: letters, digits, - and _."""
    readable = re.sub(r"[^A-Za-z0-9_]+", "-", Path(name).stem).strip("-")[:40] or "input"
    return f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"

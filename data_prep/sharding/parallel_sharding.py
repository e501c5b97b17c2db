"""Turn inputs into shards: many processes read, one writes in order, so the bytes do not depend on their number."""

from __future__ import annotations

import pickle
import re
import shutil
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2

from data_prep.config import WorkConfig
from data_prep.inputs.input_files import readable_text
from data_prep.inputs.input_states import InputStates, try_hash
from data_prep.records.dropped_examples import Examples
from data_prep.records.summary import name_samples
from data_prep.records.work_units import KEPT, Unit, key_of_edition, slug
from data_prep.sharding.pool import Failure, map_in_order
from mimicbrush.data.shards import FramePair, write_shard
from mimicbrush.errors import UnusableInput, UserError, spaced
from mimicbrush.files import NO_ROOM
from mimicbrush.machine import usable_cores
from mimicbrush.progress import Progress, progress_bar

MAX_DETAIL = 200
"""Largest number of characters stored of the reason why an input was skipped; a file's own text may be long."""


class Outcome(NamedTuple):
    """The result of reading one input."""

    pairs: list[FramePair]
    record: dict
    """Its record in the shard's index: status (`kept`, or the reason why not), detail, counts."""
    examples: dict[str, bytes]
    """A small JPEG for each reason for which a frame or pair was dropped."""
    seconds: dict[str, float]
    """CPU seconds by stage."""


class Task(NamedTuple):
    """An input to read; a worker receives no other inputs, of which there may be millions."""

    name: str
    read: Callable[[], Outcome]
    hash_content: Callable[[], str]


class Effort(NamedTuple):
    """The amount of work that a command did, and the time that it took."""

    done: int
    """Number of inputs."""
    pairs: int
    """Number of pairs written."""
    workers: int
    """Number of worker processes."""
    wall_seconds: float
    cpu_seconds: dict[str, float]
    """CPU seconds by stage."""


class Stopwatch:
    """Adds up CPU seconds by stage."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the CPU time of the block to a stage."""
        started = time.process_time()
        try:
            yield
        finally:
            self.seconds[stage] += time.process_time() - started


def shard_inputs(
    units: Sequence[Unit],
    reader: Callable[[str], Callable[[], Outcome]],
    *,
    inputs: InputStates,
    work: WorkConfig,
    noun: str,
) -> Effort:
    """Read all inputs of the units and write each unit's shard, in order.

    reader: gives, for a name, a function that reads the input and can be sent to a worker. An input that it cannot use,
    or on which it fails, is recorded with the reason.
    inputs: all inputs. Raises UserError if the disk is full.
    """
    started = time.monotonic()
    names = [name for unit in units for name in unit.names]
    if not names:
        return Effort(0, 0, 0, 0.0, {})
    workers = min(work.workers or usable_cores(), len(names))
    watch, counts = Stopwatch(), Counter()
    with _exchange_folder(units[0].shard) as exchange, progress_bar(total=len(names), unit=noun) as progress:
        tasks = (Task(name, reader(name), inputs.hasher(name)) for name in names)
        sent = map_in_order(
            partial(_send, exchange=exchange), tasks, workers=workers, timeout=work.timeout, memory=work.memory
        )
        outcomes = (_receive(file) for file in sent)
        samples = name_samples(f"{noun}s")
        for unit in units:
            _write_unit(unit, counted(outcomes, counts, progress, noun=samples), inputs, watch)
    return Effort(len(names), counts["pairs"], workers, time.monotonic() - started, dict(watch.seconds))


def counted(
    outcomes: Iterator[Outcome], counts: Counter[str], progress: Progress, *, noun: str = "pairs"
) -> Iterator[Outcome]:
    """Pass outcomes on, and show the numbers of kept inputs and of samples, named `noun`, beside the progress."""
    for outcome in outcomes:
        counts["kept"] += outcome.record["status"] == KEPT
        counts["pairs"] += len(outcome.pairs)
        progress.set_postfix_str(f"{spaced(counts['kept'])} kept, {spaced(counts['pairs'])} {noun}", refresh=False)
        progress.update()
        yield outcome


def _write_unit(unit: Unit, outcomes: Iterator[Outcome], inputs: InputStates, watch: Stopwatch) -> None:
    """Write one shard and its index."""
    records: dict[str, dict] = {}
    examples = Examples()

    def pairs() -> Iterator[FramePair]:
        for name in unit.names:
            outcome = next(outcomes)
            edition = unit.editions.get(name, 1)
            facts = {"pairs": len(outcome.pairs), **inputs.states[name]._asdict()}
            records[name] = {**outcome.record, **facts, **({"edition": edition} if edition > 1 else {})}
            for reason, picture in outcome.examples.items():
                examples.add(name, reason, picture, is_skipped=outcome.record["status"] == reason)
            watch.seconds.update(outcome.seconds)
            yield from (replace(pair, key=key_of_edition(pair.key, name, edition)) for pair in outcome.pairs)

    started = time.process_time()
    write_shard(unit.shard, pairs(), records, examples)
    watch.seconds["write"] += time.process_time() - started


@contextmanager
def _exchange_folder(shard: Path) -> Iterator[Path]:
    """A hidden folder beside the shards, through which results pass from the workers to the writer."""
    owner = re.sub(r"-\d{6}$", "", shard.stem)
    folder = shard.parent / f".{owner}.exchange"
    folder.mkdir(exist_ok=True)
    for abandoned in shard.parent.glob(f".{owner}-[0-9][0-9][0-9][0-9][0-9][0-9].*.partial.*"):
        abandoned.unlink()  # by a command that was killed
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _send(task: Task, *, exchange: Path) -> Path:
    """Read one input in a worker process, and write the result to a file for the writer."""
    try:
        outcome = task.read()
    except UnusableInput as error:
        outcome = skipped(error.reason, error.detail)
    except UserError:
        raise
    except MemoryError:
        outcome = skipped("out_of_memory", "needs more than `work.memory` to decode")
    except cv2.error as error:
        is_memory = error.code == cv2.Error.StsNoMem
        outcome = skipped("out_of_memory" if is_memory else "failed", str(error.err))
    except Exception as error:
        # One strange input must not end a run of a week: it is skipped, and the line of code is recorded.
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        outcome = skipped("failed", f"{type(error).__name__} ({where}): {error}")
    content = try_hash(task.hash_content)
    if content is not None:
        outcome.record["sha256"] = content
    file = exchange / slug(task.name)
    try:
        with file.open("wb") as opened:
            pickle.dump(outcome, opened)  # to the file, as the pairs of a film take 100 MB
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise UserError(f"{exchange.parent}: {error.strerror}; make room and run the same command") from None
    return file


def _receive(file: Path | Failure) -> Outcome:
    if isinstance(file, Failure):
        return skipped(*file)
    with file.open("rb") as opened:
        outcome = pickle.load(opened)
    file.unlink()
    return outcome


def skipped(reason: str, detail: str) -> Outcome:
    """The outcome of a skipped input: its reason and a detail that fits on a line."""
    return Outcome([], {"status": reason, "detail": readable_text(detail)[:MAX_DETAIL]}, {}, {})

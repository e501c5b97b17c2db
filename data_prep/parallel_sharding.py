"""From inputs to shards: many processes read, one writes, in order; the bytes do not depend on how many there are."""

from __future__ import annotations

import pickle
import re
import shutil
import time
import traceback
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2

from data_prep.config import WorkConfig
from data_prep.input_files import readable_text
from data_prep.pool import Failure, map_in_order
from data_prep.work_units import Unit, slug
from mimicbrush.data.shards import FramePair, write_shard
from mimicbrush.errors import UnusableInput, UserError
from mimicbrush.files import NO_ROOM
from mimicbrush.machine import usable_cores
from mimicbrush.progress import Progress, progress_bar

MAX_DETAIL = 200
"""Characters that are kept of why an input was skipped; what a file says of itself may be long."""


class Outcome(NamedTuple):
    """What became of one input."""

    pairs: list[FramePair]
    record: dict
    """What the shard's index says of it: status (`kept` or the reason why not), detail, counts."""
    examples: dict[str, bytes]
    """A small JPEG for each reason for which something was dropped."""
    seconds: dict[str, float]
    """CPU seconds by stage."""


class Effort(NamedTuple):
    """What a command did, and how long that took."""

    done: int
    """Inputs."""
    pairs: int
    workers: int
    wall_seconds: float
    cpu_seconds: dict[str, float]
    """By stage."""


class Stopwatch:
    """CPU seconds by stage."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add what the block takes."""
        started = time.process_time()
        try:
            yield
        finally:
            self.seconds[stage] += time.process_time() - started


def shard_inputs(
    units: Sequence[Unit],
    read: Callable[[str], Outcome],
    *,
    sizes: Mapping[str, int],
    work: WorkConfig,
    noun: str,
) -> Effort:
    """Read all inputs of the units and write each unit's shard, in order.

    read: an input's outcome; an input that it finds unreadable is noted with its reason, and so is one that it fails
    on. Raises UserError where there is no room to write.
    """
    started = time.monotonic()
    names = [name for unit in units for name in unit.names]
    if not names:
        return Effort(0, 0, 0, 0.0, {})
    workers = min(work.workers or usable_cores(), len(names))
    watch, num_pairs = Stopwatch(), 0
    with _parcels(units[0].shard) as parcels, progress_bar(total=len(names), unit=noun) as progress:
        send = partial(_send, read=read, parcels=parcels)
        sent = map_in_order(send, names, workers=workers, timeout=work.timeout, memory=work.memory)
        outcomes = (_receive(parcel) for parcel in sent)
        for unit in units:
            num_pairs += _write_unit(unit, outcomes, sizes, watch, progress)
    return Effort(len(names), num_pairs, workers, time.monotonic() - started, dict(watch.seconds))


def _write_unit(
    unit: Unit, outcomes: Iterator[Outcome], sizes: Mapping[str, int], watch: Stopwatch, progress: Progress
) -> int:
    """Returns how many pairs the shard holds."""
    inputs: dict[str, dict] = {}
    examples: dict[str, dict] = {}

    def pairs() -> Iterator[FramePair]:
        for name in unit.names:
            outcome = next(outcomes)
            inputs[name] = {**outcome.record, "pairs": len(outcome.pairs), "bytes": sizes[name]}
            for reason, picture in outcome.examples.items():
                # A clip that was skipped shows its reason better than one that lost a frame or a pair.
                if reason not in examples or outcome.record["status"] == reason:
                    examples[reason] = {"reason": reason, "name": name, "picture": b64encode(picture).decode()}
            watch.seconds.update(outcome.seconds)
            progress.update()
            yield from outcome.pairs

    started = time.process_time()
    index = write_shard(unit.shard, pairs(), inputs, examples.values())
    watch.seconds["write"] += time.process_time() - started
    return index.pairs


@contextmanager
def _parcels(shard: Path) -> Iterator[Path]:
    """A hidden folder beside the shards, in which outcomes pass from the workers to the writer."""
    owner = re.sub(r"-\d{6}$", "", shard.stem)
    folder = shard.parent / f".{owner}.parcels"
    folder.mkdir(exist_ok=True)
    for abandoned in shard.parent.glob(f".{owner}-[0-9][0-9][0-9][0-9][0-9][0-9].*.partial.*"):
        abandoned.unlink()  # by a command that was killed
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _send(name: str, *, read: Callable[[str], Outcome], parcels: Path) -> Path:
    """Read one input in a worker, and leave the outcome where the writer finds it."""
    try:
        outcome = read(name)
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
        # One strange input must not end a week's run; it is named, with the place, among the skipped.
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        outcome = skipped("failed", f"{type(error).__name__} ({where}): {error}")
    parcel = parcels / slug(name)
    try:
        parcel.write_bytes(pickle.dumps(outcome))
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise UserError(f"{parcels.parent}: {error.strerror}; make room and run the same command") from None
    return parcel


def _receive(parcel: Path | Failure) -> Outcome:
    if isinstance(parcel, Failure):
        return skipped(*parcel)
    outcome = pickle.loads(parcel.read_bytes())
    parcel.unlink()
    return outcome


def skipped(reason: str, detail: str) -> Outcome:
    """The outcome of an input that gives nothing: why it is skipped, in text that fits a line."""
    return Outcome([], {"status": reason, "detail": readable_text(detail)[:MAX_DETAIL]}, {}, {})

"""Progress of long work: a bar on a terminal, or plain lines every few seconds in a file or a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from tqdm import tqdm

T = TypeVar("T")

SECONDS = 5.0
"""Time between two lines; shorter work prints none."""
SHARE = 0.01
"""The time between two lines is at least this share of the elapsed time, so that long work prints fewer lines."""


def _print_to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class ProgressLog:
    """Writes a line for all running work, which may be nested: `row 3 of 10, step 12 of 50, about 40 s left`."""

    def __init__(
        self, *, now: Callable[[], float] = time.monotonic, write: Callable[[str], None] = _print_to_stderr
    ) -> None:
        self.now = now
        self.write = write
        self.under_way: list[PlainProgress] = []
        """Running work, the outermost first."""
        self.last_line = float("-inf")

    def report(self) -> None:
        """Write a line if enough time has passed since the last one."""
        if not self.under_way:
            return
        now, outermost = self.now(), self.under_way[0]
        elapsed = now - outermost.started
        if now - max(self.last_line, outermost.started) < max(SECONDS, SHARE * elapsed):
            return
        self.last_line = now
        counts = [each.describe(is_innermost=each is self.under_way[-1]) for each in self.under_way]
        before = outermost.initial / outermost.total if outermost.total else 0.0
        self.write(", ".join(counts) + _time_left(elapsed, self._finished_share(), before))

    def _finished_share(self) -> float:
        """Share of the outermost work that is finished, in [0, 1]."""
        share = 0.0
        for each in reversed(self.under_way):
            share = min(1.0, (each.n + share) / each.total) if each.total else 0.0
        return share


LOG = ProgressLog()


class PlainProgress(Generic[T]):
    """A replacement for tqdm's bar in a log, with the same attributes and methods."""

    def __init__(
        self,
        iterable: Iterable[T] | None = None,
        *,
        total: int | None = None,
        initial: int = 0,
        unit: str = "step",
        log: ProgressLog | None = None,
    ) -> None:
        self.iterable = iterable
        self.total = len(iterable) if total is None and hasattr(iterable, "__len__") else total
        self.unit = unit
        self.n = initial
        self.initial = initial
        """Items that were finished before this process began; they say nothing about its speed."""
        self.postfix = ""
        self.log = log or LOG
        self.started = self.log.now()
        self.log.under_way.append(self)

    def __iter__(self) -> Iterator[T]:
        with self:
            for item in self.iterable:
                yield item
                self.update()

    def __enter__(self) -> PlainProgress[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def update(self, n: int = 1) -> None:
        self.n += n
        self.log.report()

    def set_postfix_str(self, text: str, *, refresh: bool = True) -> None:
        """Add a text to the count of this work; `refresh` has no effect."""
        self.postfix = text

    def close(self) -> None:
        if self in self.log.under_way:
            self.log.under_way.remove(self)

    def describe(self, *, is_innermost: bool) -> str:
        """Describe the last finished item, or the running one if it has inner work."""
        number = self.n if is_innermost else min(self.n + 1, self.total or self.n + 1)
        count = f"{self.unit} {number} of {self.total}" if self.total else f"{self.unit} {number}"
        return f"{count} ({self.postfix})" if self.postfix else count


Progress = tqdm | PlainProgress


def progress_bar(
    iterable: Iterable[T] | None = None,
    *,
    total: int | None = None,
    initial: int = 0,
    desc: str | None = None,
    unit: str = "step",
    leave: bool = True,
) -> Progress:
    """Return tqdm's bar if stderr is a terminal, and plain lines otherwise; with nothing to do, neither is shown.

    initial: items of `total` that an earlier process finished. unit: name of the counted items, in the singular. desc,
    leave: as in tqdm, for the bar only.
    """
    if sys.stderr.isatty():
        return tqdm(iterable, total=total, initial=initial, desc=desc, unit=unit, leave=leave, disable=total == 0)
    return PlainProgress(iterable, total=total, initial=initial, unit=unit)


class StepCount:
    """Counts the steps behind the finished shares that an editor reports, taking all steps as equally long.

    An edit that resumes begins in the middle, so that only its second report tells how long a step is.
    """

    def __init__(self) -> None:
        self.total: int | None = None
        """None until the first report."""
        self.before = 0
        """Number of steps that were finished before the first report, by an earlier call."""
        self._reported: list[float] = []

    def number(self, fraction: float) -> int:
        """The number of the step that ended at this share of the work."""
        if len(self._reported) < 2 and fraction not in self._reported:
            step = fraction - sum(self._reported)
            self.total = max(1, self.total or 0, round(1 / step))
            self._reported.append(fraction)
            self.before = round(self._reported[0] * self.total) - 1
        return min(self.total, round(fraction * self.total))


@contextmanager
def step_bar(*, desc: str) -> Iterator[Callable[[float, object], None]]:
    """Show a bar of the steps of one edit; the callback is an editor's `on_progress`, and looks at no preview."""
    count = StepCount()
    with progress_bar(desc=desc, leave=False) as bar:

        def report(fraction: float, preview: object) -> None:
            number = count.number(fraction)
            bar.total, bar.initial = count.total, count.before
            bar.update(number - bar.n)

        yield report


def _time_left(elapsed: float, finished_share: float, share_before: float = 0.0) -> str:
    if finished_share <= share_before:
        return ""
    seconds = elapsed * (1 - finished_share) / (finished_share - share_before)
    if seconds < 1:
        return ""
    for length, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f", about {seconds / length:.0f} {unit} left"
    return f", about {seconds:.0f} s left"

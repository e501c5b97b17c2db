"""The one device that edits, the line before it, and word of how far it is: no page in here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from time import monotonic
from typing import NamedTuple

from PIL import Image
from torch import Tensor

from mimicbrush.demo.config import Limits
from mimicbrush.edit.common_config import MaskedEditConfig
from mimicbrush.edit.editing import Loaded, edit
from mimicbrush.errors import UserError
from mimicbrush.model.config import RecommendedSettings
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pipeline import MimicBrushPipeline
from mimicbrush.progress import StepCount
from mimicbrush.requests import Edited

PREVIEW_SHARE = 0.15
"""Of an edit's time, at most, goes into previews."""
REPORT_SECONDS = 0.25
"""Between two reports, so that a fast network does not wait for the browser."""


class StoppedError(Exception):
    """A visitor wants no more of an edit."""


class SupersededError(StoppedError):
    """The picture that is edited is not the visitor's any more."""


class Waiting(NamedTuple):
    """Before an edit's turn comes."""

    ahead: int
    """Edits that come first, the one that is computed among them."""


class Step(NamedTuple):
    """After a sampling step."""

    number: int
    total: int
    seconds_left: float
    preview: Image.Image | None
    """The first result as it is predicted so far, in its place in the picture; None where decoding would cost much."""


Update = Waiting | Step


class Ticket:
    """A place in the line."""

    def __init__(self, visitor: str) -> None:
        self.visitor = visitor
        self._reason: type[StoppedError] | None = None

    def stop(self, reason: type[StoppedError] = StoppedError) -> None:
        """What is superseded stays so, also where its visitor stops it as well."""
        if self._reason is None or issubclass(reason, self._reason):
            self._reason = reason

    def check(self) -> None:
        """Raises the reason once `stop` was called."""
        if self._reason is not None:
            raise self._reason


class Line:
    """First come, first served, one at a time."""

    def __init__(self, max_waiting: int) -> None:
        self.max_waiting = max_waiting
        self._tickets: list[Ticket] = []
        self._changed = threading.Condition()

    @contextmanager
    def join(self, visitor: str) -> Iterator[Ticket]:
        """A ticket, given back at the end; raises UserError where the line is too long."""
        with self._changed:
            if len(self._tickets) > self.max_waiting:
                raise UserError(f"{self.max_waiting} edits are waiting already; try again in a few minutes")
            ticket = Ticket(visitor)
            self._tickets.append(ticket)
        try:
            yield ticket
        finally:
            with self._changed:
                self._tickets.remove(ticket)
                self._changed.notify_all()

    def ahead(self, ticket: Ticket) -> int:
        with self._changed:
            return self._tickets.index(ticket)

    def wait(self, seconds: float = 1) -> None:
        """Until somebody leaves or wants to, or that long."""
        with self._changed:
            self._changed.wait(seconds)

    def stop(self, visitor: str, reason: type[StoppedError]) -> None:
        """All tickets of that visitor."""
        with self._changed:
            for ticket in self._tickets:
                if ticket.visitor == visitor:
                    ticket.stop(reason)
            self._changed.notify_all()


class Studio:
    """An editor that many visitors share; loaded: by `load_editor`."""

    def __init__(self, loaded: Loaded, limits: Limits) -> None:
        self.loaded = loaded
        self.limits = limits
        self._line = Line(limits.waiting)
        self._device = threading.Lock()

    @property
    def recommended(self) -> RecommendedSettings | None:
        """Settings that the weights recommend; None for an editor other than MimicBrush, which has its own."""
        return self.loaded.network.options.recommended if isinstance(self.loaded, MimicBrushPipeline) else None

    def edit(self, config: MaskedEditConfig, *, visitor: str) -> Iterator[Update]:
        """Reports until the results are written; closed early, it ends the computing.

        Raises the reason given to `stop`, and UserError for what cannot be edited or takes too long.
        """
        with self._line.join(visitor) as ticket:
            while ahead := self._line.ahead(ticket):
                yield Waiting(ahead)
                self._line.wait()
                ticket.check()
            yield from _follow(lambda report: self._compute(config, ticket, report), ticket)

    def stop(self, visitor: str, reason: type[StoppedError] = StoppedError) -> None:
        """End the edits of that visitor, waiting or computed, at their next step."""
        self._line.stop(visitor, reason)

    def shape_maps(self, image: Tensor, mask: Image.Image | None, **options: object) -> list[Image.Image]:
        """As in the pipeline, between edits."""
        with self._device:
            return self.loaded.shape_maps(image, mask, **options)

    def _compute(self, config: MaskedEditConfig, ticket: Ticket, report: Callable[[Update], None]) -> None:
        with self._device:
            watch = _Watch(ticket, report, self.limits.seconds)
            edit(self.loaded, config, portable=True, on_progress=watch)
            ticket.check()


class _Watch:
    """The callback of an edit's progress: it stops the edit of a visitor who wants no more, and reports its steps."""

    def __init__(self, ticket: Ticket, report: Callable[[Update], None], max_seconds: float) -> None:
        self.ticket = ticket
        self.report = report
        self.max_seconds = max_seconds
        self.count = StepCount()
        self.start = self.last_report = monotonic()
        self.preview_seconds = self.last_preview_seconds = 0.0

    def __call__(self, fraction: float, preview: Callable[[], Edited]) -> None:
        self.ticket.check()
        seconds, number = monotonic() - self.start, self.count.number(fraction)
        total = self.count.total
        if seconds > self.max_seconds:
            raise UserError(
                f"stopped at step {number} of {total} after {self.max_seconds} seconds, the limit of this page;"
                " ask for fewer steps or results"
            )
        if monotonic() - self.last_report >= REPORT_SECONDS or number in (1, total):
            self.report(Step(number, total, seconds * (1 - fraction) / fraction, self._draw(preview, seconds)))
            self.last_report = monotonic()

    def _draw(self, preview: Callable[[], Edited], seconds: float) -> Image.Image | None:
        """The preview, where previews have taken little of the edit's time so far."""
        if self.preview_seconds + self.last_preview_seconds > PREVIEW_SHARE * seconds:
            return None
        start = monotonic()
        drawn = to_pil(preview().frames[0])
        self.last_preview_seconds = monotonic() - start
        self.preview_seconds += self.last_preview_seconds
        return drawn


def _follow(work: Callable[[Callable[[Update], None]], None], ticket: Ticket) -> Iterator[Update]:
    """What `work`, in a thread of its own, reports; what it raises is raised here."""
    reports: SimpleQueue[Update | BaseException | None] = SimpleQueue()

    def run() -> None:
        try:
            work(reports.put)
            reports.put(None)
        except BaseException as error:  # on its way to the thread that asked
            reports.put(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while (update := reports.get()) is not None:
            if isinstance(update, BaseException):
                raise update
            yield update
    finally:
        ticket.stop()
        thread.join()

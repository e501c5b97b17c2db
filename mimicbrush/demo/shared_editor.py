"""An editor that all visitors share, the queue before it, and reports of its progress, independent of the page."""

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
from mimicbrush.edit.config import EditConfig
from mimicbrush.edit.editing import Loaded, StoppedEdit, edit
from mimicbrush.errors import UserError
from mimicbrush.model.config import RecommendedSettings
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pipeline import MimicBrushPipeline
from mimicbrush.progress import StepCount
from mimicbrush.requests import Edited

PREVIEW_SHARE = 0.15
"""Largest share of an edit's time that is spent on previews."""
REPORT_SECONDS = 0.25
"""Time between two reports, so that a fast network does not wait for the browser."""


class StoppedError(Exception):
    """The visitor stopped the edit."""


class SupersededError(StoppedError):
    """The visitor chose another picture, so the edit of the former one ended."""


class Waiting(NamedTuple):
    """A report while an edit waits in the queue."""

    ahead: int
    """Number of edits before this one, including the running one."""


class Step(NamedTuple):
    """A report after a sampling step."""

    number: int
    total: int
    seconds_left: float
    preview: Image.Image | None
    """The first result as predicted so far, pasted into the picture; None if decoding would take too long."""
    layer: Image.Image | None = None
    """The layer of that result, with alpha, if the editor draws one."""


class Written(NamedTuple):
    """The last report: the results are written."""

    config: EditConfig
    """Describes the results; of an edit that was stopped and kept, as it was by then."""


Update = Waiting | Step | Written


MAX_OF_VISITOR = 2
"""Largest number of edits of one visitor that wait or run, so that nobody fills the queue from one page."""


class Ticket:
    """A place in the queue."""

    def __init__(self, visitor: str) -> None:
        self.visitor = visitor
        self._reason: type[StoppedError] | None = None

    def stop(self, reason: type[StoppedError] = StoppedError) -> None:
        """Set the reason for stopping; SupersededError is not replaced by a later StoppedError."""
        if self._reason is None or issubclass(reason, self._reason):
            self._reason = reason

    def check(self) -> None:
        """Raise the reason if `stop` was called."""
        if self._reason is not None:
            raise self._reason


class EditQueue:
    """A queue of edits that run one at a time, in the order of their requests."""

    def __init__(self, max_waiting: int) -> None:
        self.max_waiting = max_waiting
        self._tickets: list[Ticket] = []
        self._changed = threading.Condition()

    @contextmanager
    def join(self, visitor: str) -> Iterator[Ticket]:
        """Yield a ticket that is valid within the block; raises UserError if the queue or the visitor has too many.

        visitor: an open page; somebody who opens several counts as several.
        """
        with self._changed:
            if sum(ticket.visitor == visitor for ticket in self._tickets) >= MAX_OF_VISITOR:
                raise UserError(f"{MAX_OF_VISITOR} of your edits are waiting or running; wait for one, or stop it")
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
        """Number of tickets before this one."""
        with self._changed:
            return self._tickets.index(ticket)

    def wait(self, seconds: float = 1) -> None:
        """Wait until a ticket is removed or stopped, or for the given time."""
        with self._changed:
            self._changed.wait(seconds)

    def stop(self, visitor: str, reason: type[StoppedError]) -> None:
        """Stop all tickets of a visitor."""
        with self._changed:
            for ticket in self._tickets:
                if ticket.visitor == visitor:
                    ticket.stop(reason)
            self._changed.notify_all()


class SharedEditor:
    """An editor that runs the edits of all visitors one after another.

    loaded: the result of `load_pipeline` or `find_editor`.
    """

    def __init__(self, loaded: Loaded, limits: Limits) -> None:
        self.loaded = loaded
        self.limits = limits
        self._queue = EditQueue(limits.waiting)
        self._device = threading.Lock()

    @property
    def recommended(self) -> RecommendedSettings | None:
        """Settings that the weights recommend; None for editors other than MimicBrush, which have their own."""
        return self.loaded.network.options.recommended if isinstance(self.loaded, MimicBrushPipeline) else None

    def edit(self, config: EditConfig, *, visitor: str) -> Iterator[Update]:
        """Run an edit and yield reports until the results are written; closing the generator stops the edit.

        Raises the reason given to `stop`, and UserError if the edit is impossible or takes too long.
        """
        with self._queue.join(visitor) as ticket:
            while ahead := self._queue.ahead(ticket):
                yield Waiting(ahead)
                self._queue.wait()
                ticket.check()
            yield from _run_in_thread(lambda report: self._compute(config, ticket, report), ticket)

    def stop(self, visitor: str, reason: type[StoppedError] = StoppedError) -> None:
        """Stop the waiting and running edits of a visitor at their next step."""
        self._queue.stop(visitor, reason)

    def editor_of(self, config: EditConfig) -> Loaded:
        """The editor that answers an edit; called in the thread that computes it."""
        return self.loaded

    def shape_maps(self, image: Tensor, mask: Image.Image | None, **options: object) -> list[Image.Image]:
        """Compute shape maps like the pipeline, while no edit is running."""
        with self._device:
            return self.loaded.shape_maps(image, mask, **options)

    def _compute(self, config: EditConfig, ticket: Ticket, report: Callable[[Update], None]) -> None:
        with self._device:
            watch = _ProgressReporter(ticket, report, self.limits.seconds, keeps_stopped=config.keeps_stopped)
            made = edit(self.editor_of(config), config, portable=True, on_progress=watch)
            try:
                ticket.check()
            except SupersededError:
                raise
            except StoppedError:
                if not watch.has_kept:
                    raise
            report(Written(made[0] if config.keeps_stopped else config))


class _ProgressReporter:
    """Progress callback of an edit, which reports its steps, and raises to stop it.

    keeps_stopped: whether an edit that the visitor or the page's limit stops keeps its result as it is by then.
    """

    def __init__(
        self, ticket: Ticket, report: Callable[[Update], None], max_seconds: float, *, keeps_stopped: bool = False
    ) -> None:
        self.ticket = ticket
        self.report = report
        self.max_seconds = max_seconds
        self.keeps_stopped = keeps_stopped
        self.has_kept = False
        """Whether the edit was stopped and its result kept."""
        self.count = StepCount()
        self.start = self.last_report = monotonic()
        self.preview_seconds = self.last_preview_seconds = 0.0

    def __call__(self, fraction: float, preview: Callable[[], Edited]) -> None:
        number = self.count.number(fraction)
        try:
            self._check(number)
        except SupersededError:
            raise
        except (StoppedError, UserError):
            if not self.keeps_stopped:
                raise
            self.has_kept = True
            raise StoppedEdit(preview(), number) from None
        seconds, total = monotonic() - self.start, self.count.total
        if monotonic() - self.last_report >= REPORT_SECONDS or number in (1, total):
            self.report(Step(number, total, seconds * (1 - fraction) / fraction, *self._draw(preview, seconds)))
            self.last_report = monotonic()

    def _check(self, number: int) -> None:
        """Raise where the visitor has stopped the edit, or it has taken too long."""
        self.ticket.check()
        if monotonic() - self.start > self.max_seconds:
            raise UserError(
                f"stopped at step {number} of {self.count.total} after {self.max_seconds} seconds, the limit of this"
                " page; ask for fewer steps or results"
            )

    def _draw(self, preview: Callable[[], Edited], seconds: float) -> tuple[Image.Image | None, Image.Image | None]:
        """Draw the preview, and its layer, if previews have taken a small share of the edit's time so far."""
        if self.preview_seconds + self.last_preview_seconds > PREVIEW_SHARE * seconds:
            return None, None
        start = monotonic()
        edited = preview()
        layer = edited.layers.get("rgba")
        drawn = to_pil(edited.frames[0]), None if layer is None else to_pil(layer[0])
        self.last_preview_seconds = monotonic() - start
        self.preview_seconds += self.last_preview_seconds
        return drawn


def _run_in_thread(work: Callable[[Callable[[Update], None]], None], ticket: Ticket) -> Iterator[Update]:
    """Run `work` in a thread and yield its reports; its exception is raised here."""
    reports: SimpleQueue[Update | BaseException | None] = SimpleQueue()

    def run() -> None:
        try:
            work(reports.put)
            reports.put(None)
        except BaseException as error:  # raised again in the calling thread
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

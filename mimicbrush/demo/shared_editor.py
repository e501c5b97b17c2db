"""An editor that all visitors share, and reports of its progress, independent of the page."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from queue import SimpleQueue
from time import monotonic
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mimicbrush.demo.config import Limits
from mimicbrush.demo.edit_queue import EditQueue, StoppedError, SupersededError, Ticket
from mimicbrush.demo.live_preview import changed_part
from mimicbrush.edit.config import EditConfig
from mimicbrush.edit.editing import Loaded, StoppedEdit, edit
from mimicbrush.edit.inputs import read_inputs
from mimicbrush.edit.loaded_inputs import Inputs
from mimicbrush.errors import UserError
from mimicbrush.model.config import RecommendedSettings
from mimicbrush.pictures.conversion import to_levels, to_pil
from mimicbrush.pictures.geometry import shrink_to
from mimicbrush.pipeline import MimicBrushPipeline
from mimicbrush.progress import StepCount
from mimicbrush.requests import Edited

PREVIEW_SHARE = 0.15
"""Largest share of an edit's time that is spent on previews."""
REPORT_SECONDS = 0.25
"""Time between two reports, so that a fast network does not wait for the browser."""


COMPARED_SIDE = 640
"""Longer side of the pictures in which changes are looked for, in pixels."""
PART_SIDE, PART_QUALITY = 512, 75
"""Longest side in pixels and quality of previews, which may come several times a second over a slow line."""
ASIDE_SIDE = 384
"""Longer side of what is shown beside the canvas, in pixels."""


class Waiting(NamedTuple):
    """A report while an edit waits in the queue."""

    ahead: int
    """Number of edits before this one, including the running one."""


class Step(NamedTuple):
    """A report after a sampling step."""

    number: int
    total: int
    seconds_left: float | None
    """An estimate; None before the second step, because preparations make the first one longer."""
    part: str | None
    """The changes so far, as a value of the live preview; None if decoding would take too long."""
    picture: Image.Image | None = None
    """Shown beside the canvas: the layer, with alpha, or a frame of a clip."""
    result: int = 1
    """Number of the result that is computed, from 1 on."""
    num_results: int = 1


class Saving(NamedTuple):
    """A report after the last step of a result."""

    result: int = 1
    num_results: int = 1


class Written(NamedTuple):
    """The last report: the results are written."""

    config: EditConfig
    """Describes the results; of an edit that was stopped and kept, as it was by then."""
    note: str = ""
    """Why there are fewer results than were asked for; empty if there are all."""
    hints: tuple[str, ...] = ()
    """Advice of the editor, such as on a small mask."""


Update = Waiting | Step | Saving | Written


class SharedEditor:
    """The editor of a tab, which runs the edits of all visitors one after another.

    loaded: the result of `load_pipeline` or `find_editor`; queue: that of the page, in which the edits of other tabs
    wait, too; None: one for this editor alone.
    """

    def __init__(self, loaded: Loaded, limits: Limits, queue: EditQueue | None = None) -> None:
        self.loaded = loaded
        self.limits = limits
        self.queue = queue or EditQueue(limits.waiting)

    @property
    def recommended(self) -> RecommendedSettings | None:
        """Settings that the weights recommend; None for editors other than MimicBrush, which have their own."""
        return self.loaded.network.options.recommended if isinstance(self.loaded, MimicBrushPipeline) else None

    def edit(self, config: EditConfig, *, visitor: str) -> Iterator[Update]:
        """Run an edit and yield reports until the results are written; closing the generator stops the edit.

        Raises the reason given to `stop`, and UserError if the edit is impossible or takes too long.
        """
        with self.queue.join(visitor, self) as ticket:
            while ahead := self.queue.ahead(ticket):
                yield Waiting(ahead)
                self.queue.wait()
                ticket.check()
            yield from _run_in_thread(lambda report: self._compute(config, ticket, report), ticket)

    def stop(self, visitor: str, reason: type[StoppedError] = StoppedError) -> None:
        """Stop the waiting and running edits of a visitor on this tab at their next step."""
        self.queue.stop(visitor, reason, self)

    def editor_of(self, config: EditConfig) -> Loaded:
        """The editor that answers an edit; called in the thread that computes it."""
        return self.loaded

    def shape_maps(self, image: Tensor, mask: Image.Image | None, **options: object) -> list[Image.Image]:
        """Compute shape maps like the pipeline, while no edit is running."""
        with self.queue.device:
            return self.loaded.shape_maps(image, mask, **options)

    def _compute(self, config: EditConfig, ticket: Ticket, report: Callable[[Update], None]) -> None:
        with self.queue.device:
            inputs, editor = read_inputs(config, portable=True), self.editor_of(config)
            watch = _ProgressReporter(ticket, report, self.limits.seconds, inputs, keeps_stopped=config.keeps_stopped)
            if not config.keeps_stopped:
                report(_edit_in_turn(editor, config, inputs, watch))
                return
            made = edit(editor, config, inputs, portable=True, on_progress=watch, on_hint=watch.hear)
            try:
                ticket.check()
            except SupersededError:
                raise
            except StoppedError:
                if not watch.has_kept:
                    raise
            report(Written(made[0], hints=watch.hints))


def _edit_in_turn(editor: Loaded, config: EditConfig, inputs: Inputs, watch: _ProgressReporter) -> Written:
    """Compute one result after the other, so that each is seen meanwhile; those before a stop are kept."""
    written: list[EditConfig] = []
    try:
        for number, single in enumerate(config.singles, 1):
            watch.begin(number, config.num_images)
            edit(editor, single, inputs, portable=True, on_progress=watch, on_hint=watch.hear)
            written.append(single)
        watch.ticket.check()
    except SupersededError:
        raise
    except (StoppedError, UserError) as error:
        if not written:
            raise
        if len(written) < config.num_images:
            kept = written[0] if len(written) == 1 else replace(config, num_images=len(written))
            reason = str(error) if isinstance(error, UserError) else "stopped"
            return Written(
                kept, f"{reason}; {len(written)} of {config.num_images} results are finished", hints=watch.hints
            )
    return Written(config, hints=watch.hints)


class _ProgressReporter:
    """Progress callback of an edit, which reports its steps, and raises to stop it.

    keeps_stopped: whether an edit that the visitor or the page's limit stops keeps its result as it is by then.
    """

    def __init__(
        self,
        ticket: Ticket,
        report: Callable[[Update], None],
        max_seconds: float,
        inputs: Inputs,
        *,
        keeps_stopped: bool = False,
    ) -> None:
        self.ticket = ticket
        self.report = report
        self.max_seconds = max_seconds
        self.keeps_stopped = keeps_stopped
        self.has_kept = False
        """Whether the edit was stopped and its result kept."""
        self.inputs = inputs
        self.hints: tuple[str, ...] = ()
        self.first: tuple[float, float] | None = None
        """Seconds and share of the work at the first step."""
        self.start = self.last_report = monotonic()
        self.preview_seconds = self.last_preview_seconds = 0.0
        self.begin(1, 1)

    def begin(self, result: int, num_results: int) -> None:
        """Count steps from the first one again, for the next of several results."""
        self.count = StepCount()
        self.result, self.num_results = result, num_results

    def hear(self, hint: str) -> None:
        """Keep advice of the editor, which each of several results repeats."""
        self.hints = tuple(dict.fromkeys([*self.hints, hint]))

    @cached_property
    def _before(self) -> NDArray[np.uint8]:
        """(h, w, 3), what is edited, scaled down."""
        return to_levels(shrink_to(self.inputs.frames[0], COMPARED_SIDE))

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
            left = self._seconds_left(seconds, (self.result - 1 + fraction) / self.num_results)
            drawn, place = self._draw(preview, seconds), (self.result, self.num_results)
            self.report(Step(number, total, left, *drawn, *place))
            self.last_report = monotonic()
        if fraction >= 1:
            self.report(Saving(self.result, self.num_results))

    def _seconds_left(self, seconds: float, share: float) -> float | None:
        """Estimate from the steps after the first one. share: of the work that is done."""
        if self.first is None:
            self.first = seconds, share
        done = share - self.first[1]
        return (seconds - self.first[0]) * (1 - share) / done if done > 0 else None

    def _check(self, number: int) -> None:
        """Raise where the visitor has stopped the edit, or it has taken too long."""
        self.ticket.check()
        if monotonic() - self.start > self.max_seconds:
            raise UserError(
                f"stopped at step {number} of {self.count.total} after {self.max_seconds} seconds, the limit of this"
                " page; ask for fewer steps or results"
            )

    def _draw(self, preview: Callable[[], Edited], seconds: float) -> tuple[str | None, Image.Image | None]:
        """Draw the changed part, and a layer or frame, if previews have taken a small share of the time so far."""
        if self.preview_seconds + self.last_preview_seconds > PREVIEW_SHARE * seconds:
            return None, None
        start = monotonic()
        edited = preview()
        layer, frame = edited.layers.get("rgba"), edited.frames[0]
        aside = frame if self.inputs.clip is not None else None if layer is None else layer[0]
        part = None if self.inputs.clip is not None else self._part(frame)
        drawn = part, None if aside is None else to_pil(shrink_to(aside, ASIDE_SIDE))
        self.last_preview_seconds = monotonic() - start
        self.preview_seconds += self.last_preview_seconds
        return drawn

    def _part(self, frame: Tensor) -> str:
        return changed_part(
            self._before,
            to_levels(shrink_to(frame, COMPARED_SIDE)),
            lambda rows, columns: to_levels(frame[:, rows, columns]),
            tuple(frame.shape[1:]),
            side=PART_SIDE,
            quality=PART_QUALITY,
            icc_profile=self.inputs.icc_profile,
        )


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

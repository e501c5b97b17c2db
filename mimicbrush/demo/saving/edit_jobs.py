"""Edits that go on while their page reloads, and the result panel as it was, for a page that comes back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue

import gradio as gr

from mimicbrush.demo.result_panel import SAME, ResultPanel

RETURN_SECONDS = 60
"""Time after which the edit of a page that was left is stopped; a reload on a slow line takes ten seconds."""
PATIENCE = 5.0
"""Longest time in seconds to wait for a page to take what is new."""
MAX_JOBS = 100
"""Largest number of result panels that are kept for a reload; the oldest go first."""
MAX_NAMES, MAX_NAME = 1000, 64
"""Largest number of open pages whose names are remembered, the oldest go first, and of characters of a session."""

log = logging.getLogger(__name__)


class _Follower:
    """A page that receives the contents of the panel, one after the other."""

    def __init__(self) -> None:
        self.reports: SimpleQueue[ResultPanel | Exception | None] = SimpleQueue()
        self._is_free = threading.Event()
        self.is_gone = False
        """Whether nobody takes what is sent any more."""

    def send(self, report: ResultPanel | Exception | None) -> None:
        self._is_free.clear()
        self.reports.put(report)

    def wait(self) -> None:
        """Wait until the page has taken what was sent; one that was left takes nothing, and is not waited for again."""
        if not self.is_gone and not self._is_free.wait(PATIENCE):
            self.is_gone = True

    def iterate(self) -> Iterator[ResultPanel]:
        """Yield the contents until the edit is over; raise its exception."""
        try:
            while (report := self.reports.get()) is not None:
                if isinstance(report, Exception):
                    raise report
                yield report
                self._is_free.set()
        finally:
            self.leave()

    def leave(self) -> None:
        """Take nothing any more."""
        self.is_gone = True
        self._is_free.set()


class EditJob:
    """An edit that runs in its own thread, whether or not a page follows it.

    panels: yields the contents of the result panel; shown: what the panel showed before.
    """

    def __init__(self, panels: Iterator[ResultPanel], shown: ResultPanel) -> None:
        self.shown = shown
        self.is_over = False
        self._followers: list[_Follower] = []
        self._changed = threading.Lock()
        self._panels = panels

    def start(self) -> Iterator[ResultPanel]:
        """Start the edit, and yield each content of the panel."""
        follower = _Follower()
        self._followers.append(follower)
        threading.Thread(target=self._run, daemon=True).start()
        return follower.iterate()

    def follow(self) -> Iterator[ResultPanel]:
        """Yield the panel as it is now, then each new content until the edit is over."""
        follower = _Follower()
        with self._changed:
            shown = self.shown
            if self.is_over:
                follower.send(None)
            else:
                self._followers.append(follower)
        try:
            yield shown
            yield from follower.iterate()
        finally:  # also where the page is closed before it takes anything else
            follower.leave()

    def _run(self) -> None:
        try:
            for panel in self._panels:
                with self._changed:
                    self.shown = laid_over(self.shown, panel)
                    followers = self._tell(panel)
                # The files of the edit are kept until its pages have them.
                for each in followers:
                    each.wait()
        except Exception as error:
            if all(each.is_gone for each in self._followers):  # otherwise the page's handler raises it
                log.exception("an edit failed, and its page is closed")
            self._tell(error)
        finally:
            with self._changed:
                self.is_over = True
                self._tell(None)

    def _tell(self, report: ResultPanel | Exception | None) -> list[_Follower]:
        followers = list(self._followers)
        for follower in followers:
            follower.send(report)
        return followers


class EditJobs:
    """The last edit of each open page on one tab.

    stop: stops the edits of a visitor. A visitor is a page with a name that it keeps when it reloads; without a name,
    it is a session of Gradio.
    """

    def __init__(self, stop: Callable[[str], None]) -> None:
        self._stop = stop
        self._jobs: dict[str, EditJob] = {}
        self._names: dict[str, str] = {}

    def visitor(self, request: gr.Request) -> str:
        """Name the visitor who sends a request."""
        return self._names.get(request.session_hash, request.session_hash)

    def name(self, request: gr.Request, page: str) -> None:
        """Remember the name of the page that sends a request, unless an edit has begun without it."""
        if page and len(request.session_hash) <= MAX_NAME and request.session_hash not in self._jobs:
            self._names[request.session_hash] = page
            for old in list(self._names)[:-MAX_NAMES]:
                self._names.pop(old, None)

    def start(self, visitor: str, panels: Iterator[ResultPanel]) -> Iterator[ResultPanel]:
        """Start an edit; yield the contents of its result panel. It goes on if the iterator is closed."""
        before = self._jobs.pop(visitor, None)
        job = self._jobs[visitor] = EditJob(panels, before.shown if before else ResultPanel())
        for old in list(self._jobs)[:-MAX_JOBS]:
            if (found := self._jobs.get(old)) and found.is_over:
                self._jobs.pop(old, None)
        return job.start()

    def follow(self, visitor: str) -> Iterator[ResultPanel]:
        """Yield the result panel of a page that came back, also of an edit that goes on."""
        job = self._jobs.get(visitor)
        return iter([ResultPanel()]) if job is None else job.follow()

    def forget(self, visitor: str) -> None:
        """Forget the results of a visitor."""
        self._jobs.pop(visitor, None)

    def leave(self, request: gr.Request) -> None:
        """Stop the edit of a page that was left, unless it comes back in time."""
        visitor = self.visitor(request)
        self._names.pop(request.session_hash, None)
        job = self._jobs.get(visitor)
        if job is None or job.is_over:
            return

        def stop() -> None:
            if visitor not in list(self._names.values()) and self._jobs.get(visitor) is job:
                self._stop(visitor)

        timer = threading.Timer(RETURN_SECONDS, stop)
        timer.daemon = True
        timer.start()


def laid_over(before: ResultPanel, panel: ResultPanel) -> ResultPanel:
    """The panel's contents after a change, which may set some properties of a component, or none."""
    return ResultPanel(*map(_over, before, panel))


def _over(before: object, new: object) -> object:
    if new is SAME or new == SAME:
        return before
    if _is_update(before) and _is_update(new):
        return {**before, **new}
    return new


def _is_update(content: object) -> bool:
    return isinstance(content, dict) and content != SAME

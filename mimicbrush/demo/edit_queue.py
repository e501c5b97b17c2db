"""The queue in which the edits of all tabs and visitors wait."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mimicbrush.errors import UserError

MAX_OF_VISITOR = 2
"""Largest number of edits of one visitor that wait or run, so that nobody fills the queue from one page."""


class StoppedError(Exception):
    """The visitor stopped the edit."""


class SupersededError(StoppedError):
    """The visitor chose another picture, so the edit of the former one ended."""


class Ticket:
    """A place in the queue. tab: the editor of the tab that asks; None where there is one alone."""

    def __init__(self, visitor: str, tab: object = None) -> None:
        self.visitor = visitor
        self.tab = tab
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
    """A queue of edits that run one at a time, in the order of their requests; a page has one for all of its tabs."""

    def __init__(self, max_waiting: int) -> None:
        self.max_waiting = max_waiting
        self.device = threading.Lock()
        """Held by whatever is computed, also beside the edits."""
        self._tickets: list[Ticket] = []
        self._changed = threading.Condition()

    @contextmanager
    def join(self, visitor: str, tab: object = None) -> Iterator[Ticket]:
        """Yield a ticket that is valid within the block; raises UserError if the queue or the visitor has too many.

        visitor: an open page; somebody who opens several counts as several.
        """
        with self._changed:
            if sum(ticket.visitor == visitor for ticket in self._tickets) >= MAX_OF_VISITOR:
                raise UserError(f"{MAX_OF_VISITOR} of your edits are waiting or running; wait for one, or stop it")
            if len(self._tickets) > self.max_waiting:
                raise UserError(f"{self.max_waiting} edits are waiting already; try again in a few minutes")
            ticket = Ticket(visitor, tab)
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

    def stop(self, visitor: str, reason: type[StoppedError], tab: object = None) -> None:
        """Stop all tickets of a visitor on a tab."""
        with self._changed:
            for ticket in self._tickets:
                if ticket.visitor == visitor and ticket.tab is tab:
                    ticket.stop(reason)
            self._changed.notify_all()

"""The queue before the editor that all visitors share."""

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

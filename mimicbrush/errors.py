"""Exceptions for mistakes of the user, for inputs that are skipped, and for SIGTERM, and their messages.

Every command reports a mistake once. Mistakes that are found before the work begins are refused together, in one list;
mistakes found during the work are printed at once, or in a table at the end, and the last line only counts them.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class UserError(ValueError):
    """A mistake of the user: the message says what was expected, what was found, and what to do.

    The message of several mistakes, `UserError(*faults)`, is a list of lines that begin with `- `.
    """

    def __init__(self, *faults: str) -> None:
        super().__init__(as_list(faults))
        self.faults = faults
        """A message for each mistake."""


class Faults:
    """Collects mistakes in a user's input, so that one error lists all of them."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, fault: str) -> None:
        self.found.append(fault)

    def check(self, holds: bool, fault: str) -> None:
        """Add the fault unless the condition holds."""
        if not holds:
            self.add(fault)

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Add the mistakes that the block raises, and continue after the block."""
        try:
            yield
        except UserError as error:
            self.found += error.faults

    def refuse(self) -> None:
        """Raise a UserError if any mistake was added."""
        if self.found:
            raise UserError(*self.found)


def as_list(faults: Sequence[str], *, indent: str = "") -> str:
    """Return a single fault unchanged, and several as a list, an indented line each, under their number."""
    if len(faults) == 1:
        return faults[0]
    return "\n".join([f"{len(faults)} faults:", *(f"{indent}- {fault}" for fault in faults)])


class UnusableInput(Exception):  # noqa: N818 - it describes the input, and is counted rather than reported
    """A clip, still, photograph or prompt that cannot be used: it is skipped, named, and counted by its reason.

    reason: a slug to count by; detail: a sentence.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple:
        # Exceptions are pickled with what `super().__init__` received; workers send this one to the main process.
        return UnusableInput, (self.reason, self.detail)


class Terminated(SystemExit):
    """SIGTERM asked the process to end: raised in the main thread, so that it cleans up."""

    def __init__(self, status: int = 143) -> None:
        super().__init__(status)


def some_of(names: Sequence[object], most: int = 3) -> str:
    """Join names as `a, b, c and 4 more`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more


def quoted(value: object, most: int = 60) -> str:
    """Quote a value in a message; the middle of a long one is left out, so that its quotes or brackets are closed."""
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 4]}...{text[-1]}"


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or the error's class if it has no message."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def spaced(number: int) -> str:
    """Write a large number with spaces: 12345 becomes `12 345`."""
    return f"{number:,}".replace(",", " ")


def describe_reasons(counts: Mapping[str, int]) -> str:
    """Join the counts of reasons as `120 too_short, 68 unreadable`, in the given order."""
    return ", ".join(f"{spaced(count)} {reason}" for reason, count in counts.items())


def end_with_error(error: UserError) -> NoReturn:
    """Print one line, or a list, and exit with status 2."""
    # An error from a process of the data loader is wrapped in a traceback that ends with the message.
    message = str(error).rpartition(f"{UserError.__name__}: ")[2]
    print(f"error: {_unwrapped(message)}", file=sys.stderr)
    raise SystemExit(2) from None


def _unwrapped(message: str) -> str:
    """Join the lines of a message from a library; the items of a list keep their own lines."""
    import re  # imported late: a command imports this module before it handles Ctrl-C

    items = re.split(r"\n(?= *- )", message)
    indents = [item[: len(item) - len(item.lstrip())] for item in items]
    return "\n".join(indent + " ".join(item.split()) for indent, item in zip(indents, items, strict=True))

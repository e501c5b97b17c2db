"""Inputs that cannot be used: they are skipped, named and counted by reason; the command goes on with the others."""

from __future__ import annotations

from collections.abc import Mapping

from mimicbrush.errors import spaced


class UnusableInput(Exception):  # noqa: N818 - it says what the input is, and is counted rather than reported
    """A clip, still, photograph or prompt that gives nothing: `reason` is a slug to count by, `detail` a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple:
        # Exceptions are pickled with what `super().__init__` received; workers send this one to the main process.
        return UnusableInput, (self.reason, self.detail)


def describe_reasons(counts: Mapping[str, int]) -> str:
    """`120 too_short, 68 unreadable`, in the order given."""
    return ", ".join(f"{spaced(count)} {reason}" for reason, count in counts.items())

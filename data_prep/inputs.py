"""What a sharding command says of an input that it cannot use."""

from __future__ import annotations


class UnreadableInput(Exception):  # noqa: N818 - it says what the input is, and is counted rather than reported
    """A clip or a still that gives no sample: `reason` is a slug to count by, `detail` a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple:
        return UnreadableInput, (self.reason, self.detail)

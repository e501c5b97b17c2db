"""Progress of an edit whose parts are tuning, inversion, masks and sampling, in passes of the network."""

from __future__ import annotations

from collections.abc import Callable

from mimicbrush.requests import Edited, OnProgress


class WorkProgress:
    """Reports the finished share of all passes.

    later: passes apart from those of the clip's preparation; at_most: passes of the preparation, until `begin` says how
    many are left to do, once the clip's folder shows how much is done already.
    """

    def __init__(self, on_progress: OnProgress | None, *, later: int, at_most: int) -> None:
        self.on_progress = on_progress
        self.at_most = at_most
        self.total = later + at_most
        self.done = 0

    def begin(self, num_passes: int) -> None:
        self.total += num_passes - self.at_most

    def advance(self, num_passes: int, preview: Callable[[], Edited]) -> None:
        self.done += num_passes
        # The last share is reported with the result.
        if self.on_progress is not None and self.done < self.total:
            self.on_progress(self.done / self.total, preview)

    def finish(self, edited: Edited) -> None:
        if self.on_progress is not None:
            self.on_progress(1.0, lambda: edited)

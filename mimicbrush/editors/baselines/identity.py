"""The editor that returns its source, and the report of an edit that is finished at once."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mimicbrush.requests import Edited, Editor, EditRequest, OnProgress


class Identity(Editor):
    """Returns the source, the ground truth on the inner-ID track; on other tracks it edits nothing."""

    request_class = EditRequest

    def edit(self, request: EditRequest, *, on_progress: OnProgress | None = None) -> Edited:
        return finish(request.source.clone(), on_progress)


def finish(frames: Tensor, on_progress: OnProgress | None, layers: Mapping[str, Tensor] | None = None) -> Edited:
    """Wrap the frames, and report the edit as finished: baselines take no steps."""
    edited = Edited(frames, layers or {})
    if on_progress is not None:
        on_progress(1.0, lambda: edited)
    return edited

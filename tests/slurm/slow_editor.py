"""An editor slow enough to be interrupted."""

from __future__ import annotations

import time

from mimicbrush.editors.baselines import ReferencePaste
from mimicbrush.requests import Edited, OnProgress, ReferenceRequest


class SlowPaste(ReferencePaste):
    """Pastes the reference, and sleeps a second over it."""

    def edit(self, request: ReferenceRequest, *, on_progress: OnProgress | None = None) -> Edited:
        time.sleep(1)
        return super().edit(request, on_progress=on_progress)

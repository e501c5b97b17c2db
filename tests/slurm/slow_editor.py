"""An editor slow enough to be interrupted."""

from __future__ import annotations

import time

from torch import Tensor

from mimicbrush.editors.baselines import ReferencePaste
from mimicbrush.requests import ReferenceRequest


class SlowPaste(ReferencePaste):
    """Pastes the reference, and sleeps a second over it."""

    def edit(self, request: ReferenceRequest) -> Tensor:
        time.sleep(1)
        return super().edit(request)

"""An editor that draws a layer step by step, whose edits may be stopped and resumed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import torch

from mimicbrush.requests import Edited, LayerRequest, OnProgress, ResumableEditor

RED = (1.0, 0.0, 0.0)


class RedLayer(ResumableEditor):
    """Draws a red layer, in ten steps of equal opacity; a mask limits it."""

    request_class = LayerRequest
    before_step: ClassVar[Callable[[int], None]] = staticmethod(lambda step: None)
    """Called with the number of each step; tests stop or slow an edit down here."""

    def __init__(self, num_steps: int = 10) -> None:
        self.num_steps = num_steps

    def edit(
        self, request: LayerRequest, *, on_progress: OnProgress | None = None, run_folder: Path | None = None
    ) -> Edited:
        state = run_folder and run_folder / "step"
        first = int(state.read_text()) + 1 if state and state.is_file() else 1
        for step in range(first, self.num_steps + 1):
            type(self).before_step(step)
            if state:
                run_folder.mkdir(exist_ok=True)
                state.write_text(str(step))
            if on_progress:
                on_progress(step / self.num_steps, lambda step=step: self._draw(request, step))
        return self._draw(request, self.num_steps)

    def _draw(self, request: LayerRequest, step: int) -> Edited:
        place = torch.ones_like(request.source[:, :1]) if request.mask is None else request.mask
        opacity = place * step / self.num_steps
        red = torch.tensor(RED).reshape(1, 3, 1, 1).expand_as(request.source)
        rgba = torch.cat([red, opacity], dim=1)
        return Edited(torch.lerp(request.source, red, opacity), {"rgba": rgba, "opacity": opacity})

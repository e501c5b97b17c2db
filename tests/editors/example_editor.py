"""The smallest editor: everything that a new method has to bring."""

from __future__ import annotations

import torch

from mimicbrush.requests import Edited, Editor, OnProgress, TextRequest


class GreyByWords(Editor):
    """Fills the mask with a grey as bright as the prompt is long, in two steps, and returns it as a layer, too."""

    request_class = TextRequest

    def __init__(self, levels_per_letter: int = 1) -> None:
        self.level = levels_per_letter / 255

    def edit(self, request: TextRequest, *, on_progress: OnProgress | None = None) -> Edited:
        grey = torch.full_like(request.source, len(request.prompt) * self.level)
        frames, layer = torch.where(request.mask > 0.5, grey, request.source), torch.cat([grey, request.mask], dim=1)
        result = Edited(frames, {"rgba": layer})
        for step in (1, 2) if on_progress else ():
            on_progress(step / 2, lambda: result)
        return result

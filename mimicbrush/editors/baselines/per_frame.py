"""Editing a clip frame by frame by an editor for pictures: the baseline of every editor for clips."""

from __future__ import annotations

import torch

from mimicbrush.config import instantiate
from mimicbrush.errors import UserError
from mimicbrush.requests import (
    Edited,
    Editor,
    EditRequest,
    LayerRequest,
    MaskedRequest,
    OnProgress,
    ReferenceRequest,
    TextRequest,
    VideoRequest,
    share_of,
)


class PerFrame(Editor):
    """Edits each frame of a clip by itself, by an editor for pictures that knows nothing of the other frames.

    The editor receives the target picture as its reference, and the prompts. Every frame has the same seed.
    editor: its class_path, and init_args if it needs any.
    """

    request_class = VideoRequest

    def __init__(self, editor: dict) -> None:
        if not isinstance(editor.get("class_path"), str) or not set(editor) <= {"class_path", "init_args"}:
            raise UserError(f"editor is {editor}, expected class_path: DOTTED.PATH and, if needed, init_args: {{...}}")
        self.editor = instantiate(editor["class_path"], editor.get("init_args", {}), Editor)
        if not any(issubclass(kind, self.editor.request_class) for kind in FRAME_REQUESTS):
            kind = self.editor.request_class.__name__
            raise UserError(f"{editor['class_path']} answers a {kind}, which a frame of a clip cannot fill")

    def edit(self, request: VideoRequest, *, on_progress: OnProgress | None = None) -> Edited:
        edits, total = [], len(request.source)
        for number in range(total):
            share = on_progress and share_of(on_progress, number, total)
            edits.append(self.editor.edit(self._frame_request(request, number), on_progress=share))
        shared = set.intersection(*(set(edited.layers) for edited in edits))
        layers = {name: torch.cat([edited.layers[name] for edited in edits]) for name in sorted(shared)}
        return Edited(torch.cat([edited.frames for edited in edits]), layers)

    def _frame_request(self, request: VideoRequest, number: int) -> EditRequest:
        kind = next(kind for kind in FRAME_REQUESTS if issubclass(kind, self.editor.request_class))
        given: dict = {"source": request.source[number : number + 1], "seed": request.seed, "id": request.id}
        mask = None if request.mask is None else request.mask[number : number + 1]
        if issubclass(kind, MaskedRequest) and mask is None:
            raise UserError("editing frame by frame needs the clip's mask; give one")
        if kind is LayerRequest:
            return LayerRequest(
                **given, prompts=(request.target_prompt,), source_prompts=(request.source_prompt,), mask=mask
            )
        if kind is TextRequest:
            return TextRequest(**given, mask=mask, prompt=request.target_prompt)
        if kind is ReferenceRequest:
            return ReferenceRequest(**given, mask=mask, reference=request.target_image)
        return EditRequest(**given)


FRAME_REQUESTS = (EditRequest, ReferenceRequest, TextRequest, LayerRequest)
"""Kinds of requests that a frame can fill, the first that fits an editor is used."""

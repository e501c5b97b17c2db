"""Moving an object by a flow, and repainting what it uncovers by another editor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mimicbrush.config import instantiate
from mimicbrush.editors.move_and_repaint.matting import cut_out, grown
from mimicbrush.editors.move_and_repaint.settings import MoveAndRepaintSettings
from mimicbrush.errors import UserError
from mimicbrush.flow.motion_masks import check_motion, describe_motion, moving_pixels
from mimicbrush.flow.warping import move_layer
from mimicbrush.pictures.classical_inpainting import fill_hole
from mimicbrush.pictures.conversion import draw_over
from mimicbrush.pictures.geometry import resize
from mimicbrush.requests import (
    Edited,
    Editor,
    MaskedRequest,
    MotionRequest,
    OnProgress,
    ReferenceRequest,
    TextRequest,
    check_answers,
)

OPAQUE = 0.999
"""Opacity of a layer from which nothing behind it shows."""
DEFAULT_INPAINTER = "mimicbrush.editors.baselines.ClassicalInpainting"
REPAINT_REQUESTS = (ReferenceRequest, TextRequest, MaskedRequest)
"""Kinds of requests that can ask for the background; the first that fits the inpainter is used."""


class Move(NamedTuple):
    """A request's object at its new place, and what is to be repainted."""

    request: MotionRequest
    layer: Tensor
    """(1, 4, H, W), the object's colours and opacity."""
    hole: Tensor
    """(1, 1, H, W), 1 where the background is repainted."""
    shown: Tensor
    """(1, 3, H, W), the picture of which the inpainter repaints the hole."""
    reference: Tensor
    """(3, H, W), what a reference's inpainter imitates: the source, with the object filled from around it."""


class MoveAndRepaintEditor(Editor):
    """Cuts out what the flow moves, draws it at its new place, and has what it uncovers repainted by another editor.

    An inpainter that receives a reference (the source without the object) or a prompt also sees the object at its new
    place, and repaints a border around it. One that only continues what is beside the hole would continue the object as
    well: it receives the source with a hole in the object's place. In both cases the object is drawn over what was
    painted.

    inpainter: an editor of masked pictures, in YAML by its class_path and init_args; None: classical inpainting, which
    needs no weights; settings: widths of borders.
    """

    request_class = MotionRequest

    def __init__(self, inpainter: Editor | None = None, *, settings: MoveAndRepaintSettings | None = None) -> None:
        inpainter = inpainter or instantiate(DEFAULT_INPAINTER, {}, Editor)
        kinds = [kind for kind in REPAINT_REQUESTS if issubclass(kind, inpainter.request_class)]
        if not kinds:
            raise UserError(
                f"inpainter {type(inpainter).__name__} answers a {inpainter.request_class.__name__}, expected an editor"
                " that repaints the masked part of a picture"
            )
        self.inpainter, self.settings = inpainter, settings or MoveAndRepaintSettings()
        self.kind = kinds[0]
        self.is_guided = MaskedRequest not in kinds

    def edit(self, request: MotionRequest, *, on_progress: OnProgress | None = None) -> Edited:
        return self.edit_batch([request], on_progress=on_progress)[0]

    def edit_batch(self, requests: Sequence[MotionRequest], *, on_progress: OnProgress | None = None) -> list[Edited]:
        """Edit all requests; what they uncover is repainted together."""
        moves = [self._move(request) for request in requests]
        asked = [self._repaint_request(move) for move in moves if move.hole.any()]
        report = on_progress and (lambda share, preview: on_progress(share, lambda: _preview(moves, preview())))
        painted = iter(())
        if asked:  # not every editor answers an empty batch
            painted = iter(check_answers(self.inpainter, self.inpainter.edit_batch(asked, on_progress=report), asked))
        return [_finish(move, next(painted).frames if move.hole.any() else move.shown) for move in moves]

    def margin_of(self, height: int, width: int) -> int:
        """Pixels around the object in which pixels change, in a picture of this size."""
        return self.settings.margin_of(height, width)

    def hints(self, request: MotionRequest) -> list[str]:
        """Advice for a motion that works, but perhaps not as meant."""
        return describe_motion(request.flow, request.mask)

    def _move(self, request: MotionRequest) -> Move:
        """Cut the object out, move it, and find what is to be repainted."""
        check_motion(request.flow, request.mask)
        object_mask, margin = moving_pixels(request.flow), self.settings.margin_of(*request.flow.shape[2:])
        cutout = cut_out(request.source, object_mask, margin=margin)
        layer = move_layer(cutout.colours, cutout.opacity, request.flow)
        opacity, left = layer[:, 3:], grown(object_mask, margin)
        if not self.is_guided and not left.all():
            return Move(request, layer, left.to(layer), request.source, request.source[0])
        around = grown(opacity > 0, self.settings.border) if self.settings.border and self.is_guided else False
        hole = (left | around) & (opacity < OPAQUE)
        # Editors blend their result with what is in the hole near its edge, which must not be the object, and would
        # imitate an object that the reference shows in the place of the hole.
        background = request.source if left.all() else fill_hole(request.source[0], left[0, 0])[None]
        return Move(request, layer, hole.to(layer), draw_over(layer, background), background[0])

    def _repaint_request(self, move: Move) -> MaskedRequest:
        request = move.request
        given = {"source": move.shown, "mask": move.hole, "seed": request.seed, "id": request.id}
        if self.kind is ReferenceRequest:
            return ReferenceRequest(**given, reference=move.reference)
        if self.kind is TextRequest:
            return TextRequest(**given, prompt=request.prompt)
        return MaskedRequest(**given)


def _finish(move: Move, painted: Tensor) -> Edited:
    """Draw the object over the painted background; pixels outside the request's mask keep the source's values."""
    request, opacity = move.request, move.layer[:, 3:]
    mask = torch.maximum(opacity, move.hole)
    if request.mask is not None:
        mask = mask * (request.mask > 0.5)
    frames = torch.where(mask > 0, draw_over(move.layer, painted.to(move.layer)), request.source)
    return Edited(frames, {"mask": mask, "warped": draw_over(move.layer, request.source)})


def _preview(moves: Sequence[Move], shown: Edited) -> Edited:
    """The first edit as it is now, whose background the inpainter shows."""
    first = next(move for move in moves if move.hole.any())
    return _finish(first, resize(shown.frames, *first.layer.shape[2:]))

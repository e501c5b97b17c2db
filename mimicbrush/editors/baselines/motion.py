"""Baselines that move an object by the flow that is asked for, without a network."""

from __future__ import annotations

import torch
from torch import Tensor

from mimicbrush.editors.baselines.identity import finish
from mimicbrush.editors.baselines.repaint import ClassicalInpainting
from mimicbrush.errors import UserError
from mimicbrush.flow.config import MARGIN
from mimicbrush.flow.motion_masks import moving_pixels, propose_mask
from mimicbrush.flow.plain_warp import moved_object
from mimicbrush.pictures.conversion import draw_over
from mimicbrush.pictures.mask_geometry import grow
from mimicbrush.requests import Edited, Editor, MaskedRequest, MotionRequest, OnProgress


class PlainWarp(Editor):
    """Moves the pixels whose flow is not zero and leaves what they uncover unchanged, so the object appears twice."""

    request_class = MotionRequest

    def edit(self, request: MotionRequest, *, on_progress: OnProgress | None = None) -> Edited:
        layer = moved_object(request.source, request.flow)
        return finish(_composite(layer, request.source, request), on_progress, {"mask": layer[:, 3:]})


class WarpAndInpaint(Editor):
    """Moves the pixels whose flow is not zero, and fills what they leave by classical inpainting (Telea).

    margin: pixels around the object that are filled as well, because its border shows in them.
    """

    request_class = MotionRequest

    def __init__(self, margin: int = MARGIN) -> None:
        if margin < 0:
            raise UserError(f"margin is {margin}, expected 0 pixels or more")
        self.margin = margin

    def margin_of(self, height: int, width: int) -> int:
        """Pixels around the object and its new place in the proposed mask."""
        return self.margin

    def edit(self, request: MotionRequest, *, on_progress: OnProgress | None = None) -> Edited:
        layer, moving = moved_object(request.source, request.flow), moving_pixels(request.flow)
        left = torch.from_numpy(grow(moving[0, 0].cpu().numpy(), self.margin))[None, None].to(request.source)
        filled = ClassicalInpainting().edit(MaskedRequest(source=request.source, mask=left)).frames
        proposed = propose_mask(request.flow, margin=self.margin)
        return finish(_composite(layer, filled, request), on_progress, {"mask": proposed})


def _composite(layer: Tensor, background: Tensor, request: MotionRequest) -> Tensor:
    """Draw the layer over the background; pixels outside the request's mask keep the source's values."""
    edited = draw_over(layer, background)
    return edited if request.mask is None else torch.where(request.mask > 0.5, edited, request.source)

"""Baselines that move a thing by the flow that is asked for, without a network."""

from __future__ import annotations

import torch
from torch import Tensor

from mimicbrush.editors.baselines.identity import finish
from mimicbrush.editors.baselines.repaint import ClassicalInpainting
from mimicbrush.errors import UserError
from mimicbrush.flow.warping import move_layer
from mimicbrush.pictures.mask_geometry import grow
from mimicbrush.requests import Edited, Editor, MaskedRequest, MotionRequest, OnProgress


class PlainWarp(Editor):
    """Moves the pixels whose flow is not zero and leaves what they uncover unchanged, so the object appears twice."""

    request_class = MotionRequest

    def edit(self, request: MotionRequest, *, on_progress: OnProgress | None = None) -> Edited:
        layer = _moved_thing(request)
        return finish(_composite(layer, request.source, request), on_progress, {"mask": layer[:, 3:]})


class WarpAndInpaint(Editor):
    """Moves the pixels whose flow is not zero, and fills what they leave by classical inpainting (Telea).

    margin: pixels around the thing that are filled as well, because its border shows in them.
    """

    request_class = MotionRequest

    def __init__(self, margin: int = 2) -> None:
        if margin < 0:
            raise UserError(f"margin is {margin}, expected 0 pixels or more")
        self.margin = margin

    def edit(self, request: MotionRequest, *, on_progress: OnProgress | None = None) -> Edited:
        layer, thing = _moved_thing(request), _moving(request.flow)
        left = torch.from_numpy(grow(thing[0, 0].cpu().numpy(), self.margin))[None, None].to(request.source)
        filled = ClassicalInpainting().edit(MaskedRequest(source=request.source, mask=left)).frames
        proposed = torch.maximum(layer[:, 3:], left)
        return finish(_composite(layer, filled, request), on_progress, {"mask": proposed})


def _moving(flow: Tensor) -> Tensor:
    """Pixels that are to move, (1, 1, H, W) of bool."""
    return (flow != 0).any(dim=1, keepdim=True)


def _moved_thing(request: MotionRequest) -> Tensor:
    """The thing at its new place, (1, 4, H, W), as colours and opacity."""
    return move_layer(request.source, _moving(request.flow), request.flow)


def _composite(layer: Tensor, background: Tensor, request: MotionRequest) -> Tensor:
    """Draw the layer over the background; pixels outside the request's mask keep the source's values."""
    colours, opacity = layer.split([3, 1], dim=1)
    edited = opacity * colours + (1 - opacity) * background
    return edited if request.mask is None else torch.where(request.mask > 0.5, edited, request.source)

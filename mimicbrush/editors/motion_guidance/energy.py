"""The energy that guides: how far a picture is from showing the motion that is asked for (paper, section 3.2)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mimicbrush.editors.motion_guidance.settings import MotionGuidanceSettings, Occlusion
from mimicbrush.flow.estimator import FlowEstimator
from mimicbrush.flow.motion_masks import moving_pixels
from mimicbrush.flow.warping import move_layer, pixel_grid, points_inside


class EnergyTerms(NamedTuple):
    """The energy of one picture, and its parts before they are weighted; scalars."""

    total: Tensor
    flow: Tensor
    colour: Tensor


class MotionEnergy:
    """Measures a picture (1, 3, H, W) in [0, 1], which may leave that range, against the source and the flow.

    source: (1, 3, H, W) in [0, 1]; target: (1, 2, H, W) in pixels on the source's grid; estimator: may be None where
    the settings need none.
    """

    def __init__(
        self,
        source: Tensor,
        target: Tensor,
        *,
        estimator: FlowEstimator | None,
        settings: MotionGuidanceSettings,
    ) -> None:
        self.source = source
        self.target = target
        self.estimator = estimator
        self.settings = settings
        self.visible = visible_pixels(target, settings.occlusion).to(source)

    def __call__(self, picture: Tensor) -> EnergyTerms:
        settings = self.settings
        # The flow is not detached: the colour loss pulls on it as well, as in the release.
        estimated = self.estimator(self.source, picture) if settings.needs_flow_network else self.target
        flow_loss = (self.target - estimated).abs().mean()
        by = self.target if settings.colour_flow == "target" else estimated
        # The mean is over all pixels, hidden ones included, as in the release.
        colour_loss = (self.visible * (self.source - warp(picture, by))).abs().mean()
        return EnergyTerms(
            settings.flow_weight * flow_loss + settings.colour_weight * colour_loss, flow_loss, colour_loss
        )


def warp(picture: Tensor, flow: Tensor) -> Tensor:
    """Look up each pixel where its flow points to, bilinearly; points outside are reflected, as in the release.

    picture: (B, C, H, W); flow: (B, 2, H, W). The arithmetic is the release's to the bit, on whose rounding
    `released_occlusion` depends.
    """
    height, width = flow.shape[2:]
    places = pixel_grid(height, width, dtype=flow.dtype).to(flow.device) + flow
    last = torch.tensor([width - 1, height - 1], dtype=flow.dtype, device=flow.device)[:, None, None]
    grid = (-1 + 2 * places / last).permute(0, 2, 3, 1)
    return F.grid_sample(picture, grid, mode="bilinear", padding_mode="reflection", align_corners=True)


def visible_pixels(flow: Tensor, occlusion: Occlusion) -> Tensor:
    """Pixels of the source that the moved picture still shows, (1, 1, H, W) of bool."""
    match occlusion:
        case "none":
            return torch.ones_like(flow[:, :1], dtype=torch.bool)
        case "released":
            return ~released_occlusion(flow)
        case _:
            moving = moving_pixels(flow)
            covered = (move_layer(moving.to(flow), moving, flow)[:, -1:] > 0) & ~moving
            return ~covered & points_inside(flow)


def released_occlusion(flow: Tensor) -> Tensor:
    """Hidden pixels by the release's rule, (1, 1, H, W) of bool: still ones on which pixels of another flow land.

    They are found by the gradient of the flow, looked up where it points to. Comparing exactly, it counts neighbours
    that rounding reaches, and pixels that leave the picture hide those that they are reflected to.
    """
    looked_up = flow.detach().clone().requires_grad_()
    with torch.enable_grad():
        warped = warp(looked_up, looked_up)
        (gradient,) = torch.autograd.grad((warped * (warped != looked_up).detach()).sum(), looked_up)
    hidden, moves = (gradient != 0).any(dim=1, keepdim=True), (flow != 0).any(dim=1, keepdim=True)
    return hidden & ~moves

"""FLOW_METRICS: realised motion and flicker by optical flow that a network estimates in the edits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mimicbrush.evaluation.config import MetricName
from mimicbrush.evaluation.metrics.flow_network import PictureFlow
from mimicbrush.evaluation.metrics.metric import CLIPS, TRUTH, Compute, Metric
from mimicbrush.evaluation.metrics.models import Models
from mimicbrush.evaluation.metrics.score import EditedPicture, FollowingFrame, NotComputableError, score_each
from mimicbrush.evaluation.metrics.truth import true_object
from mimicbrush.flow.estimator import MIN_SIDE
from mimicbrush.flow.motion_masks import moving_pixels
from mimicbrush.flow.warping import find_occlusions, points_inside, warp_backward

NETWORK = "flow"


def realised_motion_error(edit: EditedPicture, flow: PictureFlow) -> float:
    """Mean distance in pixels of the flow from source to edit and the one asked for, over the object's points.

    Points that the flow moves out of the picture are left out.
    """
    if edit.asked_flow is None:
        raise NotComputableError("the sample has no flow that is asked for")
    asked = torch.from_numpy(edit.asked_flow)[None]
    judged = (moving_pixels(asked) & points_inside(asked))[0, 0].numpy()
    return _end_point_error(_estimate(flow, edit.source, edit.edited), asked, judged)


def frame_motion_error(edit: EditedPicture, flow: PictureFlow) -> float:
    """Mean distance in pixels of the flow from this frame of the edit to the next and the truth's exact flow.

    Over the points of the true object that both frames of the truth show.
    """
    following = _following(edit)
    found = _estimate(flow, edit.edited, following.edited)
    return _end_point_error(found, torch.from_numpy(following.flow)[None], true_object(edit) & following.visible)


def estimated_warp_error(edit: EditedPicture, flow: PictureFlow) -> float:
    """Mean difference, in grey levels, of this frame and the next one, which their own estimated flow warps back.

    Over the whole picture but points that forward and backward flow show to be hidden; needs no truth.
    """
    following = _following(edit)
    forward, backward = (
        _estimate(flow, *pair) for pair in ((edit.edited, following.edited), (following.edited, edit.edited))
    )
    shown = ~find_occlusions(forward, backward)[0, 0].numpy()
    if not shown.any():
        raise NotComputableError("the estimated flow shows no point in both frames")
    warped = warp_backward(_channels(following.edited), forward)[0].permute(1, 2, 0).numpy()
    return float(np.abs(255 * warped - edit.edited)[shown].mean())


def _following(edit: EditedPicture) -> FollowingFrame:
    if edit.following is None:
        raise NotComputableError("there is no next frame")
    return edit.following


def _estimate(flow: PictureFlow, first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Tensor:
    if min(first.shape[:2]) < MIN_SIDE:
        raise NotComputableError(f"flow is estimated from {MIN_SIDE} pixels a side")
    return flow.between(first, second)


def _channels(picture: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255


def _end_point_error(found: Tensor, exact: Tensor, judged: NDArray[np.bool_]) -> float:
    if not judged.any():
        raise NotComputableError("no point of the object is seen before and after it moves")
    return float((found - exact).norm(dim=1)[0].numpy()[judged].mean())


def _compute(function: Callable[[EditedPicture, PictureFlow], float]) -> Compute:
    def compute(edits: Sequence[EditedPicture], models: Models) -> list:
        flow: PictureFlow = models.load(NETWORK)
        return score_each(lambda edit: function(edit, flow), edits)

    return compute


SHARED = {"better": "lower", "tracks": TRUTH, "model": NETWORK, "looks_inside": False}
FLOW_METRICS: dict[MetricName, Metric] = {
    "realised_motion_error": Metric(
        **SHARED,
        title="Realised motion error",
        unit="pixels",
        tasks=frozenset({"motion"}),
        meaning="mean distance of the flow that the network estimates from source to edit and the flow that was asked "
        "for, over the points of the object that stay in sight; the truth itself scores the network's own error",
        compute=_compute(realised_motion_error),
    ),
    "frame_motion_error": Metric(
        **SHARED,
        title="Motion error between frames",
        unit="pixels",
        tasks=frozenset({"video"}),
        meaning="mean distance of the flow that the network estimates from each frame of the edit to the next and the "
        "truth's exact flow, over the points of the true object that both show",
        compute=_compute(frame_motion_error),
    ),
    "estimated_warp_error": Metric(
        **SHARED | {"tracks": TRUTH | CLIPS},
        title="Warp error by estimated flow",
        unit="levels",
        tasks=frozenset({"video"}),
        meaning="mean difference, in grey levels of 255, of each frame and the next one warped back by the flow that "
        "the network estimates between them, over the whole picture but hidden points; needs no truth, and a still "
        "edit scores about 0",
        compute=_compute(estimated_warp_error),
    ),
}
"""Metrics by estimated flow, in the order of the tables."""

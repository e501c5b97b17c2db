"""Realised motion and flicker: here, by an estimator that sees one shift, or none."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mimicbrush.evaluation.metrics.flow_network import PictureFlow
from mimicbrush.evaluation.metrics.models import Models
from mimicbrush.evaluation.metrics.score import EditedPicture, FollowingFrame
from mimicbrush.flow.classical_flow import dis_flow
from tests.evaluation.metrics.edits import TRUE_BOX, make_true_edit, score, value


def models_that_see(right: float, down: float = 0.0) -> Models:
    """Networks whose flow is the same everywhere, and of the opposite sign from a bright picture to a dark one."""
    models = Models(device="cpu")

    def estimate(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        sign = -1 if first.mean() > second.mean() else 1
        return sign * torch.tensor([right, down])[None, :, None, None].expand(-1, -1, *first.shape[2:])

    models._loaded["flow"] = PictureFlow(estimate)
    return models


def asked(right: float) -> np.ndarray:
    flow = np.zeros((2, 48, 60), np.float32)
    flow[0][TRUE_BOX] = right
    return flow


def shifted_frames(right: int) -> EditedPicture:
    """A frame whose next one is a little brighter and moved to the right as a whole."""
    edit = make_true_edit()
    calm = (100 + edit.edited // 8).astype(np.uint8)
    flow = np.full((2, 48, 60), 0, np.float32)
    flow[0] = right
    following = FollowingFrame(edited=np.roll(calm, right, axis=1) + 2, flow=flow, visible=np.ones((48, 60), bool))
    return edit._replace(edited=calm, following=following)


@pytest.mark.parametrize(("seen", "expected"), [(4.0, 0), (1.0, 3), (0.0, 4)])
def test_realised_motion_is_compared_with_the_one_asked_for(seen, expected):
    edit = make_true_edit(asked_flow=asked(4.0), edited=np.full((48, 60, 3), 255, np.uint8))
    assert value(edit, "realised_motion_error", models_that_see(seen)) == pytest.approx(expected)


def test_the_flow_from_source_to_edit_is_estimated_once(monkeypatch):
    models, calls = models_that_see(4.0), []
    known = models._loaded["flow"].estimate
    monkeypatch.setattr(models._loaded["flow"], "estimate", lambda *pair: calls.append(1) or known(*pair))
    edit = make_true_edit(asked_flow=asked(4.0), edited=np.full((48, 60, 3), 255, np.uint8))
    assert value(edit, "realised_motion_error", models) == pytest.approx(0) and value(edit, "flow_loss", models) > 0
    assert len(calls) == 1


def test_motion_that_cannot_be_judged_has_no_score():
    models = models_that_see(0)
    assert score(make_true_edit(), "realised_motion_error", models).reason == "the sample has no flow that is asked for"
    hidden = make_true_edit(asked_flow=asked(60.0))
    reason = "no point of the object is seen before and after it moves"
    assert score(hidden, "realised_motion_error", models).reason == reason
    assert score(make_true_edit(), "frame_motion_error", models).reason == "there is no next frame"


def test_motion_between_frames_is_that_of_the_true_object():
    edit = shifted_frames(3)
    assert value(edit, "frame_motion_error", models_that_see(3)) == pytest.approx(0)
    assert value(edit, "frame_motion_error", models_that_see(3, 4)) == pytest.approx(4)


def test_the_warp_error_by_estimated_flow_is_what_motion_does_not_explain():
    edit = shifted_frames(3)
    # All that remains is the brightness; the columns that leave the picture are hidden.
    assert value(edit, "estimated_warp_error", models_that_see(3)) == pytest.approx(2, abs=1e-3)
    assert value(edit, "estimated_warp_error", models_that_see(0)) > 5


def test_the_shipped_network_sees_a_moved_picture():
    # The pattern moves by 3 pixels; the frame is 64 pixels wide.
    rows, columns = np.mgrid[:64, :64]
    picture = (128 + 60 * np.sin(columns / 5) * np.cos(rows / 4)).astype(np.uint8)
    picture = np.repeat(picture[..., None], 3, axis=2)
    flow = np.zeros((2, 64, 64), np.float32)
    flow[0, 8:-8, 8:-8] = 3
    edit = make_true_edit(source=picture, edited=np.roll(picture, 3, axis=1), asked_flow=flow)
    assert value(edit, "realised_motion_error") < 1.5
    models = Models(device="cpu")
    models._loaded["flow"] = PictureFlow(dis_flow())
    assert value(edit, "realised_motion_error", models) < 1

from __future__ import annotations

import math

import numpy as np
import pytest

from mimicbrush.benchmark_layout import SampleFacts
from mimicbrush.evaluation.metrics.score import EditedPicture, FollowingFrame
from mimicbrush.evaluation.metrics.truth import MAX_PSNR
from tests.evaluation.metrics.edits import TRUE_BOX, make_true_edit, score, value


def test_the_truth_scores_perfectly():
    edit = make_true_edit()
    assert value(edit, "truth_ssim") == pytest.approx(1)
    assert value(edit, "truth_psnr") == value(edit, "uncovered_psnr") == MAX_PSNR
    assert value(edit, "uncovered_ssim") == pytest.approx(1)
    assert value(edit, "truth_colour_distance") == pytest.approx(0, abs=1e-7)
    assert value(edit, "region_change_outside") == value(edit, "motion_error") == 0


def test_only_pixels_of_the_true_object_count():
    edit = make_true_edit()
    spoilt = edit.edited.copy()
    spoilt[~edit.truth_mask] = 255 - spoilt[~edit.truth_mask]
    assert value(edit._replace(edited=spoilt), "truth_psnr") == MAX_PSNR
    assert value(edit._replace(edited=spoilt), "truth_colour_distance") == pytest.approx(0, abs=1e-7)
    darker = edit.edited // 2
    error = np.mean((edit.truth[TRUE_BOX].astype(float) - darker[TRUE_BOX]) ** 2)
    assert value(edit._replace(edited=darker), "truth_psnr") == pytest.approx(10 * math.log10(255**2 / error))


def test_pixels_of_a_stochastic_material_are_not_compared():
    edit = make_true_edit(facts=SampleFacts(scoring="stochastic", vocabulary="seen"))
    for name in ("truth_ssim", "truth_psnr"):
        assert score(edit, name) == (None, "its material is stochastic, so its pixels are not determined")
    assert value(edit, "truth_colour_distance") == pytest.approx(0, abs=1e-7)


def test_uncovered_background_is_what_only_the_source_covers():
    edit = make_true_edit()
    uncovered = edit.object_mask & ~edit.truth_mask
    assert uncovered.sum() == 2 * 14
    spoilt = edit.edited.copy()
    spoilt[uncovered] = edit.truth[uncovered] ^ 16
    assert value(edit._replace(edited=spoilt), "uncovered_psnr") == pytest.approx(20 * math.log10(255 / 16))
    assert value(edit._replace(edited=spoilt), "truth_psnr") == MAX_PSNR
    reason = "the sample has no mask of the object in the source"
    assert score(edit._replace(object_mask=None), "uncovered_psnr") == (None, reason)
    assert score(edit._replace(object_mask=edit.truth_mask), "uncovered_psnr").reason == "the edit uncovers nothing"


def test_the_change_outside_counts_pixels_beside_the_region():
    edit = make_true_edit()
    spoilt = edit.edited.copy()
    spoilt[9, 20:25] = edit.source[9, 20:25] ^ 32
    expected = 5 * 32 / 255 / (~edit.mask).sum()
    assert value(edit._replace(edited=spoilt), "region_change_outside") == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("shift", [(2, 0), (0, -2), (-3, 4)])
def test_an_object_beside_its_place_has_its_distance_as_motion_error(shift):
    edit = make_true_edit()
    right, down = shift
    moved = np.roll(edit.truth, (down, right), axis=(0, 1))
    assert value(edit._replace(edited=moved), "motion_error") == pytest.approx(math.hypot(*shift))


def test_the_background_around_the_object_does_not_change_its_motion_error():
    edit = make_true_edit()
    elsewhere = np.where(edit.truth_mask[..., None], edit.truth, np.uint8(99))
    assert value(edit._replace(edited=np.roll(elsewhere, 2, axis=1)), "motion_error") == 2


def clip_frame(**changes) -> EditedPicture:
    """A frame whose next one is the same, 3 pixels to the right, as the flow says."""
    edit = make_true_edit()
    flow = np.zeros((2, 48, 60), np.float32)
    flow[0] = 3
    following = FollowingFrame(np.roll(edit.edited, 3, axis=1), flow, np.ones((48, 60), bool))
    return edit._replace(following=following._replace(**changes))


def test_a_clip_that_moves_as_the_truth_has_no_warp_error():
    assert value(clip_frame(), "warp_error") == pytest.approx(0, abs=1e-3)
    brighter = clip_frame()
    lifted = brighter.following.edited // 2 + 20
    inner = np.zeros((48, 60), bool)
    inner[15:27, 21:35] = True
    expected = np.abs(lifted.astype(float) - brighter.following.edited)[:, 3:][inner[:, :-3]].mean()
    assert value(clip_frame(edited=lifted), "warp_error") == pytest.approx(expected, abs=1e-3)


def test_hidden_points_and_last_frames_have_no_warp_error():
    hidden = score(clip_frame(visible=np.zeros((48, 60), bool)), "warp_error")
    assert hidden == (None, "no point inside the true object is seen in the next frame")
    assert score(make_true_edit(), "warp_error") == (None, "there is no next frame")


def test_a_proposed_mask_is_compared_with_both_objects_together():
    edit = make_true_edit()
    both = edit.truth_mask | edit.object_mask
    half = both.astype(np.float32) / 2
    larger = np.zeros_like(half)
    larger[TRUE_BOX] = 1
    assert value(edit._replace(proposed_mask=both.astype(np.float32)), "mask_overlap") == 1
    assert value(edit._replace(proposed_mask=half), "mask_overlap") == pytest.approx(0.5)
    assert value(edit._replace(proposed_mask=larger), "mask_overlap") == pytest.approx(14 * 16 / both.sum())
    assert score(edit, "mask_overlap") == (None, "the editor proposes no mask")


def test_a_frame_without_the_object_has_no_value_inside_it():
    edit = make_true_edit(truth_mask=np.zeros((48, 60), bool))
    for name in ("truth_ssim", "truth_psnr", "truth_colour_distance", "motion_error"):
        assert score(edit, name) == (None, "the truth shows no object"), name

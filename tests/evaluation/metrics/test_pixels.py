from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from mimicbrush.evaluation.metrics.all_metrics import METRICS
from tests.evaluation.metrics.edits import make_edit, score, value


def test_box_metrics_equal_scikit_image():
    edit = make_edit()
    crop = np.s_[10:30, 5:40]
    # Each channel by itself, which is what "the mean over RGB" says.
    channels = [
        structural_similarity(
            edit.edited[crop][..., channel],
            edit.source[crop][..., channel],
            data_range=255,
            gaussian_weights=True,
            use_sample_covariance=False,
        )
        for channel in range(3)
    ]
    assert value(edit, "ssim") == pytest.approx(np.mean(channels), abs=1e-9)
    psnr = peak_signal_noise_ratio(edit.source[crop], edit.edited[crop])
    assert value(edit, "psnr") == pytest.approx(psnr, abs=1e-9)
    inside = peak_signal_noise_ratio(edit.source[edit.mask], edit.edited[edit.mask])
    assert value(edit, "psnr_mask") == pytest.approx(inside, abs=1e-9)


def test_source_agreement_on_inter_id_is_the_same_number_without_a_direction():
    edit = make_edit()
    assert value(edit, "source_ssim") == value(edit, "ssim")
    assert value(edit, "source_psnr") == value(edit, "psnr")
    assert METRICS["source_ssim"].better is None and "not quality" in METRICS["source_ssim"].meaning


def test_source_returned_scores_perfectly():
    edit = make_edit()
    edit = edit._replace(edited=edit.source)
    assert value(edit, "ssim") == pytest.approx(1)
    assert value(edit, "psnr") == value(edit, "psnr_mask") == math.inf


@pytest.mark.parametrize("corner", [(0, 0), (47, 59), (20, 30)])
def test_ssim_of_a_tiny_mask_is_taken_over_the_smallest_window(corner):
    mask = np.zeros((48, 60), bool)
    mask[corner] = True
    assert -1 <= value(make_edit(mask=mask), "ssim") <= 1


def test_ssim_of_a_picture_below_the_window_is_not_computable():
    small = np.zeros((10, 30, 3), np.uint8)
    mask = np.zeros((10, 30), bool)
    mask[2:4, 2:4] = True
    found = score(make_edit(source=small, edited=small, mask=mask), "ssim")
    assert found == (None, "the picture is 30x10, SSIM's window needs 11 pixels")


def test_colour_distance_by_hand():
    red, blue = np.array([255, 0, 0], np.uint8), np.array([0, 0, 255], np.uint8)
    mask = np.zeros((20, 20), bool)
    mask[5:10, 5:10] = True
    reference = np.broadcast_to(red, (20, 20, 3)).copy()
    edit = make_edit(source=np.zeros((20, 20, 3), np.uint8), mask=mask, edited=reference.copy(), reference=reference)
    half = reference.copy()
    half[10:] = blue
    assert value(edit, "colour_distance") == 0
    assert value(edit._replace(edited=np.full_like(reference, blue)), "colour_distance") == 1
    # Two colours in halves against one: the coefficient is sqrt(1/2).
    assert value(edit._replace(reference=half), "colour_distance") == pytest.approx(math.sqrt(1 - math.sqrt(0.5)))


def test_colour_distance_to_the_truth_is_that_of_the_masked_pixels():
    edit = make_edit()
    assert value(edit._replace(edited=edit.source), "colour_distance_truth") == 0
    grey = np.full_like(edit.source, 7)
    inside = np.where(edit.mask[..., None], grey, edit.source)
    found = value(edit._replace(edited=inside), "colour_distance_truth")
    assert found == value(edit._replace(edited=grey), "colour_distance_truth") > 0.5


def test_ssim_in_the_mask_leaves_out_the_rest_of_the_box():
    """Far from the mask's corner, an L-shaped mask's box holds pixels that no masked one's window reaches."""
    mask = np.zeros((64, 64), bool)
    mask[4:60, 4:12] = mask[4:12, 4:60] = True
    edit = make_edit(source=np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8), mask=mask)
    spoilt = edit.source.copy()
    spoilt[40:60, 40:60] = 0
    edit = edit._replace(edited=spoilt)
    assert value(edit, "ssim") < 0.95
    assert value(edit, "ssim_mask") == pytest.approx(1)


def test_colour_distance_looks_at_the_masked_part_of_the_reference_alone():
    upper = np.zeros((20, 20), bool)
    upper[:10] = True
    edit = make_edit(reference_mask=upper)
    changed = edit.reference.copy()
    changed[10:] = 0
    assert value(edit._replace(reference=changed), "colour_distance") == value(edit, "colour_distance")

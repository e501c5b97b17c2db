from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from mimicbrush.evaluation.metrics import METRICS, Edit, measure


def make_edit(**changes) -> Edit:
    rng = np.random.default_rng(0)
    mask = np.zeros((48, 60), bool)
    mask[10:30, 5:40] = True
    mask[10:20, 5:20] = False
    source = rng.integers(0, 256, (48, 60, 3), np.uint8)
    fields = {
        "source": source,
        "mask": mask,
        "edited": np.where(mask[..., None], rng.integers(0, 256, source.shape, np.uint8), source),
        "reference": rng.integers(0, 256, (20, 20, 3), np.uint8),
        "reference_mask": np.ones((20, 20), bool),
    }
    return Edit(**(fields | changes))


def value(edit: Edit, track: str, name: str) -> float:
    return measure(edit, track)[name].value


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
    assert value(edit, "inner_id", "ssim") == pytest.approx(np.mean(channels), abs=1e-9)
    psnr = peak_signal_noise_ratio(edit.source[crop], edit.edited[crop])
    assert value(edit, "inner_id", "psnr") == pytest.approx(psnr, abs=1e-9)
    inside = peak_signal_noise_ratio(edit.source[edit.mask], edit.edited[edit.mask])
    assert value(edit, "inner_id", "psnr_mask") == pytest.approx(inside, abs=1e-9)


def test_source_agreement_on_inter_id_is_the_same_number_without_a_direction():
    edit = make_edit()
    assert value(edit, "inter_id", "source_ssim") == value(edit, "inner_id", "ssim")
    assert value(edit, "inter_id", "source_psnr") == value(edit, "inner_id", "psnr")
    assert METRICS["source_ssim"].better is None and "not quality" in METRICS["source_ssim"].meaning


def test_source_returned_scores_perfectly():
    edit = make_edit()
    scores = measure(edit._replace(edited=edit.source), "inner_id")
    assert scores["ssim"].value == pytest.approx(1)
    assert scores["psnr"].value == scores["psnr_mask"].value == math.inf
    assert scores["change_outside"].value == 0


@pytest.mark.parametrize("corner", [(0, 0), (47, 59), (20, 30)])
def test_ssim_of_a_tiny_mask_is_taken_over_the_smallest_window(corner):
    mask = np.zeros((48, 60), bool)
    mask[corner] = True
    edit = make_edit(mask=mask)
    assert -1 <= value(edit, "inner_id", "ssim") <= 1


def test_ssim_of_a_picture_below_the_window_is_not_computable():
    small = np.zeros((10, 30, 3), np.uint8)
    mask = np.zeros((10, 30), bool)
    mask[2:4, 2:4] = True
    score = measure(make_edit(source=small, edited=small, mask=mask), "inner_id")["ssim"]
    assert score.value is None and score.reason == "the picture is 30x10, SSIM's window needs 11 pixels"


def test_colour_distance_by_hand():
    red, blue = np.array([255, 0, 0], np.uint8), np.array([0, 0, 255], np.uint8)
    mask = np.zeros((20, 20), bool)
    mask[5:10, 5:10] = True
    reference = np.broadcast_to(red, (20, 20, 3)).copy()
    edit = make_edit(source=np.zeros((20, 20, 3), np.uint8), mask=mask, edited=reference.copy(), reference=reference)
    half = reference.copy()
    half[10:] = blue
    assert value(edit, "inter_id", "colour_distance") == 0
    assert value(edit._replace(edited=np.full_like(reference, blue)), "inter_id", "colour_distance") == 1
    # Two colours in halves against one: the coefficient is sqrt(1/2).
    assert value(edit._replace(reference=half), "inter_id", "colour_distance") == pytest.approx(
        math.sqrt(1 - math.sqrt(0.5))
    )


def test_colour_distance_looks_at_the_masked_part_of_the_reference_alone():
    upper = np.zeros((20, 20), bool)
    upper[:10] = True
    edit = make_edit(reference_mask=upper)
    changed = edit.reference.copy()
    changed[10:] = 0
    expected = value(edit, "inter_id", "colour_distance")
    assert value(edit._replace(reference=changed), "inter_id", "colour_distance") == expected


def test_absent_reference_mask_is_given_as_the_reason():
    score = measure(make_edit(reference_mask=None), "inter_id")["colour_distance"]
    assert score.value is None and score.reason == "the sample has no reference mask"


def test_change_outside_forgives_the_feather_and_nothing_more():
    mask = np.zeros((60, 60), bool)
    mask[20:30, 20:30] = True
    source = np.full((60, 60, 3), 100, np.uint8)
    near, far = source.copy(), source.copy()
    near[39, 25] = 0
    far[40, 25] = 93
    assert value(make_edit(source=source, mask=mask, edited=near), "inner_id", "change_outside") == 0
    assert value(make_edit(source=source, mask=mask, edited=far), "inner_id", "change_outside") == 7


def test_every_metric_says_what_it_means():
    for metric in METRICS.values():
        assert metric.title and metric.meaning and metric.tracks
        assert metric.better in {"higher", "lower", None}

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import binary_erosion, gaussian_gradient_magnitude
from skimage.color import rgb2gray
from transformers import AutoImageProcessor, AutoModelForDepthEstimation

from tests.evaluation.metrics.edits import make_edit, score, value

MASK = np.zeros((120, 160), bool)
MASK[10:110, 10:150] = True
ALL = np.ones_like(MASK)
YY, XX = np.mgrid[:120, :160]


def disc(centre: int, low: int = 60, high: int = 200) -> np.ndarray:
    """A disc of radius 30 on a plain ground."""
    inside = (YY - 60) ** 2 + (XX - centre) ** 2 < 30**2
    return np.repeat(np.where(inside, high, low)[..., None], 3, axis=2).astype(np.uint8)


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (120, 160, 3)).astype(np.uint8)


def edit_of(edited: np.ndarray, source: np.ndarray, mask: np.ndarray = MASK):
    return make_edit(source=source, edited=np.where(mask[..., None], edited, source), mask=mask)


def test_equal_shapes_agree_whatever_their_colours():
    assert value(edit_of(disc(80), disc(80)), "edge_agreement") == pytest.approx(1)
    # Half the contrast, and dark on bright.
    assert value(edit_of(disc(80, 200, 130), disc(80), ALL), "edge_agreement") == pytest.approx(1, abs=1e-3)


def test_unrelated_textures_agree_as_chance_would():
    assert value(edit_of(noise(1), noise(0)), "edge_agreement") == pytest.approx(0, abs=0.1)


def test_new_fine_texture_costs_less_than_a_moved_shape():
    textured = np.clip(disc(80).astype(int) + (noise(1) - 128) // 4, 0, 255).astype(np.uint8)
    kept, moved = (value(edit_of(edited, disc(80)), "edge_agreement") for edited in (textured, disc(50)))
    assert kept > 0.8 and moved < 0.3


def test_edges_outside_the_mask_do_not_count():
    # A bright bar around the mask, so near that the blur carries it in.
    source, framed = disc(80), disc(80)
    framed[~MASK] = 255
    scores = [
        value(make_edit(source=source, edited=picture, mask=MASK), "edge_agreement") for picture in (source, framed)
    ]
    assert scores == pytest.approx([1, 1], abs=0.02)


def test_edge_agreement_is_the_correlation_of_scipys_gradients():
    edit = edit_of(disc(70), np.minimum(disc(80), noise(0)))
    inner = binary_erosion(MASK, np.ones((9, 9)))  # two sigmas of 2 % of a diagonal of 200 pixels
    strengths = [gaussian_gradient_magnitude(rgb2gray(picture), 2)[inner] for picture in (edit.source, edit.edited)]
    assert value(edit, "edge_agreement") == pytest.approx(np.corrcoef(strengths)[0, 1], abs=0.02)


def test_flat_picture_has_no_edges_to_agree_with():
    flat = np.full((120, 160, 3), 90, np.uint8)
    found = score(edit_of(disc(80), flat), "edge_agreement")
    assert found == (None, "the source has no change of brightness inside the mask")


def test_flat_edit_has_lost_all_shape():
    flat = np.full((120, 160, 3), 90, np.uint8)
    assert value(edit_of(flat, disc(80), ALL), "edge_agreement") == 0


def test_mask_may_be_too_thin_for_edges():
    thin = np.zeros((120, 160), bool)
    thin[50:54] = True
    found = score(edit_of(disc(70), disc(80), thin), "edge_agreement")
    assert found == (None, "no pixel of the mask is further than 4 pixels from its border")


def test_depth_agreement_equals_a_direct_call(models, networks):
    edit = edit_of(disc(60), noise(0))
    processor = AutoImageProcessor.from_pretrained(networks.depth)
    network = AutoModelForDepthEstimation.from_pretrained(networks.depth)
    maps = []
    for picture in (edit.source, edit.edited):
        with torch.no_grad():
            outputs = network(**processor(images=Image.fromarray(picture), return_tensors="pt"))
        (found,) = processor.post_process_depth_estimation(outputs, target_sizes=[picture.shape[:2]])
        maps.append(found["predicted_depth"].numpy()[MASK])
    assert value(edit, "depth_agreement", models) == pytest.approx(np.corrcoef(maps)[0, 1], abs=1e-5)


def test_copy_of_the_source_has_its_depth(models):
    assert value(edit_of(noise(0), noise(0)), "depth_agreement", models) == pytest.approx(1)


def test_depth_of_a_source_is_computed_once_for_all_editors(models, monkeypatch):
    estimator = models.load("depth")
    pictures, predict = [], estimator._predict
    monkeypatch.setattr(estimator, "_predict", lambda picture: pictures.append(picture) or predict(picture))
    for seed in (1, 2, 3):
        value(edit_of(noise(seed), noise(0)), "depth_agreement", models)
    assert len(pictures) == 1 + 3

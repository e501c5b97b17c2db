from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from mimicbrush.pictures.geometry import (
    blacken,
    feather,
    feather_reach,
    feather_sigma,
    letterbox,
    match_colours,
    paste_back,
    place,
    unletterbox,
)


def smooth_image(height: int, width: int) -> torch.Tensor:
    coarse = torch.rand(1, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)[0]


@pytest.mark.parametrize(("height", "width"), [(64, 64), (100, 60), (37, 128), (200, 300)])
def test_unletterbox_undoes_letterbox(height, width):
    image = smooth_image(height, width)
    canvas, box = letterbox(image, 128, fill=1.0)
    assert canvas.shape == (3, 128, 128)
    assert max(box.height, box.width) == 128
    assert (unletterbox(canvas, height, width) - image).abs().max() < 0.06


def test_letterbox_pads_evenly_with_its_fill():
    canvas, box = letterbox(torch.full((1, 1, 10, 20), 0.5), 40, fill=1.0)
    assert box == place(10, 20, 40) == (10, 0, 20, 40)
    assert (canvas[..., :10, :] == 1).all() and (canvas[..., 30:, :] == 1).all()
    assert torch.allclose(canvas[..., 10:30, :], torch.tensor(0.5))


def test_blacken_hides_exactly_the_mask():
    source, mask = torch.rand(2, 3, 8, 8) + 0.1, torch.zeros(2, 1, 8, 8)
    mask[:, :, 2:5, 3:6] = 1
    hidden = blacken(source, mask)
    assert (hidden[:, :, 2:5, 3:6] == 0).all()
    assert torch.equal(hidden[mask.expand_as(source) == 0], source[mask.expand_as(source) == 0])


def test_paste_back_leaves_what_the_feather_does_not_reach_bit_identical():
    source, edited, mask = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)
    mask[..., 28:36, 28:36] = 1
    pasted = paste_back(edited, source, mask)
    untouched = (feather(mask) == 0).expand_as(source)
    assert untouched[..., :16, :].all() and not untouched[..., 28:36, 28:36].any()
    assert torch.equal(pasted[untouched], source[untouched])


@pytest.mark.parametrize("width", [256, 512, 513, 2048])
def test_feather_of_a_straight_border_is_a_gaussian_that_grows_with_the_picture(width):
    mask = torch.zeros(1, 1, 9, width)
    mask[..., 100:] = 1
    distance = torch.arange(float(width)) - 99.5
    expected = torch.special.ndtr(distance / (5**0.5 * max(1, width / 512)))
    torch.testing.assert_close(feather(mask)[0, 0, 4], expected, rtol=0, atol=4e-3)
    torch.testing.assert_close(feather(mask.mT), feather(mask).mT)


@pytest.mark.parametrize(("width", "reach"), [(500, 10), (512, 10), (513, 11), (1536, 30), (15_360, 300)])
def test_feather_reaches_ten_pixels_of_the_canvas_and_no_further(width, reach):
    mask = torch.zeros(1, 1, 5, width)
    mask[..., 400:] = 1
    touched = (feather(mask)[0, 0, 2] > 0).nonzero()[0].item()
    assert feather_reach(5, width) == feather_reach(width, 5) == reach
    assert 400 - reach <= touched <= 400 - reach // 2


def test_matched_colours_agree_on_the_seam_and_keep_the_texture():
    source, mask = smooth_image(64, 64)[None] * 0.5 + 0.2, torch.zeros(1, 1, 64, 64)
    mask[..., 24:40, 24:40] = 1
    tinted = source + torch.tensor([0.1, -0.05, 0.02])[:, None, None]
    torch.testing.assert_close(match_colours(tinted, source, mask), source, rtol=0, atol=1e-5)


def test_matching_colours_without_a_seam_changes_nothing():
    edited, mask = smooth_image(20, 20)[None], torch.ones(1, 1, 20, 20)
    assert torch.equal(match_colours(edited, edited / 2, mask), edited)


@pytest.mark.parametrize("corner", [(0, 0), (290, 500), (560, 740)])
def test_a_large_feather_is_that_of_the_whole_picture(corner):
    mask = torch.zeros(1, 1, 600, 800)
    mask[0, 0, corner[0] : corner[0] + 40, corner[1] : corner[1] + 60] = 1
    side = 2 * feather_reach(600, 800) + 1
    whole = cv2.GaussianBlur(mask[0, 0].numpy(), (side, side), feather_sigma(600, 800))
    assert np.abs(feather(mask)[0, 0].numpy() - whole).max() < 1e-6
    assert not feather(torch.zeros(1, 1, 600, 800)).any()

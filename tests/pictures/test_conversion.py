from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from mimicbrush.pictures.conversion import (
    is_masked,
    mask_bytes,
    mask_levels,
    on_white,
    rgb_bytes,
    shrink_to_fit,
    to_channels,
    to_levels,
    to_pil,
)


def test_opaque_pixels_stay_bit_for_bit_on_white():
    channels = torch.rand(4, 20, 20)
    channels[3, :10] = 1
    assert torch.equal(on_white(channels)[:, :10], channels[:3, :10])
    assert torch.equal(on_white(torch.rand(4, 2, 2) * torch.tensor([1, 1, 1, 0.0])[:, None, None]), torch.ones(3, 2, 2))


def test_a_grey_masks_levels_come_out_exactly():
    levels = torch.arange(65536).float().reshape(1, 256, 256) / 65535
    assert torch.equal(mask_levels(levels.expand(3, -1, -1)), levels)


@pytest.mark.parametrize(("is_deep", "levels"), [(False, np.uint8), (True, np.uint16)])
def test_levels_come_back_from_channels(is_deep, levels):
    drawn = np.random.default_rng(0).integers(0, np.iinfo(levels).max, (5, 7, 3), endpoint=True).astype(levels)
    assert np.array_equal(to_levels(to_channels(drawn), is_deep=is_deep), drawn)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("num_channels", [1, 3, 4])
def test_bytes_without_torch_are_those_of_tensors(kind, num_channels):
    shape = (50, 70, num_channels)
    drawn = np.random.default_rng(0).integers(0, np.iinfo(kind).max, shape, endpoint=True).astype(kind)
    channels = to_channels(drawn)
    assert np.array_equal(rgb_bytes(drawn), to_levels(on_white(channels)))
    assert np.array_equal(mask_bytes(drawn), to_levels(mask_levels(channels))[..., 0])


def test_tensors_arrays_and_masks_become_the_same_pil_picture():
    mask = np.random.default_rng(0).random((5, 7)) > 0.5
    picture = to_pil(mask)
    assert picture.mode == "L" and picture.size == (7, 5)
    for same in (mask * np.uint8(255), torch.from_numpy(mask)[None].float(), mask[..., None] * np.uint8(255)):
        assert to_pil(same) == picture
    assert to_pil(picture) is picture


def test_a_mask_begins_above_mid_grey():
    assert is_masked(np.array([0, 127, 128, 255], np.uint8)).tolist() == [False, False, True, True]


def test_a_picture_shrinks_to_fit_and_never_grows():
    picture = Image.new("RGB", (200, 100))
    assert shrink_to_fit(picture, 50, 50).size == (50, 25) and picture.size == (200, 100)
    assert shrink_to_fit(picture, 500, 500).size == (200, 100)

"""Pictures of any kind, in and out of the pipeline, and those that it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image

from mimicbrush.errors import UserError
from mimicbrush.pictures.edit_inputs import as_reference
from tests.pipeline.conftest import MASK, edit, random_picture


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16"])
@pytest.mark.parametrize("crop", [False, True])
def test_pixels_of_any_mode_far_from_the_mask_stay(pipe, mode, crop):
    source = random_picture("L" if mode == "I;16" else mode, height=120, width=160)
    levels = source.convert("RGBA" if source.has_transparency_data else "RGB")
    source = Image.fromarray(np.asarray(source).astype(np.uint16) * 257) if mode == "I;16" else source
    mask = Image.fromarray(np.pad(MASK, ((60, 0), (80, 0))))
    (edited,) = edit(pipe, image=source, mask_image=mask, output_type="pil", crop_to_mask=crop)
    assert edited.mode == levels.mode and edited.size == levels.size
    before, after = np.asarray(levels), np.asarray(edited)
    assert np.array_equal(before[:25, :40], after[:25, :40])
    assert not np.array_equal(before[80:90, 110:125, :3], after[80:90, 110:125, :3])
    assert np.array_equal(before[..., 3:], after[..., 3:])


def test_exif_orientation_is_applied_to_source_and_mask(pipe):
    upright = random_picture()
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    turned.getexif()[0x0112] = 6  # turned by 90 degrees when shown
    (edited,) = edit(pipe, image=turned, output_type="pil")
    assert edited.size == upright.size and not edited.getexif()
    assert np.array_equal(np.asarray(edited)[:5], np.asarray(upright)[:5])
    with pytest.raises(UserError, match=r"mask_image is 60 x 80 pixels and image 80 x 60, upright"):
        edit(pipe, image=turned, mask_image=Image.fromarray(MASK.T.copy()))


def test_colour_profile_stays_with_the_pixels(pipe):
    source = random_picture()
    source.info["icc_profile"] = b"profile"
    (edited,) = edit(pipe, image=source, output_type="pil")
    assert edited.info["icc_profile"] == b"profile"


def test_arrays_come_back_as_arrays(pipe):
    edited = edit(pipe, image=np.asarray(random_picture()), mask_image=MASK, output_type="np")
    assert edited.shape == (1, 60, 80, 3)
    torch.testing.assert_close(torch.from_numpy(edited).permute(0, 3, 1, 2), edit(pipe))


@pytest.mark.parametrize("name", ["reference_box", "reference_mask_image"])
def test_what_a_crop_leaves_out_of_the_reference_does_not_matter(pipe, name):
    crop = [(8, 10, 60, 50)] if name == "reference_box" else [np.zeros((60, 80), np.uint8)]
    if name == "reference_mask_image":
        crop[0][10:50, 8:60] = 255
    reference = np.array(random_picture(seed=1))
    other = np.full_like(reference, 7)
    other[10:50, 8:60] = reference[10:50, 8:60]
    first, second = (edit(pipe, reference_image=picture, **{name: crop}) for picture in (reference, other))
    assert torch.equal(first, second)
    assert not torch.equal(first, edit(pipe, reference_image=other))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"mask_image": np.zeros((60, 80), np.uint8)}, "mask_image is empty; paint"),
        ({"mask_image": MASK // 255}, "mask_image is at most 1 of 255, nearly black; if 1 means edit, multiply"),
        ({"mask_image": Image.new("RGBA", (80, 60))}, "empty; .*transparent parts count as black"),
        ({"mask_image": np.full((60, 80), 255, np.uint8)}, "mask_image is all white"),
        ({"mask_image": np.full((60, 70), 255, np.uint8)}, "mask_image is 70 x 60 pixels and image 80 x 60"),
        ({"image": random_picture(width=1), "mask_image": MASK[:, :1]}, "image is 1 x 60 pixels, expected at least 2"),
        ({"image": Image.new("L", (20_000, 6_000))}, "image is 20000 x 6000 pixels, expected at most 100 million"),
        ({"image": Image.new("F", (80, 60))}, "image has mode F"),
        ({"image": torch.full((3, 60, 80), torch.nan)}, "image holds NaN"),
        ({"image": torch.full((3, 60, 80), 255.0)}, r"image has values from 255 to 255; expected \[0, 1\]"),
        ({"image": torch.rand(60, 80, 3)}, r"image has shape \(60, 80, 3\); expected"),
        ({"image": "source.png"}, "image is a str, expected a PIL picture"),
        ({"reference_image": random_picture(width=31)}, "reference_image is 31 x 60 pixels, expected at least 32"),
        ({"reference_image": []}, "no reference_image"),
        ({"reference_image": torch.full((3, 60, 80), torch.inf)}, "reference_image holds NaN or infinity"),
        ({"reference_box": (0, 0, 20, 60)}, "reference_image, cropped, is 20 x 60"),
        ({"reference_box": (0, 0, 81, 60)}, r"reference_box is \[0, 0, 81, 60\]; expected .* within 80 x 60"),
        ({"reference_box": (0, 0, 40.5, 60)}, r"reference_box is \[0, 0, 40\.5, 60\]; expected whole left, top"),
        ({"reference_box": [None, None]}, "2 of reference_box for 1 references"),
        ({"reference_mask_image": MASK[:30]}, "reference_mask_image is 80 x 30 pixels and reference_image 80 x 60"),
        ({"num_images_per_prompt": 0}, "num_images_per_prompt is 0"),
        ({"num_inference_steps": 0}, "num_inference_steps is 0, expected 1 to 1000"),
        ({"num_inference_steps": 1000}, "num_inference_steps is 1000, expected 1 to 999"),
        ({"guidance_scale": math.inf}, "guidance_scale is inf, expected 0 to 100"),
        ({"output_type": "latent"}, "output_type is latent, expected pil, np or pt"),
    ],
)
def test_what_cannot_be_edited_is_said_in_one_sentence(pipe, changes, named):
    with pytest.raises(UserError, match=named) as raised:
        edit(pipe, **changes)
    assert "\n" not in str(raised.value)


def test_a_truncated_picture_is_said_to_be_unreadable(pipe, tmp_path):
    random_picture().save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:4000])
    with pytest.raises(UserError, match=r"image is not a readable picture \(.*\); save or download it again"):
        edit(pipe, image=Image.open(tmp_path / "half.png"))


def test_sixteen_bits_lose_nothing_where_the_mask_does_not_reach(pipe):
    source = np.random.default_rng(0).integers(0, 65536, (60, 80, 4), dtype=np.uint16)
    (edited,) = edit(pipe, image=source, output_type="np")
    levels = (edited * 65535).round().astype(np.uint16)
    assert np.array_equal(levels[:5], source[:5]) and np.array_equal(levels[..., 3], source[..., 3])
    assert not np.array_equal(levels[20:30, 30:45], source[20:30, 30:45])


def test_a_wide_picture_is_edited_and_stays_far_from_its_mask(pipe):
    source, mask = Image.new("RGB", (20_000, 40), "red"), Image.new("L", (20_000, 40))
    mask.paste(255, (9_000, 5, 9_020, 20))
    (edited,) = edit(pipe, image=source, mask_image=mask, crop_to_mask=True, output_type="pil")
    changed = np.argwhere((np.asarray(edited) != np.asarray(source)).any(axis=2))
    assert len(changed) and changed[:, 1].min() >= 8_990 and changed[:, 1].max() < 9_030


def test_soft_masks_are_thresholded_and_it_is_said(pipe, caplog):
    soft = MASK.copy()
    soft[20] = 100
    assert torch.equal(edit(pipe, mask_image=soft), edit(pipe, mask_image=np.where(soft > 127, MASK, 0)))
    assert "mask_image has 80 grey or half-transparent pixels" in caplog.text


def test_a_mask_that_wants_a_crop_is_edited_and_it_is_said(pipe, caplog):
    mask = np.zeros((240, 320), np.uint8)
    mask[100:110, 100:110] = 255
    edit(pipe, image=random_picture(height=240, width=320), mask_image=mask)
    assert "crop_to_mask repaints it in full detail" in caplog.text


def test_what_is_hidden_behind_transparency_does_not_matter(pipe):
    torch.nn.init.normal_(pipe.unet.conv_in.weight)  # at first, an untrained network does not see its source
    sources = [np.array(random_picture("RGBA")) for _ in range(2)]
    sources[0][..., 3] = sources[1][..., 3] = np.where(np.arange(80) < 35, 0, 255)  # through the masked region
    sources[1][:, :35, :3] = 7
    first, second = (np.asarray(edit(pipe, image=Image.fromarray(source), output_type="pil")[0]) for source in sources)
    assert np.array_equal(first[:, 35:], second[:, 35:])
    for source, edited in zip(sources, (first, second), strict=True):
        assert np.array_equal(edited[:5], source[:5]) and np.array_equal(edited[..., 3], source[..., 3])


def test_several_references_share_a_canvas_in_reading_order():
    colours = [Image.new("RGB", (40, 40), colour) for colour in ("red", "lime", "blue")]
    canvas = as_reference(colours, size=8)
    assert canvas.shape == (3, 16, 16)
    corners = canvas[:, ::8, ::8].flatten(1).T.round().tolist()
    assert corners == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from accelerate import cpu_offload
from diffusers import UniPCMultistepScheduler
from PIL import Image

import mimicbrush
from mimicbrush.editors.mimicbrush import MimicBrushEditor
from mimicbrush.errors import UserError
from mimicbrush.model.conditioning import EdgeShape
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.weights import PartConfig, initialise, load_release
from mimicbrush.pictures import as_reference
from mimicbrush.pipeline import MimicBrushPipeline
from mimicbrush.requests import ReferenceRequest
from tests.conftest import DEPTH, network_config
from tests.model.test_release_parity import (
    CONFIG,
    GOLDEN,
    NUMBERS,
    TO_ONE_GREY_LEVEL,
    assert_equal,
    golden_conditions,
    golden_config,
    load_pictures,
    pictures,
)

MASK = np.zeros((60, 80), np.uint8)
MASK[20:30, 30:45] = 255


def random_picture(mode: str = "RGB", *, height: int = 60, width: int = 80, seed: int = 0) -> Image.Image:
    channels = np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)
    return Image.fromarray(channels).convert(mode) if mode != "RGBA" else Image.fromarray(channels)


def edit(pipe, **changes):
    told = {
        "image": random_picture(),
        "mask_image": Image.fromarray(MASK),
        "reference_image": random_picture(seed=1),
        "num_inference_steps": 2,
        "generator": torch.Generator().manual_seed(0),
        "output_type": "pt",
    }
    return pipe(**told | changes).images


@pytest.fixture
def pipe(network) -> MimicBrushPipeline:
    pipe = MimicBrushPipeline.from_network(network)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pictures
def test_release_settings_give_the_golden_preparation_and_paste_back(path, monkeypatch):
    expected = load_pictures(path)
    size = expected["padded_source"].shape[-1]
    network = initialise(network_config(size=size)).eval()
    seen = []

    def condition(self, source, mask, *rest):
        seen.extend((source, mask))
        return type(golden_conditions())(*torch.zeros(5, 1, 4, 4))

    monkeypatch.setattr(MimicBrushNetwork, "condition", condition)
    monkeypatch.setattr(MimicBrushNetwork, "decode", lambda self, latent: expected["prediction"])
    monkeypatch.setattr("mimicbrush.editors.mimicbrush.sample", lambda *args, **options: None)
    source, mask = expected["source"][0], expected["mask"][0]
    pipe = MimicBrushPipeline.from_network(network)
    result = edit(pipe, image=source, mask_image=mask, reference_image=source, geometry="released")
    assert (seen[0] - expected["padded_source"]).abs().max() <= TO_ONE_GREY_LEVEL
    assert torch.equal(seen[1], expected["padded_mask"])
    assert (result - expected["result"]).abs().max() <= TO_ONE_GREY_LEVEL


def test_release_settings_give_the_golden_predictions(monkeypatch):
    latents = []
    monkeypatch.setattr(MimicBrushNetwork, "condition", lambda self, *rest: golden_conditions())
    monkeypatch.setattr("mimicbrush.editors.mimicbrush.draw_noise", lambda *rest: NUMBERS["noise"])
    monkeypatch.setattr(MimicBrushNetwork, "decode", lambda self, latent: torch.zeros(1, 3, 512, 512))
    edit(
        MimicBrushPipeline.from_network(load_release(GOLDEN / "mimicbrush.bin", golden_config())),
        num_inference_steps=CONFIG["steps"],
        geometry="released",
        callback_on_step_end=lambda pipe, step, timestep, told: latents.append(told["latents"]) or told,
    )
    assert_equal(torch.stack(latents), NUMBERS["latents"])


def test_it_is_the_benchmarks_editor(pipe, network):
    source, reference = (torch.rand(3, 60, 80) for _ in range(2))
    mask = torch.from_numpy(MASK)[None] / 255
    request = ReferenceRequest(source=source[None], mask=mask[None], reference=reference, seed=3)
    called = edit(
        pipe, image=source, mask_image=mask, reference_image=reference, generator=torch.Generator().manual_seed(3)
    )
    assert torch.equal(called, MimicBrushEditor(network, num_inference_steps=2).edit(request))


def test_saved_and_loaded_it_edits_the_same_with_its_scheduler(tmp_path):
    pipe = MimicBrushPipeline.from_network(initialise(network_config(depth=PartConfig(arguments=DEPTH))).eval())
    pipe.scheduler = UniPCMultistepScheduler.from_config(pipe.scheduler.config)
    pipe.save_pretrained(tmp_path / "saved")
    loaded = MimicBrushPipeline.from_pretrained(tmp_path / "saved")
    assert isinstance(loaded.scheduler, UniPCMultistepScheduler)
    assert torch.equal(edit(loaded, keep_shape=True), edit(pipe, keep_shape=True))
    again = MimicBrushPipeline(**loaded.components, **loaded.parameters)
    assert torch.equal(edit(again), edit(pipe))


@pytest.mark.parametrize("depth", [None, PartConfig(arguments=DEPTH)], ids=["edges", "depth"])
def test_offloaded_it_edits_the_same(depth):
    pipe = MimicBrushPipeline.from_network(initialise(network_config(depth=depth)).eval())
    plain = edit(pipe, keep_shape=True)
    pipe.enable_model_cpu_offload(device="cpu")
    for _ in range(2):
        torch.testing.assert_close(edit(pipe, keep_shape=True), plain, rtol=0, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"reference_projections": "reference", "reference_timestep": "zero"}])
def test_with_weights_a_layer_at_a_time_it_edits_the_same(options):
    pipe = MimicBrushPipeline.from_network(
        initialise(network_config(depth=PartConfig(arguments=DEPTH), **options)).eval()
    )
    plain = edit(pipe, keep_shape=True)
    # Sequential offload does this, for a GPU only: elsewhere than in its call no layer has weights.
    for model in pipe.components.values():
        if isinstance(model, torch.nn.Module):
            cpu_offload(model, torch.device("cpu"))
    assert {parameter.device.type for parameter in pipe.unet.parameters()} == {"meta"}
    for _ in range(2):
        torch.testing.assert_close(edit(pipe, keep_shape=True), plain, rtol=0, atol=1e-6)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_sequential_offload_needs_a_gpu(pipe):
    for options in ({}, {"device": "cpu"}):
        with pytest.raises(UserError, match="sequential offload brings layers to a GPU, and none is here"):
            pipe.enable_sequential_cpu_offload(**options)


def test_low_memory_switches_change_nothing(pipe):
    plain = edit(pipe, num_images_per_prompt=2)
    pipe.enable_attention_slicing()
    pipe.vae.enable_slicing()
    torch.testing.assert_close(edit(pipe, num_images_per_prompt=2), plain, rtol=0, atol=1e-5)


def test_it_moves_to_another_precision(pipe):
    single = edit(pipe)
    assert pipe.to(torch.bfloat16).unet.dtype == torch.bfloat16
    torch.testing.assert_close(edit(pipe), single, rtol=0, atol=0.1)


def test_a_callback_may_replace_latents_and_stop(pipe):
    def zero(pipe, step, timestep, told):
        return {"latents": torch.zeros_like(told["latents"])}

    first, second = (edit(pipe, callback_on_step_end=zero, generator=torch.Generator().manual_seed(s)) for s in (1, 2))
    assert torch.equal(first, second) and not torch.equal(first, edit(pipe))

    def stop(*_):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        edit(pipe, callback_on_step_end=stop)


def test_a_callback_is_told_the_original_that_is_predicted_and_cannot_replace_it(pipe):
    told = []

    def note(pipe, step, timestep, tensors):
        told.append(tensors)
        return tensors | {"pred_original_sample": torch.zeros(1)}

    assert torch.equal(edit(pipe, callback_on_step_end=note), edit(pipe))
    first, last = (each["pred_original_sample"] for each in told)
    assert first.shape == last.shape == told[0]["latents"].shape
    # The released DDIM ends a whisker before noise is gone.
    torch.testing.assert_close(last, told[-1]["latents"], rtol=0, atol=0.2)
    assert (first - told[0]["latents"]).abs().mean() > (last - told[-1]["latents"]).abs().mean()


def test_progress_counts_the_steps_of_all_regions_that_are_edited_in_turn(pipe, monkeypatch):
    bars, progress_bar = [], pipe.progress_bar
    monkeypatch.setattr(pipe, "progress_bar", lambda **options: bars.append(progress_bar(**options)) or bars[-1])
    pipe.set_progress_bar_config(disable=False)
    two, steps = MASK.copy(), []
    two[50:55, 70:75] = 255
    edit(
        pipe,
        mask_image=two,
        regions="in_turn",
        callback_on_step_end=lambda pipe, step, timestep, told: steps.append(step) or told,
    )
    assert steps == [0, 1, 0, 1]
    assert (bars[0].n, bars[0].total) == (4, 4)


def test_several_results_have_their_own_generators(pipe):
    seeds = [torch.Generator().manual_seed(seed) for seed in (4, 5)]
    both = edit(pipe, num_images_per_prompt=2, generator=seeds)
    torch.testing.assert_close(both[1:], edit(pipe, generator=torch.Generator().manual_seed(5)), rtol=0, atol=1e-4)
    with pytest.raises(UserError, match="2 generators for 3 results"):
        edit(pipe, num_images_per_prompt=3, generator=seeds)


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


def test_an_absent_folder_and_one_without_weights_are_named(tmp_path):
    for folder in (tmp_path / "absent", tmp_path):
        with pytest.raises(UserError, match=r"expected a mimicbrush\.bin, a training run"):
            MimicBrushPipeline.from_pretrained(folder)


@pytest.mark.parametrize(
    ("lost", "named"),
    [
        ("unet/diffusion_pytorch_model.safetensors", "unet: no .safetensors file"),
        ("network.json", "expected a mimicbrush.bin"),
        ("scheduler/scheduler_config.json", "scheduler: damaged"),
    ],
)
def test_a_half_copied_folder_is_named(pipe, tmp_path, lost, named):
    pipe.save_pretrained(tmp_path / "saved")
    (tmp_path / "saved" / lost).unlink()
    with pytest.raises(UserError, match=named):
        MimicBrushPipeline.from_pretrained(tmp_path / "saved")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"mask_image": np.zeros((60, 80), np.uint8)}, "mask_image is empty; paint"),
        ({"mask_image": MASK // 255}, "mask_image is at most 1 of 255, nearly black; if 1 means edit, multiply"),
        ({"mask_image": Image.new("RGBA", (80, 60))}, "empty; .*transparent counts as black"),
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
        ({"num_inference_steps": 0}, "num_inference_steps is 0, expected 1 to 999"),
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
    with pytest.raises(UserError, match=r"image cannot be read \(.*\); save or download it again"):
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


def test_the_package_hands_out_the_pipeline():
    assert mimicbrush.MimicBrushPipeline is MimicBrushPipeline


def test_several_references_share_a_canvas_in_reading_order():
    colours = [Image.new("RGB", (40, 40), colour) for colour in ("red", "lime", "blue")]
    canvas = as_reference(colours, size=8)
    assert canvas.shape == (3, 16, 16)
    corners = canvas[:, ::8, ::8].flatten(1).T.round().tolist()
    assert corners == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]


def test_shape_maps_are_those_that_an_edit_follows(pipe, monkeypatch):
    maps, forward = [], EdgeShape.forward
    monkeypatch.setattr(EdgeShape, "forward", lambda self, *told: maps.append(forward(self, *told)) or maps[-1])
    image, mask = random_picture(height=120, width=120), Image.fromarray(np.pad(MASK, ((60, 0), (40, 0))))
    edit(pipe, image=image, mask_image=mask, keep_shape=True, crop_to_mask=True)
    (shown,) = pipe.shape_maps(image, mask, crop_to_mask=True)
    assert torch.equal(maps[0], maps[1]) and shown.size == (32, 32)
    levels = maps[0][0, 0] - maps[0].min()
    np.testing.assert_allclose(np.asarray(shown), levels / levels.max() * 255, atol=1)
    (whole,) = pipe.shape_maps(image)
    assert whole.size == image.size

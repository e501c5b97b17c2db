"""The pipeline is diffusers' kind, and gives what the released code gives."""

from __future__ import annotations

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
from mimicbrush.model.config import PartConfig
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.weights.build import initialise, load_release
from mimicbrush.pipeline import MimicBrushPipeline
from mimicbrush.requests import ReferenceRequest
from tests.conftest import DEPTH, network_config
from tests.model.test_release_parity import (
    CONFIG,
    GOLDEN,
    GOLDEN_TENSORS,
    TO_ONE_GREY_LEVEL,
    assert_equal,
    golden_conditions,
    golden_config,
    load_pictures,
    pictures,
)
from tests.pipeline.conftest import MASK, edit, random_picture


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
    monkeypatch.setattr("mimicbrush.editors.mimicbrush.editor.sample", lambda *args, **options: None)
    source, mask = expected["source"][0], expected["mask"][0]
    pipe = MimicBrushPipeline.from_network(network)
    result = edit(pipe, image=source, mask_image=mask, reference_image=source, geometry="released")
    assert (seen[0] - expected["padded_source"]).abs().max() <= TO_ONE_GREY_LEVEL
    assert torch.equal(seen[1], expected["padded_mask"])
    assert (result - expected["result"]).abs().max() <= TO_ONE_GREY_LEVEL


def test_release_settings_give_the_golden_predictions(monkeypatch):
    latents = []
    monkeypatch.setattr(MimicBrushNetwork, "condition", lambda self, *rest: golden_conditions())
    monkeypatch.setattr("mimicbrush.editors.mimicbrush.editor.draw_noise", lambda *rest: GOLDEN_TENSORS["noise"])
    monkeypatch.setattr(MimicBrushNetwork, "decode", lambda self, latent: torch.zeros(1, 3, 512, 512))
    edit(
        MimicBrushPipeline.from_network(load_release(GOLDEN / "mimicbrush.bin", golden_config())),
        num_inference_steps=CONFIG["steps"],
        geometry="released",
        callback_on_step_end=lambda pipe, step, timestep, tensors: latents.append(tensors["latents"]) or tensors,
    )
    assert_equal(torch.stack(latents), GOLDEN_TENSORS["latents"])


def test_it_is_the_benchmarks_editor(pipe, network):
    source, reference = (torch.rand(3, 60, 80) for _ in range(2))
    mask = torch.from_numpy(MASK)[None] / 255
    request = ReferenceRequest(source=source[None], mask=mask[None], reference=reference, seed=3)
    called = edit(
        pipe, image=source, mask_image=mask, reference_image=reference, generator=torch.Generator().manual_seed(3)
    )
    assert torch.equal(called, MimicBrushEditor(network, num_inference_steps=2).edit(request).frames)


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
        with pytest.raises(UserError, match="sequential offload moves layers to a GPU, but none is available"):
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


@pytest.mark.parametrize("name", ["dtype", "torch_dtype"])
def test_it_loads_straight_in_another_precision(pipe, tmp_path, name):
    pipe.save_pretrained(tmp_path / "saved")
    loaded = MimicBrushPipeline.from_pretrained(tmp_path / "saved", **{name: torch.bfloat16})
    assert loaded.unet.dtype == loaded.vae.dtype == torch.bfloat16


def test_a_callback_may_replace_latents_and_stop(pipe):
    def zero(pipe, step, timestep, tensors):
        return {"latents": torch.zeros_like(tensors["latents"])}

    first, second = (edit(pipe, callback_on_step_end=zero, generator=torch.Generator().manual_seed(s)) for s in (1, 2))
    assert torch.equal(first, second) and not torch.equal(first, edit(pipe))

    def stop(*_):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        edit(pipe, callback_on_step_end=stop)


def test_a_callback_receives_the_predicted_original_and_cannot_replace_it(pipe):
    received = []

    def note(pipe, step, timestep, tensors):
        received.append(tensors)
        return tensors | {"pred_original_sample": torch.zeros(1)}

    assert torch.equal(edit(pipe, callback_on_step_end=note), edit(pipe))
    first, last = (each["pred_original_sample"] for each in received)
    assert first.shape == last.shape == received[0]["latents"].shape
    # The released DDIM ends a whisker before noise is gone.
    torch.testing.assert_close(last, received[-1]["latents"], rtol=0, atol=0.2)
    assert (first - received[0]["latents"]).abs().mean() > (last - received[-1]["latents"]).abs().mean()


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
        callback_on_step_end=lambda pipe, step, timestep, tensors: steps.append(step) or tensors,
    )
    assert steps == [0, 1, 0, 1]
    assert (bars[0].n, bars[0].total) == (4, 4)


def test_several_results_have_their_own_generators(pipe):
    seeds = [torch.Generator().manual_seed(seed) for seed in (4, 5)]
    both = edit(pipe, num_images_per_prompt=2, generator=seeds)
    torch.testing.assert_close(both[1:], edit(pipe, generator=torch.Generator().manual_seed(5)), rtol=0, atol=1e-4)
    with pytest.raises(UserError, match="2 generators for 3 results"):
        edit(pipe, num_images_per_prompt=3, generator=seeds)


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


def test_the_package_hands_out_the_pipeline():
    assert mimicbrush.MimicBrushPipeline is MimicBrushPipeline


def test_shape_maps_are_those_that_an_edit_follows(pipe, monkeypatch):
    maps, forward = [], EdgeShape.forward
    monkeypatch.setattr(EdgeShape, "forward", lambda self, *inputs: maps.append(forward(self, *inputs)) or maps[-1])
    image, mask = random_picture(height=120, width=120), Image.fromarray(np.pad(MASK, ((60, 0), (40, 0))))
    edit(pipe, image=image, mask_image=mask, keep_shape=True, crop_to_mask=True)
    (shown,) = pipe.shape_maps(image, mask, crop_to_mask=True)
    assert torch.equal(maps[0], maps[1]) and shown.size == (32, 32)
    levels = maps[0][0, 0] - maps[0].min()
    np.testing.assert_allclose(np.asarray(shown), levels / levels.max() * 255, atol=1)
    (whole,) = pipe.shape_maps(image)
    assert whole.size == image.size

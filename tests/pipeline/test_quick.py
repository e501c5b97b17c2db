"""A LoRA file for few steps brings its sampler and its settings, alone and as the quick mode of its weights."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.preconditions import announce
from mimicbrush.demo.strokes import PaintedPicture
from mimicbrush.demo.tabs.reference_tab import reference_edit_config
from mimicbrush.edit.editing import load_pipeline
from mimicbrush.edit.kinds.reference_edit import ReferenceEditConfig
from mimicbrush.edit.record import read_settings
from mimicbrush.errors import UserError
from mimicbrush.model.config import RecommendedSettings
from mimicbrush.model.weights.recommended import read_recommended
from mimicbrush.pipeline import MimicBrushPipeline
from tests.edit.conftest import BATCH, arguments_for, pixels, run, write_batch
from tests.pipeline.conftest import edit

FEW = RecommendedSettings(num_inference_steps=4, guidance_scale=1.0, scheduler="LCMScheduler")
OPEN = {"num_inference_steps": None}
"""Leave the number of steps to the weights or to the file."""


@pytest.fixture
def folder(lora_folder, tmp_path) -> Path:
    """Base with few_steps.safetensors in it, and pictures."""
    for name in ("s.png", "m.png", "r.png"):
        shutil.copy(lora_folder / name, tmp_path)
    shutil.copytree(lora_folder / "base", tmp_path / "weights")
    with safe_open(lora_folder / "lora.safetensors", "pt") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    described = json.loads(metadata["mimicbrush"]) | {"recommended": asdict(FEW)}
    metadata["mimicbrush"] = json.dumps(described)
    save_file(tensors, tmp_path / "weights" / "few_steps.safetensors", metadata)
    return tmp_path


def test_the_file_makes_the_shell_edit_in_its_steps_and_quick_means_this_file(folder):
    few_steps = folder / "weights" / "few_steps.safetensors"
    for name, options in {
        "file": {"lora": few_steps},
        "quick": {"quick": "true"},
        "by_hand": {"lora": few_steps, "num_inference_steps": 4, "guidance_scale": 1, "scheduler": "LCMScheduler"},
        "usual": {"num_inference_steps": 4, "guidance_scale": 1},
    }.items():
        run(*arguments_for(folder, **OPEN | options | {"output": folder / f"{name}.png"}))
    run("--replay", folder / "quick.png", "--output", folder / "again.png")
    for name in ("quick", "by_hand", "again"):
        assert np.array_equal(pixels(folder / f"{name}.png"), pixels(folder / "file.png"))
    assert not np.array_equal(pixels(folder / "usual.png"), pixels(folder / "file.png"))
    recorded = read_settings(folder / "quick.png")
    assert (recorded["quick"], recorded["num_inference_steps"], recorded["guidance_scale"]) == (True, 4, 1.0)
    assert read_recommended(str(folder / "weights"), few_steps) == FEW


def test_a_batch_in_quick_mode_recognises_its_finished_results(folder):
    options = arguments_for(folder, **OPEN | BATCH, quick="true", batch=write_batch(folder, {"output": "a.png"}))
    run(*options)
    before = (folder / "a.png").stat().st_mtime_ns
    run(*options)
    assert (folder / "a.png").stat().st_mtime_ns == before


def test_a_given_sampler_replaces_that_of_the_file(folder):
    options = {"output": folder / "a.png", "quick": "true", "num_inference_steps": 4}
    run(*arguments_for(folder, **options))
    run(*arguments_for(folder, **options | {"output": folder / "b.png"}, scheduler="DDIMScheduler"))
    assert not np.array_equal(pixels(folder / "a.png"), pixels(folder / "b.png"))
    by_hand = {"lora": folder / "weights" / "few_steps.safetensors", "scheduler": "DDIMScheduler", "guidance_scale": 1}
    run(*arguments_for(folder, output=folder / "c.png", num_inference_steps=4, **by_hand))
    assert np.array_equal(pixels(folder / "c.png"), pixels(folder / "b.png"))


def test_a_batch_with_the_file_at_scale_zero_recognises_its_finished_results(folder):
    off = {"lora": folder / "weights" / "few_steps.safetensors", "lora_scale": 0}
    options = arguments_for(folder, **OPEN | BATCH | off, batch=write_batch(folder, {"output": "a.png"}))
    run(*options)
    run(*options)


def test_weights_without_the_file_say_so_before_anything_is_loaded(folder):
    (folder / "weights" / "few_steps.safetensors").unlink()
    config = ReferenceEditConfig(
        weights=str(folder / "weights"),
        quick=True,
        **{name: folder / f"{name[0]}.png" for name in ("source", "mask", "reference")},
        output=folder / "e.png",
    )
    with pytest.raises(UserError, match=r"comes without few_steps\.safetensors, which quick needs; leave quick out"):
        config.check_weights()
    for refuse in (
        lambda: announce(DemoConfig(weights=str(folder / "weights"), quick=True)),
        lambda: load_pipeline(config),
    ):
        with pytest.raises(UserError, match=r"comes without few_steps\.safetensors, which quick needs"):
            refuse()
    with pytest.raises(UserError, match=r"come without few_steps\.safetensors"):
        MimicBrushPipeline.from_pretrained(folder / "weights").set_quick(True)


def test_quick_and_sequential_offload_exclude_each_other():
    with pytest.raises(UserError, match="quick changes weights, which offload=sequential does not allow"):
        DemoConfig(weights="asset:tiny", quick=True, offload="sequential")


def test_switching_quick_mode_off_gives_the_usual_edit_bit_for_bit(folder):
    pipe = MimicBrushPipeline.from_pretrained(folder / "weights")
    pipe.set_progress_bar_config(disable=True)
    before, usual = edit(pipe), pipe.network.options.recommended
    pipe.set_quick(True)
    pipe.set_quick(True)
    assert (type(pipe.scheduler).__name__, pipe.network.options.recommended) == ("LCMScheduler", FEW)
    quick = edit(pipe, num_inference_steps=None)
    assert len(pipe.scheduler.timesteps) == 4
    pipe.set_quick(False)
    assert (type(pipe.scheduler).__name__, pipe.network.options.recommended) == ("DDIMScheduler", usual)
    assert (edit(pipe) == before).all() and (quick != before).any()
    pipe.set_quick(True)
    assert (edit(pipe, num_inference_steps=None) == quick).all()


def test_saved_quick_weights_are_quick_without_the_file(folder):
    pipe = MimicBrushPipeline.from_pretrained(folder / "weights")
    pipe.set_quick(True)
    pipe.save_pretrained(folder / "merged")
    assert read_recommended(str(folder / "merged")) == FEW
    merged = MimicBrushPipeline.from_pretrained(folder / "merged")
    for each in (pipe, merged):
        each.set_progress_bar_config(disable=True)
    options = {"num_inference_steps": None}
    assert (edit(merged, **options) - edit(pipe, **options)).abs().max() < 1e-5


def test_a_quick_edit_of_the_page_leaves_steps_and_guidance_to_the_file(folder):
    config = DemoConfig(weights=str(folder / "weights"), num_inference_steps=30, scheduler="DDIMScheduler")
    source = PaintedPicture(picture=folder / "s.png", mask=folder / "m.png")
    reference = PaintedPicture(picture=folder / "r.png")
    given = {"num_inference_steps": 20, "guidance_scale": 2.0, "num_images": 1, "seed": 0}
    (folder / "made").mkdir()
    for quick, expected in ((True, (None, None)), (False, (20, 2.0))):
        made = reference_edit_config(config, folder / "made", source, [reference], quick=quick, **given)
        assert (made.quick, (made.num_inference_steps, made.guidance_scale)) == (quick, expected)
        assert made.scheduler == (None if quick else "DDIMScheduler")

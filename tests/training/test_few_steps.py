"""Distillation for few steps: who is trained, what the loss is, and that a run's adapters edit in four steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mimicbrush.diffusion.schedulers import make_scheduler
from mimicbrush.editors.mimicbrush import MimicBrushEditor
from mimicbrush.errors import UserError
from mimicbrush.model.config import RecommendedSettings
from mimicbrush.model.network import Conditions
from mimicbrush.model.sampling import GuidedPredictor, sample
from mimicbrush.model.weights.build import initialise
from mimicbrush.model.weights.exported_folder import folder_config, save_pretrained
from mimicbrush.model.weights.lora_export import export_lora
from mimicbrush.model.weights.lora_file import read_lora
from mimicbrush.model.weights.run_checkpoint import read_checkpoint
from mimicbrush.pipeline import MimicBrushPipeline
from mimicbrush.requests import ReferenceRequest
from mimicbrush.training.config import FewStepsConfig, RecipeConfig, TrainConfig
from mimicbrush.training.few_steps_module import FewStepsModule
from mimicbrush.training.loss import pseudo_huber_loss
from mimicbrush.training.records import read_records
from mimicbrush.training.run_setup import make_module
from tests.conftest import SIZE, one_block_config
from tests.training.test_module import first_batch
from tests.training.test_training import config, fit

FEW_STEPS = RecommendedSettings(num_inference_steps=4, guidance_scale=1.0, timestep_spacing="trailing")


def distilled(
    shards, folder: Path, *, network: dict | None = None, guidance=3.0, teacher_steps=2, **run
) -> TrainConfig:
    """A run that distils an exported folder of random weights."""
    if not (folder / "teacher").is_dir():
        save_pretrained(initialise(one_block_config(**network or {}), seed=5), folder / "teacher")
    settings = config(shards, folder / "run", **run)
    few_steps = FewStepsConfig(guidance_scale=guidance, teacher_steps=teacher_steps)
    return replace(
        settings,
        network=replace(folder_config(folder / "teacher"), recommended=FEW_STEPS),
        recipe=RecipeConfig(
            learning_rate=1e-2, warmup_steps=1, imitative_lora=2, reference_drop_prob=0.0, few_steps=few_steps
        ),
    )


def module_of(settings: TrainConfig) -> FewStepsModule:
    module = make_module(settings)
    assert isinstance(module, FewStepsModule)
    return module


def stir(module: FewStepsModule) -> None:
    """Draw B, which is zero before training."""
    generator = torch.Generator().manual_seed(0)
    for name, parameter in module.network.named_parameters():
        if "lora_B" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator) / 3


def drawn(module: FewStepsModule) -> tuple[Conditions, Tensor]:
    generator = torch.Generator().manual_seed(0)
    source, reference = torch.rand(2, 2, 3, SIZE, SIZE, generator=generator)
    keep = torch.ones(2, dtype=torch.bool)
    conditions = module.network.condition(source, torch.ones(2, 1, SIZE, SIZE), reference, keep, generator)
    return conditions, module.draw_noise(conditions, generator)


@pytest.mark.parametrize("projections", ["imitative", "reference"])
def test_every_adapter_and_nothing_else_gets_a_gradient(shards, tmp_path, projections):
    settings = distilled(shards, tmp_path, network={"reference_projections": projections})
    module = module_of(settings)
    stir(module)
    module.training_step(first_batch(settings), 0)["loss"].backward()
    reached = {name for name, value in module.network.named_parameters() if value.grad is not None and value.grad.any()}
    trained = {name for name, value in module.network.named_parameters() if value.requires_grad}
    assert reached == trained
    assert trained and all(name.startswith("imitative_unet.") and ".lora_" in name for name in trained)
    assert any(".conv1." in name for name in trained)  # attention alone is too little to learn for


@pytest.mark.parametrize("options", [{}, {"reference_timestep": "current"}, {"prediction_type": "v_prediction"}])
def test_the_target_is_where_the_guided_teacher_leads_from_the_students_own_path(shards, tmp_path, options):
    """The student's path and the teacher's steps are taken by an editor's sampling, with diffusers' sampler."""
    settings = distilled(shards, tmp_path, network=options, guidance=3.0)
    module = module_of(settings)
    stir(module)
    (conditions, noise), teacher = drawn(module), initialise(folder_config(tmp_path / "teacher"))
    path = [noise]
    sample(module.network, conditions, noise, **in_steps(module, 4, 1.0), on_step=lambda *step: path.append(step[1]))
    # Eight steps of the teacher: two for each of the student's.
    ends = []
    for number in range(4):
        latents = path[number]
        for timestep in (999 - 250 * number, 999 - 250 * number - 125):
            sampler = in_steps(module, 8, 3.0)["scheduler"]
            sampler.set_timesteps(8)
            with torch.no_grad():
                predictor = GuidedPredictor(teacher, conditions, num_rows=2, guidance_scale=3.0)
                prediction = predictor.predict(latents, torch.tensor(timestep))
            latents = sampler.step(prediction, timestep, latents).prev_sample
        ends.append(latents)
    with torch.no_grad():
        losses, timesteps = module.losses(conditions, noise)
    expected = [
        pseudo_huber_loss(*each, conditions.mask, width=0.001).whole for each in zip(path[1:], ends, strict=True)
    ]
    assert timesteps.tolist() == [999, 749, 499, 249] * 2
    torch.testing.assert_close(losses.whole.view(2, 4), torch.stack(expected, dim=1), rtol=1e-3, atol=1e-5)
    assert losses.whole.min() > 1e-3


def test_held_out_loss_is_the_distance_of_the_edit_from_the_teachers(shards, tmp_path):
    module = module_of(distilled(shards, tmp_path, guidance=1.0, teacher_steps=1))
    conditions, _ = drawn(module)

    def measure() -> Tensor:
        latent = conditions.background_latent
        return module.heldout_loss(latent, conditions, torch.zeros(2), torch.Generator().manual_seed(2)).whole

    with torch.no_grad():
        assert measure().max() < 1e-5  # before training, the student is its unguided teacher
        stir(module)
        assert measure().min() > 1e-3


def test_the_loss_of_fixed_draws_falls(shards, tmp_path):
    module = module_of(distilled(shards, tmp_path))
    conditions, noise = drawn(module)
    optimiser = torch.optim.Adam([each for each in module.network.parameters() if each.requires_grad], 1e-2)
    losses = []
    for _ in range(12):
        losses.append(module.losses(conditions, noise)[0].whole.mean())
        optimiser.zero_grad()
        losses[-1].backward()
        optimiser.step()
    assert losses[-1] < 0.7 * losses[0]


def in_steps(module: FewStepsModule, num_steps: int, guidance_scale: float) -> dict:
    scheduler = make_scheduler(module.network.options.prediction_type, timestep_spacing="trailing")
    return {"scheduler": scheduler, "num_inference_steps": num_steps, "guidance_scale": guidance_scale}


def test_pseudo_huber_is_quadratic_below_its_width_and_linear_above():
    mask = torch.ones(1, 1, 1, 1)
    for error, width, expected in ((3.0, 4.0, 1.0), (0.1, 1.0, 0.0049876), (100.0, 1e-3, 100.0), (3.0, 0.0, 9.0)):
        loss = pseudo_huber_loss(torch.full((1, 4, 1, 1), error), torch.zeros(1, 4, 1, 1), mask, width=width)
        assert loss.whole.item() == pytest.approx(expected, rel=2e-3)


def test_a_run_resumes_and_its_file_makes_the_pipeline_edit_in_four_steps(shards, tmp_path, monkeypatch, capsys):
    settings = distilled(shards, tmp_path, heldout_loss_every=2, preview_every=2)
    fit(settings, tmp_path, monkeypatch, with_doctor=True)
    fit(settings, tmp_path, monkeypatch, "--run.max_steps", "3")
    whole = replace(distilled(shards, tmp_path, max_steps=3), output=tmp_path / "whole")
    fit(whole, tmp_path, monkeypatch)
    resumed, at_once = (
        read_checkpoint(folder / "checkpoints" / "last.ckpt")["ema"]
        for folder in (tmp_path / "run", tmp_path / "whole")
    )
    assert all(".lora_" in name for name in resumed)
    torch.testing.assert_close(resumed, at_once, rtol=0, atol=0)
    rows = read_records(tmp_path / "run" / "metrics.csv")
    assert rows[1]["heldout_loss"] > 0 and (tmp_path / "run" / "previews" / "step-0000002.png").is_file()

    export_lora(str(tmp_path / "run"), tmp_path / "few_steps.safetensors")
    assert read_lora(tmp_path / "few_steps.safetensors").recommended == FEW_STEPS
    pipe = MimicBrushPipeline.from_pretrained(tmp_path / "teacher")
    usual = pipe.network.options.recommended
    pipe.load_lora_weights(tmp_path / "few_steps.safetensors", "few")
    editors = pipe.editor(), MimicBrushEditor(tmp_path / "run"), pipe_of_file(tmp_path)
    request = request_of_noise()
    first, *others = [editor.edit(request).frames for editor in editors]
    for editor, frames in zip(editors[1:], others, strict=True):
        assert editor.scheduler.config.timestep_spacing == "trailing"
        assert (editor.settings.num_inference_steps, editor.settings.guidance_scale) == (4, 1.0)
        torch.testing.assert_close(frames, first, rtol=0, atol=1e-4)
    pipe.unload_lora_weights()
    assert pipe.network.options.recommended == usual
    assert pipe.scheduler.config.timestep_spacing == "leading"


def pipe_of_file(folder: Path) -> MimicBrushEditor:
    return MimicBrushEditor(folder / "teacher", lora=folder / "few_steps.safetensors")


def request_of_noise() -> ReferenceRequest:
    generator = torch.Generator().manual_seed(0)
    source, reference = torch.rand(2, 3, SIZE, SIZE, generator=generator)
    mask = torch.zeros(1, 1, SIZE, SIZE)
    mask[..., 8:24, 8:24] = 1
    return ReferenceRequest(source=source[None], mask=mask, reference=reference, seed=3)


def test_settings_that_do_not_fit_distillation_are_named_together(shards, tmp_path):
    with pytest.raises(UserError, match=r"(?s)imitative_lora is 0.*matching_weight, reference_drop_prob: not for"):
        RecipeConfig(matching_weight=0.1, few_steps=FewStepsConfig())
    with pytest.raises(UserError, match=r"(?s)guidance_scale is 0, expected 1 to 100.*teacher_steps is 0"):
        FewStepsConfig(guidance_scale=0, teacher_steps=0)
    settings = distilled(shards, tmp_path)
    with pytest.raises(UserError, match=r"(?s)network\.weights is null.*DDIMScheduler leading and guidance_scale 5"):
        replace(settings, network=one_block_config())


def test_a_recommendation_with_which_no_edit_works_is_refused_before_training(shards, tmp_path):
    settings = distilled(shards, tmp_path)
    for wrong, recipe, message in (
        (
            {"num_inference_steps": 60, "scheduler": "LCMScheduler"},
            RecipeConfig(),
            "LCMScheduler cannot sample in 60 steps",
        ),
        ({"scheduler": "Nonsense"}, RecipeConfig(), "scheduler Nonsense is not one of"),
    ):
        network = replace(settings.network, recommended=replace(FEW_STEPS, **wrong))
        with pytest.raises(UserError, match=f"network.recommended: {message}"):
            make_module(replace(settings, network=network, recipe=recipe))

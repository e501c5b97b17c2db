"""Consistency distillation: who is trained, what the loss is, and that a run's adapters edit in four steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mimicbrush.editors.mimicbrush import MimicBrushEditor
from mimicbrush.errors import UserError
from mimicbrush.model.config import RecommendedSettings
from mimicbrush.model.network import Conditions
from mimicbrush.model.weights.build import initialise
from mimicbrush.model.weights.exported_folder import folder_config, save_pretrained
from mimicbrush.model.weights.lora_export import export_lora
from mimicbrush.model.weights.lora_file import read_lora
from mimicbrush.model.weights.run_checkpoint import read_checkpoint
from mimicbrush.pipeline import MimicBrushPipeline
from mimicbrush.requests import ReferenceRequest
from mimicbrush.training.config import ConsistencyConfig, RecipeConfig, TrainConfig
from mimicbrush.training.consistency_module import ConsistencyDraw, ConsistencyModule
from mimicbrush.training.loss import pseudo_huber_loss
from mimicbrush.training.records import read_records
from mimicbrush.training.run_setup import make_module
from tests.conftest import SIZE, one_block_config
from tests.training.test_module import first_batch
from tests.training.test_training import config, fit

FEW_STEPS = RecommendedSettings(num_inference_steps=4, guidance_scale=1.0, scheduler="LCMScheduler")


def distilled(shards, folder: Path, *, network: dict | None = None, guidance=(3.0, 3.0), **run) -> TrainConfig:
    """A run that distils an exported folder of random weights."""
    if not (folder / "teacher").is_dir():
        save_pretrained(initialise(one_block_config(**network or {}), seed=5), folder / "teacher")
    settings = config(shards, folder / "run", **run)
    consistency = ConsistencyConfig(guidance_scales=guidance)
    return replace(
        settings,
        network=replace(folder_config(folder / "teacher"), recommended=FEW_STEPS),
        recipe=RecipeConfig(
            learning_rate=1e-2, warmup_steps=1, imitative_lora=2, reference_drop_prob=0.0, consistency=consistency
        ),
    )


def module_of(settings: TrainConfig) -> ConsistencyModule:
    module = make_module(settings)
    assert isinstance(module, ConsistencyModule)
    return module


def stir(module: ConsistencyModule) -> None:
    """Draw B, which is zero before training."""
    generator = torch.Generator().manual_seed(0)
    for name, parameter in module.network.named_parameters():
        if "lora_B" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator) / 3


def drawn(module: ConsistencyModule, guidance: float = 3.0) -> tuple[Tensor, Conditions, ConsistencyDraw]:
    generator = torch.Generator().manual_seed(0)
    source, reference = torch.rand(2, 2, 3, SIZE, SIZE, generator=generator)
    keep = torch.ones(2, dtype=torch.bool)
    conditions = module.network.condition(source, torch.ones(2, 1, SIZE, SIZE), reference, keep, generator)
    draw = module.draw_noise(module.network.encode(source, generator), generator)
    scale = torch.full_like(draw.guidance_scale, guidance)
    return module.network.encode(source, generator), conditions, draw._replace(guidance_scale=scale)


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


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_an_exact_student_of_an_exact_teacher_has_no_loss(shards, tmp_path, monkeypatch, prediction_type):
    """Both know the only latent there is, so that a path ends where it should from each of its points."""
    module = module_of(distilled(shards, tmp_path, network={"prediction_type": prediction_type}))
    latent, conditions, draw = drawn(module)

    def know(noisy: Tensor, timestep: Tensor, *_: object, **__: object) -> Tensor:
        alpha = module.levels.scheduler.alphas_cumprod[timestep].view(-1, 1, 1, 1)
        known = latent.repeat(len(noisy) // len(latent), 1, 1, 1)
        noise = (noisy - alpha**0.5 * known) / (1 - alpha) ** 0.5
        return noise if prediction_type == "epsilon" else alpha**0.5 * noise - (1 - alpha) ** 0.5 * known

    monkeypatch.setattr(module.network, "predict", know)
    for level in ([3, 20], [49, 1]):
        losses = module.losses(latent, conditions, draw._replace(level=torch.tensor(level)))
        assert losses.whole.max() < 1e-5
    monkeypatch.setattr(module.network, "predict", lambda noisy, *_, **__: noisy)
    assert module.losses(latent, conditions, draw).whole.min() > 1e-3


def test_the_target_is_the_student_after_a_step_of_the_guided_teacher(shards, tmp_path):
    module = module_of(distilled(shards, tmp_path))
    stir(module)
    latent, conditions, draw = drawn(module, guidance=3.0)
    levels, network = module.levels, module.network
    teacher = initialise(folder_config(tmp_path / "teacher"))
    with torch.no_grad():
        noisy, timestep = levels.step_from(draw.level).add_noise(latent, draw.noise), levels.timesteps[draw.level]
        seen = teacher.reference_features(conditions.reference_latent, timestep, conditions.image_tokens)
        conditional = teacher.predict(noisy, timestep, conditions, seen)
        blind = conditions._replace(image_tokens=teacher.absent_tokens().expand_as(conditions.image_tokens))
        unconditional = teacher.predict(noisy, timestep, blind, None)
        solved = levels.solve(unconditional + 3.0 * (conditional - unconditional), noisy, draw.level)
        ends = []
        for place, at in ((noisy, timestep), (solved, levels.previous_timesteps[draw.level])):
            seen = network.reference_features(conditions.reference_latent, at, conditions.image_tokens)
            ends.append(levels.original(network.predict(place, at, conditions, seen), place, at))
        expected = pseudo_huber_loss(*ends, conditions.mask, width=0.001).whole
        torch.testing.assert_close(module.losses(latent, conditions, draw).whole, expected, rtol=1e-4, atol=1e-6)
        weaker = module.losses(latent, conditions, draw._replace(guidance_scale=torch.ones(2, 1, 1, 1)))
    assert not torch.allclose(weaker.whole, expected, rtol=1e-3)


def test_the_loss_of_fixed_draws_falls(shards, tmp_path):
    module = module_of(distilled(shards, tmp_path))
    latent, conditions, draw = drawn(module)
    optimiser = torch.optim.Adam([each for each in module.network.parameters() if each.requires_grad], 1e-2)
    losses = []
    for _ in range(12):
        losses.append(module.losses(latent, conditions, draw).whole.mean())
        optimiser.zero_grad()
        losses[-1].backward()
        optimiser.step()
    assert losses[-1] < 0.7 * losses[0]


def test_the_held_out_loss_is_the_distance_to_the_end_of_the_teachers_path(shards, tmp_path, monkeypatch):
    """A teacher that knows the only latent ends there; a student that is off by a constant loses just that."""
    module = module_of(distilled(shards, tmp_path))
    latent, conditions, _ = drawn(module)
    levels, error = module.levels, 0.0

    def know(noisy: Tensor, timestep: Tensor, *_: object, twins: bool = False, **__: object) -> Tensor:
        alpha = levels.scheduler.alphas_cumprod[timestep].view(-1, 1, 1, 1)
        known = latent.repeat(len(noisy) // len(latent), 1, 1, 1) + (0.0 if twins else error)
        return (noisy - alpha**0.5 * known) / (1 - alpha) ** 0.5

    monkeypatch.setattr(module.network, "predict", know)
    for error in (0.0, 0.25):
        generator = torch.Generator().manual_seed(2)
        losses = module.heldout_loss(latent, conditions, torch.tensor([30, 990]), generator)
        # At the last level 0.1 % of the variance is noise, which the teacher leaves as diffusers' samplers do.
        torch.testing.assert_close(losses.whole, torch.full((2,), error), rtol=0, atol=0.03)


def test_the_guidance_scale_is_fixed_or_drawn_from_its_range(shards, tmp_path):
    for low, high in ((2.0, 2.0), (1.5, 4.0)):
        module = module_of(distilled(shards, tmp_path, guidance=(low, high)))
        scale = module.draw_noise(torch.zeros(200, 4, 2, 2), torch.Generator().manual_seed(1)).guidance_scale
        assert low <= scale.min() and scale.max() <= high
        assert (scale.min() < 1.7 and scale.max() > 3.8) == (low < high)


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
        assert type(editor.scheduler).__name__ == "LCMScheduler"
        assert (editor.settings.num_inference_steps, editor.settings.guidance_scale) == (4, 1.0)
        torch.testing.assert_close(frames, first, rtol=0, atol=1e-4)
    pipe.unload_lora_weights()
    assert pipe.network.options.recommended == usual
    assert type(pipe.scheduler).__name__ == "DDIMScheduler"


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
        RecipeConfig(matching_weight=0.1, consistency=ConsistencyConfig())
    with pytest.raises(UserError, match=r"guidance_scales are 3 and 2, expected 1 to 100, the lower one first"):
        ConsistencyConfig(guidance_scales=(3.0, 2.0))
    settings = distilled(shards, tmp_path)
    with pytest.raises(UserError, match=r"(?s)network\.weights is null.*DDIMScheduler and guidance_scale 5"):
        replace(settings, network=one_block_config())


def test_a_recommendation_with_which_no_edit_works_is_refused_before_training(shards, tmp_path):
    settings = distilled(shards, tmp_path)
    for wrong, recipe, message in (
        ({"num_inference_steps": 60}, settings.recipe, "LCMScheduler cannot sample in 60 steps"),
        ({"scheduler": "Nonsense"}, RecipeConfig(), "scheduler Nonsense is not one of"),
    ):
        network = replace(settings.network, recommended=replace(FEW_STEPS, **wrong))
        with pytest.raises(UserError, match=f"network.recommended: {message}"):
            make_module(replace(settings, network=network, recipe=recipe))

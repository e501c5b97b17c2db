"""Effects of the recipe on the loss and gradients of one training step."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from mimicbrush.data.decode import PairBatch, collate
from mimicbrush.errors import UserError
from mimicbrush.model.reference_attention import NO_CONTEXT, PlainAttention
from mimicbrush.model.weights.run_checkpoint import read_checkpoint
from mimicbrush.training import trainer
from mimicbrush.training.config import TrainConfig
from mimicbrush.training.module import MimicBrushModule
from mimicbrush.training.resume_settings import describe_other_run
from mimicbrush.training.run_setup import make_data, make_module
from tests.conftest import one_block_config
from tests.training.test_training import config, fit


def first_batch(settings: TrainConfig) -> PairBatch:
    dataset = make_data(settings).dataset
    return collate([dataset[position] for position in range(settings.data.batch_size)])


def module_for(settings: TrainConfig, **recipe) -> MimicBrushModule:
    return make_module(replace(settings, recipe=replace(settings.recipe, **recipe)))


def gradients(settings: TrainConfig, **recipe) -> dict[str, Tensor]:
    module = module_for(settings, **recipe)
    module.training_step(first_batch(settings), 0)["loss"].backward()
    return {name: weight.grad for name, weight in module.network.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_min_snr_weights_the_loss_but_not_the_records(shards, tmp_path, prediction_type):
    settings = config(shards, tmp_path, network=one_block_config(prediction_type=prediction_type))
    pairs = first_batch(settings)
    plain, weighted = (module_for(settings, min_snr_gamma=gamma).training_step(pairs, 0) for gamma in (0.0, 5.0))
    for name in ("timestep", "whole", "inside", "outside"):
        torch.testing.assert_close(weighted[name], plain[name], rtol=0, atol=0)
    a = (1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000).double().square()).cumprod(0)[plain["timestep"]]
    snr = a / (1 - a)
    weight = snr.clamp(max=5.0) / (snr if prediction_type == "epsilon" else snr + 1)
    assert weight.min() < 0.9
    torch.testing.assert_close(weighted["loss"].double(), (weight * plain["whole"]).mean(), rtol=1e-4, atol=0)
    torch.testing.assert_close(plain["loss"], plain["whole"].mean())


@pytest.mark.parametrize("projections", ["imitative", "reference"])
def test_detached_tokens_change_the_image_projectors_gradient_alone(shards, tmp_path, projections):
    settings = config(shards, tmp_path, network=one_block_config(reference_projections=projections))
    full, detached = (gradients(settings, reference_gradient=name) for name in ("full", "detached"))
    trained = gradients(settings, train_reference=True)
    assert full.keys() == detached.keys() == {name for name in trained if not name.startswith("reference_unet")}
    for name, gradient in full.items():
        torch.testing.assert_close(gradient, trained[name], rtol=1e-4, atol=1e-7)
        is_projector = name.startswith("image_projector")
        assert torch.allclose(gradient, detached[name], rtol=1e-4, atol=1e-7) != is_projector


def test_a_run_older_than_the_option_keeps_its_gradient(shards, tmp_path, monkeypatch, capsys):
    settings = config(shards, tmp_path / "run")
    fit(settings, tmp_path, monkeypatch)
    last, written = tmp_path / "run" / "checkpoints" / "last.ckpt", tmp_path / "run" / "config.yaml"
    checkpoint = read_checkpoint(last)
    assert checkpoint.pop("reference_gradient") == "full"
    last.unlink()  # its tensors are mapped from it
    torch.save(checkpoint, last)
    fields = ("reference_gradient", "min_snr_gamma")
    written.write_text("".join(line for line in written.open() if not any(name in line for name in fields)))
    # Naming the option is no contradiction to the older config, which does not have it.
    assert describe_other_run(replace(settings, recipe=replace(settings.recipe, reference_gradient="detached"))) is None
    fit(settings, tmp_path, monkeypatch, "--run.max_steps", "3")
    assert "recipe.reference_gradient stays detached" in capsys.readouterr().out
    assert read_checkpoint(last)["reference_gradient"] == "detached"


def test_an_older_run_that_trains_the_reference_unet_has_the_full_gradient(shards, tmp_path):
    module = module_for(config(shards, tmp_path), train_reference=True)
    module.on_load_checkpoint({})
    assert module.reference_gradient == "full"


def test_a_new_run_trains_with_the_full_gradient():
    assert TrainConfig(output=Path("x"), data=None).recipe.reference_gradient == "full"


def test_a_dead_rank_is_named_without_importing_the_compiler(monkeypatch):
    def die(*args, **kwargs) -> None:
        raise RuntimeError("Connection closed by peer")

    monkeypatch.delitem(sys.modules, "torch._dynamo.exc", raising=False)
    with pytest.raises(UserError, match="another rank has died"):
        trainer.fit(SimpleNamespace(fit=die), None, None, None)
    assert "torch._dynamo.exc" not in sys.modules


def test_what_cannot_be_compiled_whole_is_said_in_one_line(shards, tmp_path, monkeypatch):
    whole = PlainAttention.__call__

    def attend(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, context=NO_CONTEXT):
        torch._dynamo.graph_break()
        return whole(self, attn, hidden_states, encoder_hidden_states)

    monkeypatch.setattr("mimicbrush.model.reference_attention.PlainAttention.__call__", attend)
    settings = config(shards, tmp_path / "run", compile=True)
    with pytest.raises(
        UserError, match=r"^run\.compile: a U-Net cannot be compiled whole \(.*graph_break.*\); set it to"
    ):
        fit(settings, tmp_path, monkeypatch, with_doctor=True)

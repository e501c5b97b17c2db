"""Adapters of the U-Nets' projections change nothing at first, and can be folded into the weights."""

from __future__ import annotations

import copy

import pytest
import torch
from peft.tuners.lora import LoraLayer

from mimicbrush.model.gradient_checkpointing import enable_gradient_checkpointing
from mimicbrush.model.lora import add_lora, fold, has_adapters, lacks_base
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.weights.build import initialise
from tests.conftest import SIZE, one_block_config

RANK = 2


def adapted(**changes) -> MimicBrushNetwork:
    network = initialise(one_block_config(**changes))
    for seed, unet in enumerate((network.imitative_unet, network.reference_unet)):
        add_lora(unet, RANK, seed=seed)
    return network


def stirred(network: MimicBrushNetwork) -> MimicBrushNetwork:
    """Draw B, which is not zero after training."""
    generator = torch.Generator().manual_seed(0)
    for name, parameter in network.named_parameters():
        if "lora_B" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator) / 3
    return network


def predict(network: MimicBrushNetwork) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    source, reference = torch.rand(2, 2, 3, SIZE, SIZE, generator=generator)
    mask = torch.ones(2, 1, SIZE, SIZE)
    conditions = network.condition(source, mask, reference, torch.ones(2, dtype=torch.bool), generator)
    timestep = torch.tensor([300, 700])
    noisy = torch.randn(conditions.background_latent.shape, generator=generator)
    features = network.reference_features(conditions.reference_latent, timestep, conditions.image_tokens)
    return network.predict(noisy, timestep, conditions, features, keep_reference=torch.tensor([True, True]))


def gradients(network: MimicBrushNetwork) -> dict[str, torch.Tensor | None]:
    predict(network).square().mean().backward()
    return {name: parameter.grad for name, parameter in network.named_parameters() if parameter.requires_grad}


def folded(network: MimicBrushNetwork, **changes) -> MimicBrushNetwork:
    plain = initialise(one_block_config(**changes), seed=9)
    plain.load_state_dict(network.state_dict(), strict=False)
    for name in ("imitative_unet", "reference_unet"):
        getattr(plain, name).load_state_dict(fold(getattr(network, name).state_dict()))
    return plain


@torch.no_grad()
def test_fresh_adapters_change_nothing():
    torch.testing.assert_close(predict(adapted()), predict(initialise(one_block_config())), rtol=0, atol=0)


def test_the_same_seed_draws_the_same_adapters_and_leaves_torchs_generator_alone():
    state = torch.get_rng_state()
    torch.testing.assert_close(adapted().state_dict(), adapted().state_dict(), rtol=0, atol=0)
    add_lora(initialise(one_block_config()).imitative_unet, RANK, seed=0)
    assert torch.equal(torch.get_rng_state(), state)


def test_adapters_alone_are_trained():
    unet = adapted().imitative_unet
    trained = {name for name, parameter in unet.named_parameters() if parameter.requires_grad}
    assert trained == {name for name in unet.state_dict() if "lora_" in name}
    assert len(trained) == len(unet.attn_processors) * 4 * 2


@pytest.mark.parametrize("projections", ["imitative", "reference"])
def test_every_adapter_gets_a_gradient(projections):
    """DDP waits for the gradient of every trained parameter."""
    found = gradients(stirred(adapted(reference_projections=projections)))
    assert [name for name, gradient in found.items() if gradient is None] == []
    assert [name for name, gradient in found.items() if "lora_" in name and not gradient.any()] == []


@pytest.mark.parametrize("projections", ["imitative", "reference"])
def test_gradient_checkpointing_changes_no_gradient(projections):
    network = stirred(adapted(reference_projections=projections)).train()
    checkpointed = copy.deepcopy(network)
    for unet in (checkpointed.imitative_unet, checkpointed.reference_unet):
        enable_gradient_checkpointing(unet)
    torch.testing.assert_close(gradients(checkpointed), gradients(network), rtol=1e-4, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("projections", ["imitative", "reference"])
def test_folded_adapters_predict_the_same(projections):
    network = stirred(adapted(reference_projections=projections))
    plain = folded(network, reference_projections=projections)
    fresh = adapted(reference_projections=projections)
    torch.testing.assert_close(predict(plain), predict(network), rtol=0, atol=1e-5)
    assert not torch.allclose(predict(fresh), predict(network), atol=1e-2)


@torch.no_grad()
def test_folding_is_what_peft_merges():
    unet = stirred(adapted()).imitative_unet
    ours = fold(unet.state_dict())
    for name, layer in unet.named_modules():
        if isinstance(layer, LoraLayer):
            layer.merge()
            torch.testing.assert_close(ours[f"{name}.weight"], layer.get_base_layer().weight, rtol=0, atol=1e-6)
    assert ours.keys() == initialise(one_block_config()).imitative_unet.state_dict().keys()


def test_adapters_without_their_base_are_recognised():
    tensors = adapted().imitative_unet.state_dict()
    alone = {name: tensor for name, tensor in tensors.items() if "lora_" in name}
    assert has_adapters(tensors)
    assert not lacks_base(tensors)
    assert lacks_base(alone)
    assert not has_adapters(initialise(one_block_config()).imitative_unet.state_dict())

"""Gradient checkpointing and torch.compile together: the graph does not break, and no result changes."""

import pytest
import torch
from torch._dynamo.utils import counters

from mimicbrush.model.gradient_checkpointing import enable_gradient_checkpointing
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.reference_attention import CapturedStates
from mimicbrush.model.weights.build import initialise
from mimicbrush.training.matching import matching_loss
from tests.conftest import SIZE, one_block_config


def small_network(train_reference: bool) -> MimicBrushNetwork:
    network = initialise(one_block_config()).train()
    network.reference_unet.requires_grad_(train_reference)
    return network


def step(network: MimicBrushNetwork, *, detached: bool) -> dict[str, torch.Tensor]:
    """Loss of two pictures, including matched points, and the gradients of all trained parameters."""
    network.zero_grad()
    generator = torch.Generator().manual_seed(0)
    source, reference = torch.rand(2, 2, 3, SIZE, SIZE, generator=generator)
    mask, matches = torch.ones(2, 1, SIZE, SIZE), torch.rand(2, 3, 4, generator=generator)
    told = network.condition(source, mask, reference, torch.tensor([True, False]), generator)
    noisy = torch.randn(2, 4, SIZE // 4, SIZE // 4, generator=generator)
    timestep, keep, queries = torch.tensor([100, 700]), torch.tensor([True, False]), CapturedStates()
    tokens = told.image_tokens.detach() if detached else told.image_tokens
    features = network.reference_features(told.reference_latent, timestep, tokens)
    predicted = network.predict(noisy, timestep, told, features, keep_reference=keep, queries=queries)
    loss = predicted.square().mean() + matching_loss(queries.states, features, matches).mean
    loss.backward()
    gradients = {name: weight.grad for name, weight in network.named_parameters() if weight.grad is not None}
    return {"loss": loss.detach(), **gradients}


@pytest.mark.parametrize(
    ("train_reference", "detached", "checkpointing", "backend"),
    [
        pytest.param(True, False, True, "eager", marks=pytest.mark.slow),
        # aot_eager refuses to checkpoint blocks without a backward pass.
        pytest.param(False, True, True, "aot_eager", marks=pytest.mark.slow),
        pytest.param(False, False, True, "aot_eager", marks=pytest.mark.slow),
        pytest.param(True, False, True, "aot_eager", marks=pytest.mark.slow),
        pytest.param(False, False, False, "aot_eager", marks=pytest.mark.slow),
        pytest.param(False, True, False, "aot_eager", marks=pytest.mark.slow),
        pytest.param(True, False, False, "aot_eager", marks=pytest.mark.slow),
    ],
)
def test_the_compiled_network_computes_the_same(train_reference, detached, checkpointing, backend):
    network = small_network(train_reference)
    expected = step(network, detached=detached)
    torch.compiler.reset()
    counters.clear()
    for unet in (network.imitative_unet, network.reference_unet):
        if checkpointing:
            enable_gradient_checkpointing(unet)
        unet.compile(fullgraph=True, backend=backend)
    found = step(network, detached=detached)
    assert found.keys() == expected.keys()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert not counters["graph_break"]
    assert counters["stats"]["unique_graphs"] == 2


@pytest.mark.parametrize("train_reference", [False, True])
def test_checkpointed_eagerly_it_computes_the_same(train_reference):
    network = small_network(train_reference)
    expected = step(network, detached=False)
    for unet in (network.imitative_unet, network.reference_unet):
        enable_gradient_checkpointing(unet)
    torch.testing.assert_close(step(network, detached=False), expected, rtol=1e-4, atol=1e-6)

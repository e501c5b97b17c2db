"""Compare counts with hand calculations, and with real tensors."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mimicbrush.data.config import DataConfig, SourceConfig
from mimicbrush.model.config import PartConfig, full_size_network
from mimicbrush.model.gradient_checkpointing import enable_gradient_checkpointing
from mimicbrush.model.weights.build import initialise
from mimicbrush.training.config import RecipeConfig, RunConfig, TrainConfig
from mimicbrush.training.flops_and_bytes import LiveBytes, SavedBytes, count_flops
from mimicbrush.training.step_cost import (
    StepCost,
    cost_of_run,
    count_cost,
    shaped_network,
)
from tests.conftest import DEPTH, SIZE, one_block_config

NETWORK = one_block_config(depth=PartConfig(arguments=DEPTH))


@pytest.fixture(scope="module")
def plain() -> StepCost:
    return count_cost(shaped_network(NETWORK), batch_size=2)


@pytest.fixture(scope="module")
def detached() -> StepCost:
    return count_cost(shaped_network(NETWORK), batch_size=2, reference_gradient="detached")


def test_flops_of_a_linear_layer_a_convolution_and_attention():
    _, linear = count_flops(lambda: nn.Linear(5, 7)(torch.zeros(3, 5)))
    assert linear == 2 * 3 * 5 * 7
    _, convolution = count_flops(lambda: nn.Conv2d(2, 4, 3, stride=2, padding=1)(torch.zeros(1, 2, 8, 6)))
    assert convolution == 2 * (4 * 3) * (2 * 9) * 4
    query, key = torch.zeros(2, 3, 10, 8, requires_grad=True), torch.zeros(2, 3, 20, 8)
    attended, attention = count_flops(lambda: F.scaled_dot_product_attention(query, key, key))
    product = 2 * (2 * 3) * 10 * 20 * 8
    assert attention == 2 * product
    # Scores again, then the gradients of the scores, values, queries and keys.
    assert count_flops(attended.sum().backward)[1] == 5 * product


def test_bytes_in_use_at_once_and_bytes_saved_for_backward():
    weight = torch.zeros(4, 4, requires_grad=True)
    with LiveBytes([weight]) as live, SavedBytes([weight]) as saved:
        first = torch.ones(4, 4)
        product = first @ weight.t()
        result = product.exp()
        del product
        torch.ones(4, 4)
    assert live.peak == 3 * 64
    assert saved.total == 2 * 64  # `first` for the product, `result` for the exponential
    del first, result
    assert live.now == 0


def test_shapes_alone_give_what_real_tensors_give(plain):
    real = initialise(NETWORK)
    real.reference_unet.requires_grad_(False)
    assert count_cost(real, batch_size=2) == plain

    cost = count_cost(real, batch_size=2, precision="32-true")
    pictures, mask, keep = torch.rand(2, 3, SIZE, SIZE), torch.ones(2, 1, SIZE, SIZE), torch.ones(2, dtype=torch.bool)
    timestep = torch.zeros(2, dtype=torch.long)
    with SavedBytes(real.parameters()) as saved:
        told = real.condition(pictures, mask, pictures, keep)
        reference = (told.reference_latent, timestep, told.image_tokens)
        features, of_reference = count_flops(lambda: real.reference_features(*reference))
        imitative = (told.background_latent, timestep, told, features)
        predicted, of_imitative = count_flops(lambda: real.predict(*imitative, keep_reference=keep))
    assert of_reference == 2 * cost.flops["reference U-Net"]
    assert of_imitative == 2 * cost.flops["imitative U-Net"]
    assert count_flops(predicted.sum().backward)[1] == 2 * cost.flops["backward"]
    assert saved.total == pytest.approx(cost.saved, rel=0.02)  # the loss keeps a little more


def test_checkpointing_trades_saved_activations_for_flops(plain):
    network = shaped_network(NETWORK)
    for unet in (network.imitative_unet, network.reference_unet):
        enable_gradient_checkpointing(unet)
    spared = count_cost(network, batch_size=2)
    assert spared.saved < plain.saved / 2
    assert spared.activations < plain.activations
    recomputed = spared.flops["backward"] - plain.flops["backward"]
    assert 0.5 < recomputed / (plain.flops["imitative U-Net"] + plain.flops["reference U-Net"]) <= 1


def test_half_precision_eight_bit_state_and_dropped_shapes_take_less(plain):
    network = shaped_network(NETWORK)
    nn.Module.to(network.image_encoder, torch.bfloat16)
    spared = count_cost(network, batch_size=2, optimizer="adamw8bit", averaged=False, shape_drop_prob=0.5)
    assert spared.weights["image_encoder"] == plain.weights["image_encoder"] / 2
    assert (spared.optimizer_state, spared.averaged) == (plain.optimizer_state / 4, 0)
    assert spared.flops["shape latent"] == plain.flops["shape latent"] / 2
    num_trained = sum(plain.trained.values())
    assert (plain.gradients, plain.optimizer_state, plain.averaged) == (
        4 * num_trained,
        8 * num_trained,
        plain.gradients,
    )


def test_a_trained_reference_costs_its_backward_pass(plain, detached):
    both = count_cost(shaped_network(NETWORK, train_reference=True), batch_size=2)
    assert both.flops["backward"] > 1.5 * detached.flops["backward"]
    assert "reference_unet" in both.trained.keys() - plain.trained.keys()


def test_detached_tokens_spare_a_frozen_references_backward_pass(plain, detached):
    """The backward pass costs half of that of a trained U-Net, which also computes gradients of weights."""
    spared = plain.flops["backward"] - detached.flops["backward"]
    assert 0.7 < spared / plain.flops["reference U-Net"] < 1.3
    assert detached.saved < plain.saved
    assert detached.total_flops == plain.total_flops - spared


def test_a_runs_cost_is_that_of_what_it_trains(tmp_path, plain):
    config = TrainConfig(
        output=tmp_path,
        network=NETWORK,
        data=DataConfig(sources=[SourceConfig(shards=tmp_path, weight=1.0)], batch_size=2),
        recipe=RecipeConfig(imitative_lora=2, optimizer="adamw8bit"),
        run=RunConfig(frozen_precision="bfloat16"),
    )
    cost = cost_of_run(config)
    assert cost.trained["imitative_unet"] < plain.trained["imitative_unet"] / 2
    assert cost.weights["autoencoder"] == plain.weights["autoencoder"] / 2
    assert cost.optimizer_state == 2 * sum(cost.trained.values())
    assert cost.memory < plain.memory


@pytest.mark.slow
def test_the_full_size_network_is_counted_without_weights():
    network = shaped_network(full_size_network())
    assert sum(parameter.numel() for parameter in network.imitative_unet.parameters()) == 859_546_884
    assert sum(parameter.numel() for parameter in network.reference_unet.parameters()) == 857_066_560
    cost = count_cost(network)
    assert 3.3e12 < cost.flops["VAE, target"] + cost.flops["VAE, conditions"] < 3.4e12
    assert 8.7e12 < cost.total_flops < 8.9e12
    assert 4 < cost.saved / 2**30 < 6
    assert "reference_unet, frozen" in cost.describe()

"""Muon beside AdamW: which parameters each updates, one learning rate, and a state from which training resumes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mimicbrush.errors import UserError
from mimicbrush.training.muon import MuonAdamW
from mimicbrush.training.step_loop import train_steps


def build_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(4, 32, 3), nn.Conv2d(32, 40, 3), nn.Conv2d(40, 4, 1))


def compute_loss(network: nn.Sequential) -> torch.Tensor:
    pictures = torch.rand(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    return (network(pictures) - 1).square().mean()


def backward(network: nn.Sequential, optimizer: MuonAdamW) -> torch.Tensor:
    """Compute gradients as Lightning does, inside the optimiser's step."""
    optimizer.zero_grad()
    loss = compute_loss(network)
    loss.backward()
    return loss.detach()


def test_a_convolution_moves_along_an_orthogonal_matrix_and_biases_as_by_adamw():
    network, plain = build_network(), build_network()
    for each, optimizer in (
        (network, MuonAdamW(network.parameters(), lr=1e-2, weight_decay=0.0)),
        (plain, torch.optim.AdamW(plain.parameters(), lr=1e-2, weight_decay=0.0)),
    ):
        generator = torch.Generator().manual_seed(2)
        for parameter in each.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()
    before = build_network()
    update = (before[1].weight - network[1].weight).detach().view(40, -1)
    # All singular values of an orthogonalised update are alike, up to the few Newton-Schulz steps of torch's Muon.
    values = torch.linalg.svdvals(update)
    assert values.min() > 0.4 * values.max()
    assert update.square().mean().sqrt() < 1e-2
    for index in (0, 1, 2):
        assert torch.equal(network[index].bias, plain[index].bias)
    assert torch.equal(network[2].weight, plain[2].weight)


def test_a_convolution_that_is_stored_channels_last_moves_like_a_contiguous_one():
    moved = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        network = build_network().to(memory_format=memory_format)
        optimizer = MuonAdamW(network.parameters(), lr=1e-2, weight_decay=0.0)
        loss = optimizer.step(lambda network=network, optimizer=optimizer: backward(network, optimizer))
        assert loss == compute_loss(build_network())
        moved.append(network[1].weight.detach())
    assert not moved[1].is_contiguous()
    assert not torch.equal(moved[0], build_network()[1].weight)
    # Newton-Schulz steps in bfloat16 depend on the order of the columns in their last bits.
    torch.testing.assert_close(moved[0], moved[1], rtol=0, atol=1e-4)


def test_the_scaler_of_float16_finds_the_gradients_of_matrices():
    network, plain = build_network(), build_network()
    compute_loss(plain).backward()
    optimizer = MuonAdamW(network.parameters(), lr=1e-2, weight_decay=0.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    scaler.scale(compute_loss(network)).backward()
    scaler.unscale_(optimizer)
    for each, expected in zip(network.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(each.grad, expected.grad)


def test_a_network_without_large_matrices_is_refused():
    with pytest.raises(UserError, match="no trained matrix has 32 rows"):
        MuonAdamW(nn.Linear(64, 16).parameters(), lr=1e-2, weight_decay=0.0)


def test_training_that_is_interrupted_ends_in_the_same_weights(tmp_path):
    settings = {"learning_rate": 1e-2, "weight_decay": 0.01, "save_every": 3, "optimizer_class": MuonAdamW}

    def train(name: str, last: int | None = None) -> nn.Sequential:
        network = build_network()

        def loss(step: int) -> torch.Tensor:
            if step == last:
                raise KeyboardInterrupt
            return compute_loss(network)

        train_steps(network, loss, num_steps=8, state=tmp_path / name, **settings)
        return network

    whole = train("whole")
    try:
        train("parts", last=5)
    except KeyboardInterrupt:
        resumed = train("parts")
    assert compute_loss(whole) < 0.5 * compute_loss(build_network())
    assert all(torch.equal(one, other) for one, other in zip(whole.parameters(), resumed.parameters(), strict=True))

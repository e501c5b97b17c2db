"""Train the small RAFT and write it with its card."""

from __future__ import annotations

import torch
from torch import Tensor

from mimicbrush.errors import UserError
from mimicbrush.files import write_json
from mimicbrush.flow.raft import Raft
from mimicbrush.flow.raft_weights import load_raft, save_raft
from mimicbrush.folder_lock import held
from mimicbrush.run_folder import claim, refuse_other_run
from mimicbrush.seeds import seed_of
from mimicbrush.training.step_loop import train_steps
from mimicbrush.world.flow.config import FlowTrainingConfig
from mimicbrush.world.flow.flow_measures import measure_flow
from mimicbrush.world.flow.moving_pairs import (
    MovingPairs,
    draw_heldout_objects,
    draw_heldout_photographs,
    draw_training_pairs,
    render_pairs,
)

STATE, CARD = "state.pt", "card.json"
DECAY = 0.8
"""Weight of an iteration's error relative to the next one's (RAFT, equation 7)."""
LIGHT = 0.1
"""Largest change of the gain of each channel of the second picture alone."""
NOISE = 0.03
"""Largest standard deviation of the noise, as a share of the range of pixels."""


def train_flow(config: FlowTrainingConfig) -> str:
    """Render, train, measure on held-out pairs, and write the network with its card."""
    with held(config.output):
        refuse_other_run(config.output, config)
        torch.manual_seed(config.seed)
        raft = first_network(config)
        # Only now, so that weights that do not fit can be replaced by others in the same folder.
        claim(config.output, config)
        renders, arguments = config.output / "renders", (config.seed, config.picture_size)
        pairs = render_pairs(renders, "training", config.num_samples, draw_training_pairs(*arguments))
        heldout = {
            name: render_pairs(renders, name, config.num_heldout, draw(*arguments))
            for name, draw in (("objects", draw_heldout_objects), ("photographs", draw_heldout_photographs))
        }
        seconds = train_steps(
            raft,
            lambda step: _loss(raft, pairs, step, config),
            num_steps=config.max_steps,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            state=config.output / STATE,
            save_every=config.checkpoint_every,
        )
        save_raft(raft, config.output, dtype=torch.half)
        figures = measure_flow(config.output, heldout)
        write_json({"cpu_seconds_of_training": round(seconds), **figures}, config.output / CARD)
    errors = ", ".join(f"{name} {each['raft']['mean']:.2f}" for name, each in figures["end_point_error"].items())
    return f"end-point error in pixels on held-out pairs: {errors}; RAFT and card -> {config.output}"


def first_network(config: FlowTrainingConfig) -> Raft:
    """Draw random weights, or load those of an earlier run, which must have the same sizes."""
    if config.start is None:
        return Raft(config.network, config.num_iterations)
    raft = load_raft(str(config.start), num_iterations=config.num_iterations).requires_grad_()
    if raft.config != config.network:
        raise UserError(f"start: {config.start} holds a RAFT of other sizes; give both runs the same network")
    return raft


def _loss(raft: Raft, pairs: MovingPairs, step: int, config: FlowTrainingConfig) -> Tensor:
    """The weighted errors of all iterations, on a batch that follows from seed and step alone."""
    generator = torch.Generator().manual_seed(seed_of(config.seed, "flow step", step))
    chosen = torch.randint(len(pairs.first), (config.batch_size,), generator=generator)
    batch = turn(MovingPairs(*(field[chosen] for field in pairs)), generator)
    first, second = change_light(batch.first.float() / 255, batch.second.float() / 255, generator)
    on_object, true_flow = batch.on_object.float(), batch.flow.float()
    # The object covers a small part of the picture; its mean error counts by itself.
    weights = 1 / on_object.numel() + config.object_weight * on_object / on_object.sum().clamp(min=1)
    total = torch.zeros(())
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bfloat16"):
        for iteration in raft.iterate(first, second):
            error = (raft.upsample(iteration, first).float() - true_flow).abs().sum(dim=1, keepdim=True)
            total = DECAY * total + (weights * error).sum()
    return total


def turn(pairs: MovingPairs, generator: torch.Generator) -> MovingPairs:
    """Mirror all pairs of a batch, or exchange rows and columns, at random, with their flow."""
    horizontal, vertical, is_transposed = (torch.rand(3, generator=generator) < 0.5).tolist()
    for is_mirrored, axis, component in ((horizontal, -1, 0), (vertical, -2, 1)):
        if is_mirrored:
            pairs = MovingPairs(*(field.flip(axis) for field in pairs))
            sign = torch.ones(2, 1, 1, dtype=pairs.flow.dtype)
            sign[component] = -1
            pairs = pairs._replace(flow=sign * pairs.flow)
    if is_transposed:
        pairs = MovingPairs(*(field.transpose(-1, -2) for field in pairs))
        pairs = pairs._replace(flow=pairs.flow.flip(1))
    return pairs


def change_light(first: Tensor, second: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Change the colours of both pictures (B, 3, H, W) alike, the light of the second one, and add noise."""
    batch = len(first)

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(batch, *shape, 1, 1, generator=generator)

    order = torch.randperm(3, generator=generator)
    gain, offset = draw(0.8, 1.2, 3), draw(-0.1, 0.1, 3)
    first, second = (gain * pictures[:, order] + offset for pictures in (first, second))
    second = second * draw(1 - LIGHT, 1 + LIGHT, 3)
    deviation = draw(0, NOISE, 1)
    first, second = (
        pictures + deviation * torch.randn(pictures.shape, generator=generator) for pictures in (first, second)
    )
    return first.clamp(0, 1), second.clamp(0, 1)

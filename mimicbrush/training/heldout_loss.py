"""Measure the loss on held-out pairs with fixed masks, timesteps and noise, to find the best checkpoint."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import NamedTuple

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from mimicbrush.data.batch import InpaintingBatch
from mimicbrush.diffusion.schedulers import make_scheduler, prediction_target
from mimicbrush.model.network import Conditions, MimicBrushNetwork
from mimicbrush.seeds import seed_of
from mimicbrush.training.averaging import AveragedWeights
from mimicbrush.training.callbacks import evaluating
from mimicbrush.training.early_stop import KEY, HeldoutProgress, progress_in
from mimicbrush.training.loss import LossParts, prediction_loss
from mimicbrush.training.module import MimicBrushModule

TIMESTEPS_PER_PAIR = 4
"""Timesteps of each pair, one in each quarter of the schedule; the pairs' timesteps are evenly spaced within it."""


LatentLoss = Callable[[Tensor, Conditions, Tensor, torch.Generator], LossParts]
"""Computes the losses of latents (B, 4, h, w) at timesteps (B,), with noise from a generator."""


class PairLosses(NamedTuple):
    """Losses of N pairs, (N,) each, on the CPU, mean over the timesteps of a pair; see `LossParts`."""

    whole: Tensor
    inside: Tensor


class HeldoutLoss(Callback):
    """Measures the loss on held-out pairs every so many steps, with the averaged weights.

    `Records` calls `measure` for its columns. The first rank measures, from its own generators, and sends the result to
    the others, on which `batches` is empty. num_pairs: `run.num_heldout_loss_pairs`.
    """

    def __init__(
        self,
        batches: Sequence[InpaintingBatch],
        averaged: AveragedWeights,
        *,
        every: int,
        patience: int | None,
        seed: int,
        num_pairs: int,
    ) -> None:
        self.batches = batches
        self.averaged = averaged
        self.every = every
        self.patience = patience
        self.seed = seed
        self.progress = HeldoutProgress(num_pairs=num_pairs)

    def is_due(self, step: int) -> bool:
        """Whether the loss is measured after this step."""
        return step % self.every == 0

    def is_best(self, step: int) -> bool:
        """Whether the loss was measured after this step, and was the lowest so far."""
        return self.progress.best_step == step > 0

    @property
    def is_over(self) -> bool:
        """Whether training stops early."""
        return self.progress.is_over(self.patience)

    def measure(self, trainer: Trainer, module: MimicBrushModule, step: int) -> dict[str, float]:
        """Measure the columns of this step: the mean over pairs and its standard error. All ranks must call it."""
        columns: dict[str, float] = {}
        if trainer.is_global_zero:
            num_pairs = sum(len(batch.source) for batch in self.batches)
            module.print(f"step {step}: measuring the loss on {num_pairs} held-out pairs", file=sys.stderr)
            with self.averaged.applied(module), evaluating(module):
                losses = heldout_losses(module.network, self.batches, seed=self.seed, loss=module.heldout_loss)
            columns = {
                "heldout_loss": losses.whole.mean().item(),
                "heldout_loss_error": (losses.whole.std() / math.sqrt(len(losses.whole))).item(),
                "heldout_loss_inside": losses.inside.nanmean().item(),
            }
        # The other ranks wait here, instead of at their next exchange of gradients.
        columns = trainer.strategy.broadcast(columns)
        self.progress = self.progress.after(columns["heldout_loss"], step)
        best = (
            "the lowest" if self.is_best(step) else f"lowest {self.progress.best:.4f}, step {self.progress.best_step}"
        )
        value = f"{columns['heldout_loss']:.4f} ± {columns['heldout_loss_error']:.4f}"
        module.print(f"step {step}: held-out loss {value} ({best})")
        return columns

    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict) -> None:
        checkpoint[KEY] = asdict(self.progress)

    def on_load_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict) -> None:
        before, num_pairs = progress_in(checkpoint), self.progress.num_pairs
        self.progress = before.on_pairs(num_pairs)
        if before.num_pairs not in (None, num_pairs):
            module.print(
                f"run.num_heldout_loss_pairs was {before.num_pairs}, is {num_pairs}: losses on different pairs do not"
                " compare, so the search for the lowest held-out loss starts again"
            )


@torch.no_grad()
def heldout_losses(
    network: MimicBrushNetwork, batches: Sequence[InpaintingBatch], *, seed: int, loss: LatentLoss | None = None
) -> PairLosses:
    """Compute the loss of each pair, in order; seed: for timesteps and noise; loss: by default `noise_loss`.

    Every pair has its reference, and every second one its shape map. `noise_loss` is that of training, but without
    weights for masked positions or timesteps, so that runs with different recipes can be compared.
    """
    num_pairs = sum(len(batch.source) for batch in batches)
    timesteps = stratified_timesteps(num_pairs, network, seed)
    first, losses = 0, []
    for number, batch in enumerate(batches):
        num = len(batch.source)
        keep_shape = torch.arange(first, first + num) % 2 == 0
        generator = torch.Generator().manual_seed(seed_of(seed, "held-out loss", number))
        drawn = timesteps[first : first + num]
        losses.append(_batch_losses(network, batch, drawn, keep_shape, generator, loss or partial(noise_loss, network)))
        first += num
    return PairLosses(*(torch.cat(column).cpu() for column in zip(*losses, strict=True)))


def stratified_timesteps(num_pairs: int, network: MimicBrushNetwork, seed: int) -> Tensor:
    """Draw timesteps (num_pairs, TIMESTEPS_PER_PAIR); each column is evenly spaced in its part of the schedule."""
    num_timesteps = make_scheduler(network.options.prediction_type).config.num_train_timesteps
    generator = torch.Generator().manual_seed(seed_of(seed, "held-out timesteps"))
    # Shuffled, because the order of the pairs alternates between groups.
    places = torch.stack([torch.randperm(num_pairs, generator=generator) for _ in range(TIMESTEPS_PER_PAIR)], dim=1)
    places += num_pairs * torch.arange(TIMESTEPS_PER_PAIR)
    # In the middle of equal parts.
    return (2 * places + 1) * num_timesteps // (2 * num_pairs * TIMESTEPS_PER_PAIR)


def noise_loss(
    network: MimicBrushNetwork,
    latent: Tensor,
    conditions: Conditions,
    timestep: Tensor,
    generator: torch.Generator,
) -> LossParts:
    """The loss of the predicted noise or velocity at timesteps (B,)."""
    scheduler = make_scheduler(network.options.prediction_type)
    noise = torch.randn(latent.shape, generator=generator).to(latent.device)
    noisy = scheduler.add_noise(latent, noise, timestep)
    features = network.reference_features(conditions.reference_latent, timestep, conditions.image_tokens)
    prediction = network.predict(noisy, timestep, conditions, features)
    return prediction_loss(prediction, prediction_target(scheduler, latent, noise, timestep), conditions.mask)


def _batch_losses(
    network: MimicBrushNetwork,
    batch: InpaintingBatch,
    timesteps: Tensor,
    keep_shape: Tensor,
    generator: torch.Generator,
    loss: LatentLoss,
) -> PairLosses:
    device = network.device
    source, mask, reference = (part.to(device) for part in (batch.source, batch.mask, batch.reference))
    latent = network.encode(source, generator)
    conditions = network.condition(source, mask, reference, keep_shape, generator)
    parts = [loss(latent, conditions, timestep, generator) for timestep in timesteps.to(device).unbind(dim=1)]
    # A very small mask hides no latent position, and then has no loss inside.
    inside = torch.stack([part.inside for part in parts]).nanmean(dim=0)
    return PairLosses(torch.stack([part.whole for part in parts]).mean(dim=0), inside)

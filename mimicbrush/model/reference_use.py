"""Measure *reference use*, how often the right reference beats a wrong one: does the network imitate?

For each pair the noise-prediction error inside the mask is averaged over fixed timesteps with fixed noise, once with
the right reference and once with a wrong one. The share of pairs in which the right one gives the lower error, ties
counting half, is 0.5 for a network that ignores its reference and 1 for one that always gains from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from mimicbrush.diffusion.schedulers import make_scheduler, prediction_target
from mimicbrush.model.network import Conditions, MimicBrushNetwork
from mimicbrush.progress import progress_bar
from mimicbrush.seeds import seed_of
from mimicbrush.statistics import Interval, bootstrap_mean

if TYPE_CHECKING:
    from mimicbrush.data.batch import InpaintingBatch

NUM_TIMESTEPS = 8
PATCHES_PER_SIDE = 8

COMPARISONS = {
    "another / both": "another photograph's or clip's reference, by both paths",
    "another / features": "another's keys and values, the right image tokens",
    "another / tokens": "another's image tokens, the right keys and values",
    "shuffled / both": "the right reference with its patches shuffled: same colours, no structure",
    "none / both": "no reference at all",
}
"""Wrong references by name: what is wrong / by which path it reaches the imitative U-Net."""


@torch.no_grad()
def measure_reference_use(
    network: MimicBrushNetwork,
    batches: Sequence[InpaintingBatch],
    *,
    seed: int = 0,
    keep_shape: bool = False,
) -> dict[str, Interval]:
    """Measure reference use for each of COMPARISONS, with a 95 % interval bootstrapped over groups.

    batches: held-out pairs; wrong references come from another group (clip or photograph) than the pair's own.
    keep_shape: whether the network sees the source's shape map.
    """
    training = network.training
    network.eval()
    another = _others_references(batches)
    errors: dict[str, list[Tensor]] = {}
    progress = progress_bar(batches, desc="reference use", unit="reference-use batch", leave=False)
    for number, batch in enumerate(progress):
        generator = torch.Generator().manual_seed(seed_of(seed, "reference use", number))
        for name, error in _errors(network, batch, another[number], generator, keep_shape).items():
            errors.setdefault(name, []).append(error.cpu())
    network.train(training)
    groups = [group for batch in batches for group in batch.group]
    right = torch.cat(errors.pop("right"))
    return {name: bootstrap_mean(_wins(right, torch.cat(wrong)), groups) for name, wrong in errors.items()}


def _wins(right: Tensor, wrong: Tensor) -> list[float]:
    """Score each pair: 1 where the right reference gives the lower error, 0.5 for a tie."""
    return ((right < wrong).double() + 0.5 * (right == wrong).double()).tolist()


def _errors(
    network: MimicBrushNetwork, batch: InpaintingBatch, another: Tensor, generator: torch.Generator, keep_shape: bool
) -> dict[str, Tensor]:
    """Compute the mean error inside the mask for the right and each wrong reference: name -> (B,)."""
    device, num = network.device, len(batch.source)
    source, mask = batch.source.to(device), batch.mask.to(device)
    shuffled = torch.stack([_shuffle_patches(reference, generator) for reference in batch.reference])
    references = {"right": batch.reference, "another": another, "shuffled": shuffled}
    keep = torch.full((num,), keep_shape, device=device)
    latent = network.encode(source, generator)
    conditions = {
        name: network.condition(source, mask, reference.to(device), keep, _fork(generator))
        for name, reference in references.items()
    }
    scheduler = make_scheduler(network.options.prediction_type)
    total = dict.fromkeys(("right", *COMPARISONS), torch.zeros(num, device=device))
    for timestep in _timesteps(scheduler.config.num_train_timesteps):
        timesteps = torch.full((num,), timestep, device=device)
        noise = torch.randn(latent.shape, generator=generator).to(device)
        noisy = scheduler.add_noise(latent, noise, timesteps)
        target = prediction_target(scheduler, latent, noise, timesteps)
        scale = _noise_error_scale(scheduler, timestep)
        for name, prediction in _predictions(network, conditions, noisy, timesteps).items():
            total[name] = total[name] + scale * _error_inside(prediction, target, conditions["right"].mask)
    return {name: value / NUM_TIMESTEPS for name, value in total.items()}


def _predictions(
    network: MimicBrushNetwork, conditions: dict[str, Conditions], noisy: Tensor, timesteps: Tensor
) -> dict[str, Tensor]:
    """Predict with each combination of features and tokens in COMPARISONS; nothing else differs."""
    right = conditions["right"]
    tokens = {name: condition.image_tokens for name, condition in conditions.items()}
    tokens["none"] = network.absent_tokens().expand_as(right.image_tokens)
    features = {
        name: network.reference_features(condition.reference_latent, timesteps, condition.image_tokens)
        for name, condition in conditions.items()
    }
    features["none"] = None

    def predict(features_of: str, tokens_of: str) -> Tensor:
        conditions = right._replace(image_tokens=tokens[tokens_of])
        return network.predict(noisy, timesteps, conditions, features[features_of])

    return {
        "right": predict("right", "right"),
        "another / both": predict("another", "another"),
        "another / features": predict("another", "right"),
        "another / tokens": predict("right", "another"),
        "shuffled / both": predict("shuffled", "shuffled"),
        "none / both": predict("none", "none"),
    }


def _noise_error_scale(scheduler: DDIMScheduler, timestep: int) -> float:
    """Factor that converts the squared error of a prediction to that of the noise it implies."""
    # noise = sqrt(a) velocity + sqrt(1 - a) noisy, and the noisy latent is known.
    is_velocity = scheduler.config.prediction_type == "v_prediction"
    return float(scheduler.alphas_cumprod[timestep]) if is_velocity else 1.0


def _error_inside(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error over the masked latent positions, (B,)."""
    squared = (prediction - target).pow(2).mean(dim=1, keepdim=True)
    return (squared * mask).flatten(1).sum(1) / mask.flatten(1).sum(1).clamp(min=1)


def _others_references(batches: Sequence[InpaintingBatch]) -> list[Tensor]:
    """For each batch, references of pairs from other groups (see `next_of_another_group`)."""
    references = torch.cat([batch.reference for batch in batches])
    groups = [group for batch in batches for group in batch.group]
    if len(set(groups)) < 2:
        raise ValueError("reference use needs pairs of at least two groups")
    chosen = [next_of_another_group(groups, number) for number in range(len(groups))]
    return list(references[chosen].split([len(batch.source) for batch in batches]))


def next_of_another_group(groups: Sequence[str], number: int) -> int:
    """Index of a member of another group than member `number`; raises StopIteration if there is only one group."""
    # Start half the list away, because neighbours in the list are often alike.
    start = number + len(groups) // 2
    candidates = ((start + step) % len(groups) for step in range(len(groups)))
    return next(candidate for candidate in candidates if groups[candidate] != groups[number])


def _shuffle_patches(image: Tensor, generator: torch.Generator) -> Tensor:
    """Cut a picture (3, H, W) into PATCHES_PER_SIDE² patches and permute them."""
    height, width = (side // PATCHES_PER_SIDE for side in image.shape[-2:])
    patches = image.unfold(1, height, height).unfold(2, width, width).flatten(1, 2)
    patches = patches[:, torch.randperm(patches.shape[1], generator=generator)]
    rows = patches.unflatten(1, (PATCHES_PER_SIDE, PATCHES_PER_SIDE))
    return rows.permute(0, 1, 3, 2, 4).flatten(3, 4).flatten(1, 2)


def _timesteps(num_train_timesteps: int) -> list[int]:
    """Evenly spaced timesteps, each in the middle of an equal part of the schedule."""
    return [int((step + 0.5) * num_train_timesteps / NUM_TIMESTEPS) for step in range(NUM_TIMESTEPS)]


def _fork(generator: torch.Generator) -> torch.Generator:
    """Copy a generator, so that every reference is encoded with the same posterior noise."""
    return torch.Generator().set_state(generator.get_state())

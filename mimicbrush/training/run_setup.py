"""Set up a training run: share of each rank, module, data, and the check of its checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from mimicbrush.data.datamodule import PairData
from mimicbrush.diffusion.schedulers import set_timesteps
from mimicbrush.errors import UserError
from mimicbrush.model.config import NetworkConfig
from mimicbrush.model.gradient_checkpointing import enable_gradient_checkpointing
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.weights.build import initialise
from mimicbrush.model.weights.digests import require_unchanged
from mimicbrush.model.weights.exported_folder import recommended_scheduler
from mimicbrush.model.weights.run_checkpoint import read_checkpoint, split_parts
from mimicbrush.model.weights.tensors import require_fit
from mimicbrush.model.weights.trained_weights import fetchable_parts
from mimicbrush.training.config import TrainConfig
from mimicbrush.training.few_steps_module import FewStepsModule
from mimicbrush.training.module import MimicBrushModule
from mimicbrush.training.optimizer import require_optimizer
from mimicbrush.training.precision import frozen_precisions, store_frozen


def share_step(config: TrainConfig, num_ranks: int) -> TrainConfig:
    """Set `data.batch_size` and `run.accumulate` to each rank's share of a step.

    Raises UserError where `run.samples_per_step` cannot be shared equally, or `run.accumulate` contradicts it.
    """
    samples, batch_size, accumulate = config.run.samples_per_step, config.data.batch_size, config.run.accumulate
    if samples is None:
        return replace(config, run=replace(config.run, accumulate=accumulate or 1))
    taken = num_ranks * batch_size * (accumulate or 1)
    if accumulate is not None and taken != samples:
        raise UserError(
            f"run.samples_per_step is {samples}, but {num_ranks} ranks x data.batch_size {batch_size} x run.accumulate"
            f" {accumulate} are {taken}; leave run.accumulate out, and it follows from run.samples_per_step"
        )
    if samples % num_ranks:
        fitting = ", ".join(str(number) for number in range(1, samples + 1) if samples % number == 0)
        raise UserError(
            f"run.samples_per_step {samples} cannot be shared equally among {num_ranks} ranks; take one of {fitting}"
            f" ranks, or make run.samples_per_step a multiple of {num_ranks}"
        )
    share = samples // num_ranks
    batch_size = max(size for size in range(1, min(share, batch_size) + 1) if share % size == 0)
    return replace(
        config,
        data=replace(config.data, batch_size=batch_size),
        run=replace(config.run, accumulate=share // batch_size),
    )


def check_checkpoint(module: MimicBrushModule, path: Path, config: NetworkConfig) -> None:
    """Raise UserError, naming tensors, where a checkpoint does not fit the network, or frozen weights have changed.

    Frozen weights that the checkpoint leaves out must be those that `config` fetches now.
    """
    checkpoint = read_checkpoint(path)
    tensors = {name.removeprefix("network."): value for name, value in checkpoint["state_dict"].items()}
    require_fit(module.network, tensors, str(path), may_lack=module.left_out)
    fetched = {name: value for name, value in module.network.state_dict().items() if name in module.left_out}
    digests, sources = checkpoint.get("left_out", {}), lambda: fetchable_parts(config)
    require_unchanged(digests, split_parts(fetched), str(path), sources)


def make_module(config: TrainConfig, network: MimicBrushNetwork | None = None) -> MimicBrushModule:
    """Make the training module with its network, whose weights are loaded or drawn.

    network: a network to use instead; it is changed in place. Raises UserError where the optimiser is not installed,
    or the recommended sampler does not exist or cannot take its number of steps.
    """
    require_optimizer(config.recipe.optimizer)
    _require_sampler(config.network)
    if network is None:
        precisions = frozen_precisions(config.recipe, config.run.frozen_precision)
        network = initialise(config.network, seed=config.seed, precisions=precisions)
    if config.run.channels_last:
        network.to(memory_format=torch.channels_last)
    if config.run.gradient_checkpointing:
        for unet in (network.imitative_unet, network.reference_unet):
            enable_gradient_checkpointing(unet)
    if config.run.compile:
        for unet in (network.imitative_unet, network.reference_unet):
            # No graph breaks: one would silently leave most of the U-Net uncompiled.
            unet.compile(fullgraph=True)
    kind = MimicBrushModule if config.recipe.few_steps is None else FewStepsModule
    module = kind(
        network,
        config.recipe,
        config.data.batch,
        max_steps=config.run.max_steps,
        seed=config.seed,
        fetchable_parts=tuple(fetchable_parts(config.network)),
    )
    store_frozen(network, config.run.frozen_precision)
    return module


def _require_sampler(config: NetworkConfig) -> None:
    """Raise UserError where edits with the weights would fail in the sampler that the run recommends for them."""
    try:
        set_timesteps(recommended_scheduler(config), config.recommended.num_inference_steps)
    except UserError as error:
        raise UserError(f"network.recommended: {error}") from None


def make_data(config: TrainConfig) -> PairData:
    """Make the mixture of sources from a config that `share_step` has returned."""
    return PairData(config.data, size=config.network.size, seed=config.seed, only_first=config.overfit)

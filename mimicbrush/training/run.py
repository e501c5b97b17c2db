"""A training run: its config, its folder, and the parts that Lightning drives."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Literal

import torch

from mimicbrush.data.datamodule import DataConfig, PairData
from mimicbrush.errors import UserError
from mimicbrush.files import refuse_file_name
from mimicbrush.model.gradient_checkpointing import enable_gradient_checkpointing
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.weights import (
    NetworkConfig,
    checkpoint_of,
    fetchable_parts,
    initialise,
    read_checkpoint,
    require_fit,
    require_unchanged,
    split_parts,
)
from mimicbrush.run_folder import find_difference
from mimicbrush.training.module import MimicBrushModule
from mimicbrush.training.optimizer import require_optimizer
from mimicbrush.training.precision import FrozenPrecision, Precision, frozen_precisions, store_frozen
from mimicbrush.training.recipe import RecipeConfig
from mimicbrush.training.watch import WatchConfig


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """How long, where, and what is recorded on the way."""

    max_steps: int = 100_000
    """Optimiser steps."""
    samples_per_step: int | None = None
    """Samples whose gradients make one step, shared equally among all devices, each of which takes its share in equal
    batches of at most data.batch_size. null: devices x data.batch_size x accumulate."""
    accumulate: int | None = None
    """Batches whose gradients are summed for one step; null: as many as samples_per_step takes, without it 1."""
    watch: WatchConfig = field(default_factory=WatchConfig)
    """Clipping of gradients, and what happens to steps that would harm the weights."""
    precision: Precision = "bf16-mixed"
    """Lightning's precision."""
    frozen_precision: FrozenPrecision = "float32"
    """In which frozen weights are kept, and compute: in half precision they take half the memory. The depth model's
    stay in float32, as in the release."""
    accelerator: Literal["auto", "cpu", "cuda", "gpu", "mps"] = "auto"
    """Lightning's accelerator."""
    devices: int | Literal["auto"] = "auto"
    """Devices on each node; srun and torchrun say how many ranks there are themselves."""
    num_nodes: int = 1
    """Nodes; see devices."""
    ema_decay: float = 0.9999
    """Decay of the averaged weights that previews and edits use."""
    tf32: bool = True
    """Multiply float32 matrices in TensorFloat-32 on GPUs that can."""
    compile: bool = False
    """Compile both U-Nets (torch.compile): minutes at the start, faster steps after; previews run uncompiled."""
    gradient_checkpointing: bool = False
    """Compute activations of the trained U-Nets twice instead of keeping them: less memory, a tenth more operations."""
    channels_last: bool = True
    """Memory order of the convolutions, in which they are faster on CPUs, and on GPUs in half precision."""
    checkpoint_every: int = 1000
    """Steps between checkpoints; the last two stay, so that a run can go on should the newest be damaged."""
    keep_checkpoint_every: int = 0
    """Steps between checkpoints that stay; 0: only the last two do."""
    record_every: int = 50
    """Steps between lines of metrics.csv."""
    preview_every: int = 1000
    """Steps between preview pictures; 0: none."""
    num_previews: int = 6
    """Held-out pairs on a preview."""
    preview_steps: int = 30
    """Sampling steps of a preview."""
    reference_use_every: int = 5000
    """Steps between measurements of reference use; 0: none."""
    num_reference_use_pairs: int = 128
    """Held-out pairs of that measurement."""
    heldout_loss_every: int = 1000
    """Steps between measurements of the held-out loss; checkpoints/best.ckpt is that of the lowest. 0: none."""
    num_heldout_loss_pairs: int = 64
    """Held-out pairs of that measurement, or as many as there are; with another number, the search for the
    lowest loss starts again."""
    patience: int | None = None
    """Training stops when the held-out loss has not fallen for so many measurements; null: never."""
    wandb: Literal["off", "offline", "online"] = "off"
    """Whether wandb gets the records too; without an account, choose offline."""

    def __post_init__(self) -> None:
        for name in ("samples_per_step", "accumulate"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least 1, or null")
        counts = ("max_steps", "num_nodes", "checkpoint_every", "record_every", "preview_steps")
        for name in (*counts, "num_previews"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least 1")
        for name in ("keep_checkpoint_every", "preview_every", "reference_use_every", "heldout_loss_every"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least 0")
        other = {"bf16-mixed": "float16", "16-mixed": "bfloat16"}.get(self.precision)
        if self.frozen_precision == other:
            raise ValueError(f"frozen_precision is {other}, precision {self.precision}; make both the same half")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay is {self.ema_decay}, expected 0 to less than 1")
        for name in ("num_reference_use_pairs", "num_heldout_loss_pairs"):
            if getattr(self, name) < 2:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least 2")
        if self.patience is not None and (self.patience < 1 or not self.heldout_loss_every):
            raise ValueError(
                f"patience is {self.patience}, heldout_loss_every {self.heldout_loss_every}; patience counts"
                " measurements of the held-out loss: both must be at least 1, or patience null"
            )


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A training run."""

    output: Path
    """Folder of the run: checkpoints, config.yaml, metrics.csv, loss.png, previews."""
    seed: int = 0
    """Of random weights, data order, masks, augmentations and noise."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    """The two U-Nets and what is around them."""
    data: DataConfig
    """Shards and batches."""
    recipe: RecipeConfig = field(default_factory=RecipeConfig)
    """How the network learns."""
    run: RunConfig = field(default_factory=RunConfig)
    """How long, where, and what is recorded."""
    overfit: bool = False
    """Train on the first batch alone, again and again: a network that cannot learn it by heart learns nothing."""
    check: bool = False
    """Train nothing: examine data, network and machine, say all that was found, and leave pictures in output/check."""

    def __post_init__(self) -> None:
        if self.run.patience is not None and self.data.heldout is None:
            raise ValueError("run.patience needs held-out pairs; give data.heldout, or set run.patience to null")
        has_adapters = self.recipe.imitative_lora or self.recipe.reference_lora
        if has_adapters and self.run.frozen_precision != "float32" and self.run.precision == "32-true":
            raise ValueError(
                f"run.frozen_precision is {self.run.frozen_precision}, in which adapters train under autocast only; set"
                " run.precision to bf16-mixed or 16-mixed"
            )


# Of a run's settings, those with which the same command takes other steps.
_KEPT = ("precision", "frozen_precision", "ema_decay")
_CHANGEABLE = tuple(f"run.{each.name}" for each in fields(RunConfig) if each.name not in _KEPT)
FREE = (
    "output",
    "check",
    *_CHANGEABLE,
    "data.num_workers",
    "data.timeout",
    "data.batch_size",
    "recipe.reference_gradient",
)
"""Settings that may change between calls of one run; data.batch_size only as long as a step keeps its samples. A run
keeps the recipe.reference_gradient of its checkpoint, because the config of an older run does not name it."""


def share_step(config: TrainConfig, num_ranks: int) -> TrainConfig:
    """The config whose `data.batch_size` and `run.accumulate` make up each rank's share of a step.

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


def require_same_run(config: TrainConfig) -> None:
    """Raise UserError where the output folder holds a run with other settings."""
    other = describe_other_run(config)
    if other:
        raise UserError(other)


def describe_other_run(config: TrainConfig) -> str | None:
    """In which setting the output folder's run differs, and what to do; None where it can go on, or there is none.

    Raises UserError where the folder cannot be one.
    """
    refuse_file_name(config.output)  # before ranks meet, and for --check: neither holds the folder
    difference = find_difference(config.output, config, free=FREE)
    if difference is None:
        return None
    said = f"{config.output} holds another run: {difference}"
    # Another network may not take the weights.
    if difference.startswith("network.") or not checkpoint_of(config.output).is_file():
        return f"{said}; choose another output or delete the folder"
    return (
        f"{said}; set it back to resume, or start a new run from these weights with --network.weights {config.output}"
        " --output NEW, in which the optimiser and the step count start from zero"
    )


def check_checkpoint(module: MimicBrushModule, path: Path, config: NetworkConfig) -> None:
    """Raise UserError, naming tensors, where the checkpoint to resume from is of another network, or was trained with
    other frozen weights than those that `config` fetches now."""
    checkpoint = read_checkpoint(path)
    tensors = {name.removeprefix("network."): value for name, value in checkpoint["state_dict"].items()}
    require_fit(module.network, tensors, str(path), may_lack=module.left_out)
    fetched = {name: value for name, value in module.network.state_dict().items() if name in module.left_out}
    digests, sources = checkpoint.get("left_out", {}), lambda: fetchable_parts(config)
    require_unchanged(digests, split_parts(fetched), str(path), sources)


def make_module(config: TrainConfig, network: MimicBrushNetwork | None = None) -> MimicBrushModule:
    """The network, its weights loaded or drawn, and its training step.

    network: one that stands in for it; it is changed in place.
    """
    require_optimizer(config.recipe.optimizer)
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
            # Whole or not at all: a graph break would leave most of it uncompiled without a word.
            unet.compile(fullgraph=True)
    module = MimicBrushModule(
        network,
        config.recipe,
        config.data.batch,
        max_steps=config.run.max_steps,
        seed=config.seed,
        fetchable_parts=tuple(fetchable_parts(config.network)),
    )
    store_frozen(network, config.run.frozen_precision)
    return module


def make_data(config: TrainConfig) -> PairData:
    """The mixture of sources; the config is that of `share_step`."""
    return PairData(config.data, size=config.network.size, seed=config.seed, only_first=config.overfit)

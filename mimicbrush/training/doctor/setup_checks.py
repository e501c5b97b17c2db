"""Check that weights, run and machine fit each other."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import torch
from lightning import Trainer
from torch import nn

from mimicbrush.data.datamodule import PairData
from mimicbrush.machine import usable_memory
from mimicbrush.model.config import NetworkConfig
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.weights.find import best_checkpoint_of, checkpoint_of, previous_checkpoint_of
from mimicbrush.model.weights.run_checkpoint import read_checkpoint
from mimicbrush.model.weights.trained_weights import read_weights
from mimicbrush.reports.number_format import format_bytes
from mimicbrush.training.checkpoints import find_resume_point
from mimicbrush.training.config import TrainConfig
from mimicbrush.training.doctor.findings import Finding
from mimicbrush.training.module import MimicBrushModule
from mimicbrush.training.ranks import find_ranks, fullest_share, own_cores
from mimicbrush.training.resume_settings import describe_other_run
from mimicbrush.training.run_setup import check_checkpoint, share_step
from mimicbrush.training.step_cost import GRADIENT_BYTES, count_cost, num_bytes_of, num_trained_of, state_bytes
from mimicbrush.training.trainable import trained_parameters
from mimicbrush.training.trainer import num_ranks_of

LARGE_PART = 20_000_000
"""Number of parameters from which random weights are likely a mistake; the tiny preset's parts have a tenth."""
CONFIG_FIELDS = {"shape_map": "depth"}
"""Part -> its field in NetworkConfig, if that has another name."""


def check_device(config: TrainConfig, trainer: Trainer) -> Iterator[Finding]:
    """Check the device and its precision."""
    device, precision = trainer.strategy.root_device, config.run.precision
    num_ranks = num_ranks_of(trainer)
    ranks = "1 rank" if num_ranks == 1 else f"{num_ranks} ranks"
    emulated = device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cuda":
        name = torch.cuda.get_device_properties(device).name
        tf32 = "TF32 on" if config.run.tf32 else "TF32 off"
        facts = f"{name}, {ranks}, {precision}, {tf32}"
    else:
        facts = f"{device.type}, {ranks} of {torch.get_num_threads()} threads, {precision}"
    if emulated and precision == "bf16-mixed":
        yield Finding("device", "warning", f"{facts}: bfloat16 is emulated there; take --run.precision 16-mixed")
    elif device.type == "cpu" and torch.cuda.is_available():
        yield Finding("device", "warning", f"{facts}: there is a GPU; take --run.accelerator gpu")
    elif device.type == "cpu" and precision != "32-true":
        yield Finding("device", "warning", f"{facts}: slower than 32-true on most CPUs; take --run.precision 32-true")
    else:
        yield Finding("device", "ok", facts)


def check_cores(config: TrainConfig, trainer: Trainer) -> Iterator[Finding]:
    """Check the CPU cores for ranks and loader workers. Raises UserError where CPU ranks have less than one core each.

    If a launcher has started the ranks, only this rank's cores are known; `CoreCheck` compares all of them later.
    """
    inherit = find_ranks(config.run.devices, config.run.num_nodes).inherit_cores
    share = fullest_share([own_cores()] * (trainer.num_devices if inherit else 1))
    if trainer.strategy.root_device.type == "cpu":
        share.refuse_too_many()
    facts = share.describe(config.data.num_workers)
    if share.is_crowded(config.data.num_workers):
        yield Finding("workers", "warning", f"{facts} wait for each other: {share.remedy()}")
    elif share.num_ranks < trainer.num_devices:
        yield Finding("workers", "ok", f"{facts}; those of the other ranks are compared when all have connected")
    else:
        yield Finding("workers", "ok", facts)


def check_step(config: TrainConfig, num_ranks: int) -> Iterator[Finding]:
    """Check how ranks share the samples of a step. Raises UserError where they cannot share them equally."""
    shared = share_step(config, num_ranks)
    batch_size, accumulate = shared.data.batch_size, shared.run.accumulate
    share = batch_size * accumulate
    batches = f"{_counted(num_ranks, 'rank')} x {_counted(accumulate, 'batch', 'batches')} of {batch_size}"
    facts = f"{num_ranks * share} samples: {batches}"
    if 2 * batch_size > min(share, config.data.batch_size):
        yield Finding("step", "ok", facts)
    else:
        advice = f"make run.samples_per_step a multiple of {num_ranks * config.data.batch_size}"
        yield Finding("step", "warning", f"{facts}, as {share} has no larger divisor up to data.batch_size; {advice}")


def _counted(number: int, singular: str, plural: str = "") -> str:
    return f"{number} {singular if number == 1 else plural or singular + 's'}"


def check_weights(config: NetworkConfig, network: MimicBrushNetwork) -> Iterator[Finding]:
    """Report the source of each part's weights; warn of large random parts."""
    trained = read_weights(config.weights).parts if config.weights else {}
    sources: dict[str, list[str]] = {}
    drawn = []
    for name, part in network.named_children():
        source = config.weights if name in trained else _source(name, config, part)
        if source is not None:
            sources.setdefault(source, []).append(name)
        if source == "random" and _num(part) >= LARGE_PART:
            drawn.append(f"{name} ({_num(part) / 1e6:.0f} M)")
    facts = "; ".join(f"{source}: {', '.join(names)}" for source, names in sources.items())
    if drawn:
        warning = f"{', '.join(drawn)} would start from random weights, which takes far longer than fine-tuning"
        yield Finding("weights", "warning", f"{facts}; {warning}: give network.PART.pretrained or network.weights")
    else:
        yield Finding("weights", "ok", facts)


def check_parameters(network: MimicBrushNetwork) -> Iterator[Finding]:
    """Report trained and frozen parameters by part, and check their precision."""
    trained, frozen, low = [], [], []
    for name, part in network.named_children():
        num = sum(value.numel() for value in trained_parameters(part).values())
        if num:
            trained.append(f"{name} {_millions(num)}")
        if _num(part) > num:
            frozen.append(f"{name} {_millions(_num(part) - num)}")
        low += [value for value in trained_parameters(part).values() if value.dtype != torch.float32]
    kinds = ", ".join(sorted({str(value.dtype).removeprefix("torch.") for value in network.parameters()}))
    facts = f"trained: {', '.join(trained) or 'none'}; frozen: {', '.join(frozen) or 'none'}; {kinds}"
    if not trained:
        yield Finding("parameters", "fault", f"{facts}; nothing would be learned: train a part")
    elif low:
        warning = f"{len(low)} trained tensors are not float32, and lose updates of a thousandth of their size"
        yield Finding("parameters", "warning", f"{facts}; {warning}")
    else:
        yield Finding("parameters", "ok", facts)


def check_memory(
    module: MimicBrushModule, config: TrainConfig, device: torch.device, *, counted: bool
) -> Iterator[Finding]:
    """Compare the memory that the run needs with that of the device.

    counted: whether to count the activations of a batch, which takes a minute for a large network.
    """
    if counted:
        cost = count_cost(
            module.network,
            batch_size=config.data.batch_size,
            precision=config.run.precision,
            optimizer=config.recipe.optimizer,
            accumulate=config.run.accumulate,
            reference_gradient=config.recipe.reference_gradient,
        )
        activations = f"activations of {config.data.batch_size} pairs"
        needed, detail = cost.memory, f"{format_bytes(cost.activations)} of them {activations}"
    else:
        num_trained = num_trained_of(module)
        needed = num_bytes_of(module) + GRADIENT_BYTES * num_trained + state_bytes(num_trained, config.recipe.optimizer)
        detail = "weights, gradients, optimiser and averages, before activations"
    available = _memory_of(device)
    facts = f"{format_bytes(needed)} by count, {detail}; {format_bytes(available)} available"
    if needed > available:
        smaller = "lower data.batch_size" + (" and raise run.accumulate" if config.run.samples_per_step is None else "")
        remedy = f"{smaller}, set run.gradient_checkpointing, or train fewer parts"
        yield Finding("memory", "fault", f"{facts}; {remedy}")
    else:
        yield Finding("memory", "ok", facts)


def check_disk(module: MimicBrushModule, config: TrainConfig) -> Iterator[Finding]:
    """Check the disk space for kept checkpoints, the last two, the best one, and the one being written."""
    size, every = checkpoint_size(module), config.run.keep_checkpoint_every
    existing = sum(path.is_file() for path in (checkpoint_of(config.output), previous_checkpoint_of(config.output)))
    last = 3 - existing
    has_best = bool(config.run.heldout_loss_every and config.data.heldout)
    best = int(has_best and not best_checkpoint_of(config.output).is_file())
    most = (config.run.max_steps // every if every else 0) + last + best
    free = shutil.disk_usage(_existing(config.output)).free
    facts = f"{format_bytes(free)} free at {config.output}, {most} more checkpoints of {format_bytes(size)} at most"
    if free < last * size:
        problem = "the last two and the one being written do not fit; make room or choose another --output"
        yield Finding("disk", "fault", f"{facts}: {problem}")
    elif free < most * size:
        problem = f"they will not all fit; make room, or raise run.keep_checkpoint_every ({every})"
        yield Finding("disk", "warning", f"{facts}: {problem}")
    else:
        yield Finding("disk", "ok", facts)


def check_resume(config: TrainConfig) -> Iterator[Finding]:
    """Check that the output folder is this run's, and report where it resumes. Raises UserError if it is no folder."""
    difference = describe_other_run(config)
    if difference:
        yield Finding("output", "fault", difference)
        return
    start = find_resume_point(config.output)
    step = start.step
    if start.fault:
        yield Finding("output", "warning", start.fault)
    if start.heldout.on_pairs(config.run.num_heldout_loss_pairs).is_over(config.run.patience):
        yield Finding("output", "ok", f"stopped early, after step {step}: {start.heldout.describe()}")
    elif step >= config.run.max_steps:
        message = f"already trained {step} of {config.run.max_steps} steps; raise run.max_steps to train on"
        yield Finding("output", "ok", message)
    elif step:
        yield Finding("output", "ok", f"the run in {config.output} resumes from step {step} of {config.run.max_steps}")
    else:
        yield Finding("output", "ok", f"a new run of {config.run.max_steps} steps in {config.output}")


def check_checkpoint_fits(
    config: TrainConfig, module: MimicBrushModule, data: PairData, num_ranks: int
) -> Iterator[Finding]:
    """Check that the checkpoint fits the network and the data. Raises UserError where it does not fit the network."""
    path = find_resume_point(config.output).checkpoint
    if path is None:
        return
    check_checkpoint(module, path, config.network)
    state = read_checkpoint(path).get(type(data).__qualname__, {})
    samples = num_ranks * config.data.batch_size * config.run.accumulate
    if state.get("fingerprint", data.dataset.fingerprint) != data.dataset.fingerprint:
        yield Finding("checkpoint", "fault", "the shards are not those that the run was started with; restore them")
    elif state.get("samples_per_step", samples) != samples:
        before = state["samples_per_step"]
        message = f"the run takes {before} samples per step, now {samples}; set run.samples_per_step to {before}"
        yield Finding("checkpoint", "fault", message)
    else:
        yield Finding("checkpoint", "ok", f"{path.name} fits the network and the shards")


def checkpoint_size(module: MimicBrushModule) -> int:
    """Bytes of a checkpoint: tensors that it does not leave out, optimiser state and averaged weights."""
    tensors = module.network.state_dict().items()
    stored = sum(tensor.nbytes for name, tensor in tensors if name not in module.left_out)
    return stored + state_bytes(num_trained_of(module), module.recipe.optimizer)


def _source(name: str, config: NetworkConfig, part: nn.Module) -> str | None:
    """Source of a part's weights; None if it has none."""
    settings = getattr(config, CONFIG_FIELDS.get(name, name), None)
    if not _num(part):
        return None
    if settings is not None and settings.pretrained:
        return settings.pretrained
    is_copy = name == "imitative_unet" and not settings.arguments
    return _source("reference_unet", config, part) if is_copy else "random"


def _memory_of(device: torch.device) -> int:
    """Bytes of memory of the GPU, or of this machine within its container's limit."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return usable_memory()


def _existing(folder: Path) -> Path:
    return next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())


def _num(part: nn.Module) -> int:
    return sum(value.numel() for value in part.parameters())


def _millions(num: int) -> str:
    return f"{num / 1e6:.3g} M"

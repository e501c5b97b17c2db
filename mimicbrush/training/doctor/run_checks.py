"""Do the weights, the run and its machine fit each other?"""

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
from mimicbrush.model.weights.build import read_weights
from mimicbrush.model.weights.find import best_checkpoint_of, checkpoint_of, previous_checkpoint_of
from mimicbrush.model.weights.run_checkpoint import read_checkpoint
from mimicbrush.reports.number_format import format_bytes
from mimicbrush.training.checkpoints import find_start
from mimicbrush.training.config import TrainConfig
from mimicbrush.training.doctor.findings import Finding
from mimicbrush.training.module import MimicBrushModule
from mimicbrush.training.ranks import find_ranks, fullest_share, own_cores
from mimicbrush.training.resume_settings import describe_other_run
from mimicbrush.training.run_setup import check_checkpoint, share_step
from mimicbrush.training.step_cost import GRADIENT_BYTES, count_cost, num_bytes_of, num_trained_of, state_bytes
from mimicbrush.training.trainable import trained_parameters
from mimicbrush.training.trainer import num_ranks_of

BIG = 20_000_000
"""Parameters of a part whose random weights would be a mistake; the tiny preset's parts have a tenth."""
CONFIG_FIELDS = {"shape_map": "depth"}
"""Part -> its field in NetworkConfig, where it has another name."""


def check_device(config: TrainConfig, trainer: Trainer) -> Iterator[Finding]:
    """The device and its precision."""
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
    """CPU cores for ranks and loader workers. Raises UserError where CPU ranks have fewer cores than they are.

    Of ranks that are there already only this one's cores are known; `CoreCheck` compares all when they have met.
    """
    inherit = find_ranks(config.run.devices, config.run.num_nodes).inherit_cores
    share = fullest_share([own_cores()] * (trainer.num_devices if inherit else 1))
    if trainer.strategy.root_device.type == "cpu":
        share.refuse_too_many()
    facts = share.describe(config.data.num_workers)
    if share.is_crowded(config.data.num_workers):
        yield Finding("workers", "warning", f"{facts} wait for each other: {share.remedy()}")
    elif share.num_ranks < trainer.num_devices:
        yield Finding("workers", "ok", f"{facts}; those of the other ranks are compared when all have met")
    else:
        yield Finding("workers", "ok", facts)


def check_step(config: TrainConfig, num_ranks: int) -> Iterator[Finding]:
    """Samples a step takes, and in which batches. Raises UserError where the ranks cannot share them equally."""
    shared = share_step(config, num_ranks)
    batch_size, accumulate = shared.data.batch_size, shared.run.accumulate
    share = batch_size * accumulate
    batches = f"{_counted(num_ranks, 'rank')} x {_counted(accumulate, 'batch', 'batches')} of {batch_size}"
    said = f"{num_ranks * share} samples: {batches}"
    if 2 * batch_size > min(share, config.data.batch_size):
        yield Finding("step", "ok", said)
    else:
        advice = f"make run.samples_per_step a multiple of {num_ranks * config.data.batch_size}"
        yield Finding("step", "warning", f"{said}, as {share} has no larger part within data.batch_size; {advice}")


def _counted(number: int, singular: str, plural: str = "") -> str:
    return f"{number} {singular if number == 1 else plural or singular + 's'}"


def check_weights(config: NetworkConfig, network: MimicBrushNetwork) -> Iterator[Finding]:
    """Where each part's weights come from."""
    given = read_weights(config.weights).parts if config.weights else {}
    origins: dict[str, list[str]] = {}
    drawn = []
    for name, part in network.named_children():
        origin = config.weights if name in given else _origin(name, config, part)
        if origin is not None:
            origins.setdefault(origin, []).append(name)
        if origin == "random" and _num(part) >= BIG:
            drawn.append(f"{name} ({_num(part) / 1e6:.0f} M)")
    facts = "; ".join(f"{origin}: {', '.join(names)}" for origin, names in origins.items())
    if drawn:
        said = f"{facts}; {', '.join(drawn)} would start from random weights, which takes far more than a fine-tuning"
        yield Finding("weights", "warning", f"{said}: give network.PART.pretrained or network.weights")
    else:
        yield Finding("weights", "ok", facts)


def check_parameters(network: MimicBrushNetwork) -> Iterator[Finding]:
    """What is trained and what is frozen, by part."""
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
        said = f"{facts}; {len(low)} trained tensors are not float32, and lose updates of a thousandth of their size"
        yield Finding("parameters", "warning", said)
    else:
        yield Finding("parameters", "ok", facts)


def check_memory(
    module: MimicBrushModule, config: TrainConfig, device: torch.device, *, counted: bool
) -> Iterator[Finding]:
    """What the run needs against the device's memory.

    counted: with the activations of a batch, which takes a minute for a large network; else without.
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
        needed, what = cost.memory, f"{format_bytes(cost.activations)} of them {activations}"
    else:
        num_trained = num_trained_of(module)
        needed = num_bytes_of(module) + GRADIENT_BYTES * num_trained + state_bytes(num_trained, config.recipe.optimizer)
        what = "weights, gradients, optimiser and averages, before activations"
    there = _memory_of(device)
    facts = f"{format_bytes(needed)} by count, {what}; {format_bytes(there)} there"
    if needed > there:
        smaller = "lower data.batch_size" + (" and raise run.accumulate" if config.run.samples_per_step is None else "")
        said = f"{smaller}, set run.gradient_checkpointing, or train less"
        yield Finding("memory", "fault", f"{facts}; {said}")
    else:
        yield Finding("memory", "ok", facts)


def check_disk(module: MimicBrushModule, config: TrainConfig) -> Iterator[Finding]:
    """Room for the checkpoints that stay, the last two, the best one, and the one that is being written."""
    size, every = checkpoint_size(module), config.run.keep_checkpoint_every
    there = sum(path.is_file() for path in (checkpoint_of(config.output), previous_checkpoint_of(config.output)))
    last = 3 - there
    has_best = bool(config.run.heldout_loss_every and config.data.heldout)
    best = int(has_best and not best_checkpoint_of(config.output).is_file())
    most = (config.run.max_steps // every if every else 0) + last + best
    free = shutil.disk_usage(_existing(config.output)).free
    facts = f"{format_bytes(free)} free at {config.output}, {most} more checkpoints of {format_bytes(size)} at most"
    if free < last * size:
        said = f"{facts}: the last two and the one being written do not fit; make room or choose another --output"
        yield Finding("disk", "fault", said)
    elif free < most * size:
        said = f"{facts}: they will not all fit; make room, or raise run.keep_checkpoint_every ({every})"
        yield Finding("disk", "warning", said)
    else:
        yield Finding("disk", "ok", facts)


def check_resume(config: TrainConfig) -> Iterator[Finding]:
    """Whether the output folder is this run's, and from which step it goes on. Raises UserError where it cannot be."""
    other = describe_other_run(config)
    if other:
        yield Finding("output", "fault", other)
        return
    start = find_start(config.output)
    step = start.step
    if start.fault:
        yield Finding("output", "warning", start.fault)
    if start.heldout.on_pairs(config.run.num_heldout_loss_pairs).is_over(config.run.patience):
        yield Finding("output", "ok", f"stopped early, after step {step}: {start.heldout.describe()}")
    elif step >= config.run.max_steps:
        said = f"already trained {step} of {config.run.max_steps} steps; raise run.max_steps to go on"
        yield Finding("output", "ok", said)
    elif step:
        yield Finding("output", "ok", f"the run in {config.output} goes on from step {step} of {config.run.max_steps}")
    else:
        yield Finding("output", "ok", f"a new run of {config.run.max_steps} steps in {config.output}")


def check_going_on(config: TrainConfig, module: MimicBrushModule, data: PairData, num_ranks: int) -> Iterator[Finding]:
    """Whether the checkpoint fits the network and the data. Raises UserError where it does not."""
    path = find_start(config.output).checkpoint
    if path is None:
        return
    check_checkpoint(module, path, config.network)
    state = read_checkpoint(path).get(type(data).__qualname__, {})
    samples = num_ranks * config.data.batch_size * config.run.accumulate
    if state.get("fingerprint", data.dataset.fingerprint) != data.dataset.fingerprint:
        yield Finding("checkpoint", "fault", "the shards are not those the run began with; bring them back")
    elif state.get("samples_per_step", samples) != samples:
        before = state["samples_per_step"]
        said = f"the run takes {before} samples a step, now {samples}; set run.samples_per_step to {before}"
        yield Finding("checkpoint", "fault", said)
    else:
        yield Finding("checkpoint", "ok", f"{path.name} fits the network and the shards")


def checkpoint_size(module: MimicBrushModule) -> int:
    """Bytes of a checkpoint: tensors that are not left out, optimiser state and averaged weights."""
    tensors = module.network.state_dict().items()
    stored = sum(tensor.nbytes for name, tensor in tensors if name not in module.left_out)
    return stored + state_bytes(num_trained_of(module), module.recipe.optimizer)


def _origin(name: str, config: NetworkConfig, part: nn.Module) -> str | None:
    """None: it has no weights."""
    settings = getattr(config, CONFIG_FIELDS.get(name, name), None)
    if not _num(part):
        return None
    if settings is not None and settings.pretrained:
        return settings.pretrained
    is_copy = name == "imitative_unet" and not settings.arguments
    return _origin("reference_unet", config, part) if is_copy else "random"


def _memory_of(device: torch.device) -> int:
    """Bytes: of the GPU, or of this machine and what its container may use."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return usable_memory()


def _existing(folder: Path) -> Path:
    return next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())


def _num(part: nn.Module) -> int:
    return sum(value.numel() for value in part.parameters())


def _millions(num: int) -> str:
    return f"{num / 1e6:.3g} M"

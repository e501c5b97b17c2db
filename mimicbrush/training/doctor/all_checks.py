"""Run all checks of the doctor, before a run or by `--check`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import torch
from lightning import Trainer
from lightning.fabric.utilities import move_data_to_device

from mimicbrush.data.datamodule import PairData
from mimicbrush.data.decode import collate
from mimicbrush.data.remote_files import locate
from mimicbrush.errors import UserError, first_line
from mimicbrush.pictures.writing import write_image
from mimicbrush.training.config import TrainConfig
from mimicbrush.training.doctor.contact_sheets import batch_sheet, round_trip_sheet
from mimicbrush.training.doctor.data_checks import (
    BEFORE_A_RUN,
    IN_FULL,
    CheckExtent,
    check_heldout,
    check_heldout_pairs,
    check_source,
)
from mimicbrush.training.doctor.findings import Finding, collect, describe, faults_of
from mimicbrush.training.doctor.first_batch import FirstBatch, check_gradients, check_mask, check_round_trip, run_batch
from mimicbrush.training.doctor.setup_checks import (
    check_checkpoint_fits,
    check_cores,
    check_device,
    check_disk,
    check_memory,
    check_parameters,
    check_resume,
    check_step,
    check_weights,
)
from mimicbrush.training.module import MimicBrushModule
from mimicbrush.training.run_setup import make_data, make_module, share_step
from mimicbrush.training.stop_signals import StopSignals
from mimicbrush.training.trainer import make_trainer, num_ranks_of

T = TypeVar("T")

PICTURE_FOLDER = "check"
"""Folder for pictures inside the output folder."""


def check_before_run(config: TrainConfig, module: MimicBrushModule, data: PairData, trainer: Trainer) -> None:
    """Check a run before its first step and print a summary; raises UserError where there is a fault.

    Weights and random numbers of the run stay unchanged.
    """
    num_ranks = num_ranks_of(trainer)
    findings = collect("step", check_step, config, num_ranks)
    config = share_step(config, num_ranks)
    findings += _check_data(config, num_ranks, BEFORE_A_RUN)
    findings += _check_parts(config, module, trainer, counted=False)
    if not faults_of(findings):
        findings += _check_first_batch(config, module, data, trainer, pictures=None)
    print(describe(findings, in_full=False))
    faults = faults_of(findings)
    if faults:
        named = ", ".join(dict.fromkeys(fault.name for fault in faults))
        raise UserError(f"the run has not started: fix what the doctor found ({named}); `--check` shows everything")


def check_in_full(config: TrainConfig) -> int:
    """Check a run in full, without training, and write pictures into the output folder's `check`.

    Returns the exit status: 2 if there is a fault, else 0.
    """
    findings = collect("output", check_resume, config)
    module = _make("network", findings, lambda: make_module(config))
    # The number of held-out pairs is checked separately, so that it hides no other fault.
    without_heldout = replace(config, data=replace(config.data, heldout=None), run=replace(config.run, patience=None))
    trainer = _make("device", findings, lambda: make_trainer(without_heldout, StopSignals()))
    num_ranks = num_ranks_of(trainer) if trainer else 1
    if trainer:
        findings += collect("step", check_step, config, num_ranks)
        config = share_step(config, num_ranks)
    data_findings = _check_data(config, num_ranks, IN_FULL)
    findings += [*data_findings, *collect("held-out", check_heldout_pairs, config)]
    data = None if faults_of(data_findings) else _make("data", findings, lambda: make_data(config))
    if module and trainer:
        findings += _check_parts(config, module, trainer, counted=True)
    if module and data and trainer:
        findings += collect("checkpoint", check_checkpoint_fits, config, module, data, num_ranks)
        findings += _check_first_batch(config, module, data, trainer, pictures=config.output / PICTURE_FOLDER)
    # A fault that prevents several parts was reported by each of them.
    findings = list({finding.message: finding for finding in findings}.values())
    print(describe(findings, in_full=True))
    return 2 if faults_of(findings) else 0


def _make(name: str, findings: list[Finding], make: Callable[[], T]) -> T | None:
    """Make a part of the run; if that fails, returns None and adds a finding."""
    try:
        return make()
    except UserError as error:
        findings += [Finding(name, "fault", fault) for fault in error.faults]
        return None


def _check_data(config: TrainConfig, num_ranks: int, extent: CheckExtent) -> list[Finding]:
    samples = num_ranks * config.data.batch_size * (config.run.accumulate or 1)
    kwargs = {"size": config.network.size, "samples_per_step": samples, "extent": extent}
    found = [
        finding
        for source in config.data.sources
        for finding in collect(locate(source.shards).name, check_source, source, config.data, **kwargs)
    ]
    return found if faults_of(found) else [*found, *collect("held-out", check_heldout, config.data, extent)]


def _check_parts(config: TrainConfig, module: MimicBrushModule, trainer: Trainer, *, counted: bool) -> list[Finding]:
    return [
        *collect("device", check_device, config, trainer),
        *collect("workers", check_cores, config, trainer),
        *collect("weights", check_weights, config.network, module.network),
        *collect("parameters", check_parameters, module.network),
        *collect("memory", check_memory, module, config, trainer.strategy.root_device, counted=counted),
        *collect("disk", check_disk, module, config),
    ]


def _check_first_batch(
    config: TrainConfig, module: MimicBrushModule, data: PairData, trainer: Trainer, *, pictures: Path | None
) -> list[Finding]:
    """Check the network on its first batch, in the run's precision and on its device."""
    try:
        return _run_first_batch(config, module, data, trainer, pictures)
    except torch.OutOfMemoryError as error:
        reason = first_line(error)
        return [Finding("memory", "fault", f"two pairs are too much ({reason}); take a larger device or smaller parts")]
    except UserError as error:
        return [Finding("first batch", "fault", str(error))]


def _run_first_batch(
    config: TrainConfig, module: MimicBrushModule, data: PairData, trainer: Trainer, pictures: Path | None
) -> list[Finding]:
    device, precision = trainer.strategy.root_device, trainer.precision_plugin
    # Without the loader, whose processes would otherwise start twice.
    pairs = collate([data.dataset[position] for position in range(config.data.batch_size)])
    random_state = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
    # Uncompiled: a batch of another size would change what the run compiles.
    with random_state, torch.compiler.set_stance("force_eager"):
        module.to(device)
        pairs = move_data_to_device(pairs, device)
        with precision.forward_context():
            first_batch = run_batch(
                module.network, module.draw_batch(pairs), torch.Generator().manual_seed(config.seed)
            )
        findings = [
            *check_mask(first_batch),
            *check_round_trip(first_batch),
            *check_gradients(module, pairs, precision.forward_context()),
        ]
    if pictures:
        findings += collect("pictures", _write_pictures, first_batch, pictures)
    return findings


def _write_pictures(first_batch: FirstBatch, folder: Path) -> Iterator[Finding]:
    write_image(batch_sheet(first_batch), folder / "batch.png")
    write_image(round_trip_sheet(first_batch), folder / "round_trip.png")
    yield Finding("pictures", "ok", f"{folder}: batch.png, round_trip.png")

"""GPU checks of training: steps with each option, waits for the GPU, exact resuming, and two ranks."""

from __future__ import annotations

import math
import subprocess
import sys
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from mimicbrush.bench.config import TrainBenchConfig
from mimicbrush.bench.gpu_check_types import MEMORY_SHARES, CheckResult, CheckSetup, SkippedCheck, is_as_counted
from mimicbrush.bench.training_speed import PLAIN, bench_config, random_frame_pairs, time_steps
from mimicbrush.config import dump_config, load_config
from mimicbrush.data.config import SourceConfig
from mimicbrush.data.shards import write_shard
from mimicbrush.errors import UserError
from mimicbrush.machine import GIBIBYTE, usable_cores
from mimicbrush.model.weights.find import checkpoint_of
from mimicbrush.model.weights.run_checkpoint import read_checkpoint
from mimicbrush.training.ablations.variants import TRAIN_SCRIPT
from mimicbrush.training.checkpoints import find_resume_point
from mimicbrush.training.config import RecipeConfig, TrainConfig
from mimicbrush.training.run_setup import make_data, make_module
from mimicbrush.training.step_cost import cost_of_run
from mimicbrush.training.stop_signals import StopSignals
from mimicbrush.training.trainable import trained_parameters
from mimicbrush.training.trainer import fit, make_trainer

NUM_TIMED = 5
"""Training steps that are timed, after the warm-up."""
LOSS_TOLERANCE = 0.02
"""Accepted relative difference of the first loss between two checks: only rounding differs."""
RANK_TOLERANCE = 0.05
"""Accepted difference between the weights of two ranks and of one, as a share of the change by training."""


# --- Training steps -------------------------------------------------------------------------------------------------


def check_steps(
    setup: CheckSetup,
    *,
    run: Mapping[str, Any],
    recipe: Mapping[str, Any] | None = None,
    compile_encoders: bool = False,
) -> CheckResult:
    """Train with these options: the first loss must equal that of the other checks, the peak memory the counted one."""
    if run.get("compile") and not setup.is_gpu:
        raise SkippedCheck("needs a GPU: compiling for a CPU takes minutes, and tests do it")
    source = {"network": "full"} if setup.network == "full" else {"train_config": setup.preset}
    bench = TrainBenchConfig(**source, batch_size=setup.batch_size, repeats=NUM_TIMED)
    config = bench_config(bench, setup.device)
    config = replace(
        config,
        run=replace(config.run, **PLAIN | run),
        recipe=replace(config.recipe, **_default_recipe() | (recipe or {})),
    )
    counted = cost_of_run(config).memory / GIBIBYTE
    if setup.is_gpu and counted > torch.cuda.get_device_properties(setup.device).total_memory / GIBIBYTE:
        raise SkippedCheck(f"{counted:.1f} GiB by count, more than this GPU has; lower --batch_size")
    try:
        timer = time_steps(bench, config, setup.device, compile_encoders=compile_encoders)
    except UserError as error:
        if config.recipe.optimizer != "adamw":
            raise SkippedCheck(str(error)) from None
        raise
    losses = torch.stack(timer.losses).tolist()
    expected, measured = [_expected_loss(setup)], [f"loss {losses[0]:.4f} to {losses[-1]:.4f}"]
    is_ok = all(map(math.isfinite, losses)) and _is_near(losses[0], setup.first_loss)
    if setup.is_gpu:
        is_ok = is_ok and is_as_counted(timer.peak, counted, least=0 if run.get("compile") else MEMORY_SHARES[0])
        expected.append(f"{counted:.1f} GiB counted")
        measured.append(f"{timer.peak:.1f} GiB")
    rate = timer.num_steps * setup.batch_size / timer.wall
    measured.append(f"{rate:.3g} images/s, {1e3 * timer.wall / timer.num_steps:.0f} ms a step")
    return CheckResult(", ".join(expected), ", ".join(measured), is_ok, first_loss=losses[0])


def check_waits(setup: CheckSetup) -> CheckResult:
    """Count how often the host waits for the GPU in steps after the first."""
    if not setup.is_gpu:
        raise SkippedCheck("needs a GPU; tests/training/test_waiting.py counts on the CPU")
    config = _run_config(setup, "waits", max_steps=6)
    trainer, waits = make_trainer(config, StopSignals()), _Waits()
    trainer.callbacks.insert(0, waits)
    fit(trainer, make_module(config), make_data(config), None)
    found = f"{waits.num} in {waits.num_steps} steps" + "".join(f"; {place}" for place in sorted(waits.places))
    return CheckResult("one wait a step: whether it harms the weights", found, waits.num <= waits.num_steps)


class _Waits(Callback):
    """Counts torch's warnings about synchronizing calls in every step but the first and the last."""

    def __init__(self) -> None:
        self.num = self.num_steps = 0
        self.places: set[str] = set()

    def on_train_batch_start(self, trainer: Trainer, *args: object) -> None:
        if trainer.global_step:
            self.caught = warnings.catch_warnings(record=True)
            self.warned = self.caught.__enter__()
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *args: object) -> None:
        if trainer.global_step == 1:
            return
        torch.cuda.set_sync_debug_mode("default")
        self.caught.__exit__(None, None, None)
        # The last step writes records and a checkpoint after this callback.
        waits = [warning for warning in self.warned if "synchroniz" in str(warning.message)]
        self.num, self.num_steps = self.num + len(waits), self.num_steps + 1
        self.places |= {f"{Path(warning.filename).name}:{warning.lineno}" for warning in waits}


# --- Whole runs of the tiny network ---------------------------------------------------------------------------------


def check_resume(setup: CheckSetup) -> CheckResult:
    """Compare a resumed run with an uninterrupted one: they may differ as much as two uninterrupted runs do."""
    whole, again = (_train(_run_config(setup, name, max_steps=4)) for name in ("whole", "again"))
    _train(_run_config(setup, "resumed", max_steps=2))
    resumed = _train(_run_config(setup, "resumed", max_steps=4))
    limit, found = _distance(whole, again), _distance(whole, resumed)
    return CheckResult(f"within {limit:.1e}, two equal runs' distance", f"{found:.1e}", found <= limit)


def check_ranks(setup: CheckSetup) -> CheckResult:
    """Compare two ranks with one rank that accumulates twice as many batches: only rounding may differ."""
    num, what = (torch.cuda.device_count(), "GPUs") if setup.is_gpu else (usable_cores(), "CPU cores")
    if num < 2:
        raise SkippedCheck(f"needs 2 {what}, found {num}")
    # In float32, only the order in which the ranks' gradients are summed changes the rounding.
    exact = {"max_steps": 4, "precision": "32-true", "tf32": False}
    # Random numbers depend on a batch's first position, so one rank takes the batches of two ranks in turn.
    config = _run_config(setup, "one", **exact, accumulate=2)
    before = trained_parameters(make_module(config))
    alone = _train(config)
    config = _run_config(setup, "two", **exact, devices=2)
    path = setup.folder / "two.yaml"
    path.write_text(dump_config(config), encoding="utf-8")
    # Lightning starts the second rank by repeating the command line, so train.py has to be started as a process.
    command = [sys.executable, str(TRAIN_SCRIPT), "--config", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"train.py ended with status {done.returncode}: {done.stderr.strip()[-500:]}")
    share = _distance(alone, _weights_of(config)) / _distance(alone, before)
    return CheckResult(
        f"one rank's weights within {RANK_TOLERANCE:.0%} of what changed", f"{share:.2%}", share <= RANK_TOLERANCE
    )


def _run_config(setup: CheckSetup, name: str, *, max_steps: int, **run: Any) -> TrainConfig:
    """Config of a short run of the tiny preset on random pairs."""
    shards = setup.folder / "shards"
    config = load_config(TrainConfig, setup.preset)
    if not shards.is_dir():
        write_shard(shards / "pairs-000000.tar", random_frame_pairs(16, config.network.size), {})
    fields = {
        "max_steps": max_steps,
        "samples_per_step": None,
        "patience": None,
        "precision": "bf16-mixed" if setup.is_gpu else "32-true",
        "accelerator": "gpu" if setup.is_gpu else "cpu",
        "devices": 1,
        "checkpoint_every": 2,
        "preview_every": 0,
        "reference_use_every": 0,
    }
    source = SourceConfig(shards=shards, weight=1.0)
    return replace(
        config,
        output=setup.folder / name,
        data=replace(config.data, sources=[source], heldout=None, batch_size=4, num_workers=0),
        recipe=replace(config.recipe, warmup_steps=0, cooldown_steps=0),
        run=replace(config.run, **fields | run),
    )


def _train(config: TrainConfig) -> dict[str, Tensor]:
    """Train from the last checkpoint, as train.py does; return the trained weights by name."""
    start = find_resume_point(config.output)
    module, data, trainer = make_module(config), make_data(config), make_trainer(config, StopSignals())
    fit(trainer, module, data, start.checkpoint)
    return _weights_of(config)


def _weights_of(config: TrainConfig) -> dict[str, Tensor]:
    """Read the weights in a run's last checkpoint, by name."""
    return read_checkpoint(checkpoint_of(config.output))["state_dict"]


def _distance(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """Euclidean distance of the weights that both have."""
    names = one.keys() & other.keys()
    return math.sqrt(sum((one[name].double() - other[name].cpu().double()).square().sum().item() for name in names))


# --- Expected values ------------------------------------------------------------------------------------------------


def _default_recipe() -> dict[str, Any]:
    """Defaults of the recipe settings that single checks change."""
    names = ("train_reference", "imitative_lora", "reference_lora", "optimizer", "matching_weight")
    return {name: getattr(RecipeConfig(), name) for name in names}


def _expected_loss(setup: CheckSetup) -> str:
    return f"first loss {setup.first_loss:.4f} ± {LOSS_TOLERANCE:.0%}" if setup.first_loss else "finite losses"


def _is_near(loss: float, expected: float | None) -> bool:
    return expected is None or abs(loss / expected - 1) <= LOSS_TOLERANCE

"""Check training and editing on one GPU within ten minutes: a table of expected and measured values."""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import torch

from mimicbrush.bench.config import TINY_PRESET, CheckName, GpuCheckConfig
from mimicbrush.bench.gpu_check_types import CheckResult, CheckSetup, SkippedCheck
from mimicbrush.bench.gpu_edit_checks import check_edit, check_offload, check_sampling
from mimicbrush.bench.gpu_training_checks import check_ranks, check_resume, check_steps, check_waits
from mimicbrush.bench.training_speed import free_earlier_rows
from mimicbrush.device import choose_device, describe_device
from mimicbrush.errors import UserError
from mimicbrush.files import digest, read_object, whole, write_json, write_text
from mimicbrush.folder_lock import held
from mimicbrush.reports.text_table import markdown_table
from mimicbrush.training.timing import now


class Check(NamedTuple):
    """One check: its title, its duration, and the function that runs it."""

    title: str
    seconds: int
    """Expected duration for the full-size network on one H100, mostly building networks, counting and compiling."""
    run: Callable[[CheckSetup], CheckResult]


BF16 = {"precision": "bf16-mixed"}
CHECKS: dict[CheckName, Check] = {
    "float32": Check("step, float32 with TF32", 30, partial(check_steps, run={})),
    "bfloat16": Check("step, bfloat16", 25, partial(check_steps, run=BF16)),
    "channels_last": Check("step, channels last", 25, partial(check_steps, run=BF16 | {"channels_last": True})),
    "frozen": Check(
        "step, frozen weights in bfloat16", 25, partial(check_steps, run=BF16 | {"frozen_precision": "bfloat16"})
    ),
    "checkpointing": Check(
        "step, gradient checkpointing", 25, partial(check_steps, run=BF16 | {"gradient_checkpointing": True})
    ),
    "train_reference": Check(
        "step, both U-Nets trained", 30, partial(check_steps, run=BF16, recipe={"train_reference": True})
    ),
    "lora": Check("step, LoRA of rank 64", 25, partial(check_steps, run=BF16, recipe={"imitative_lora": 64})),
    "adamw8bit": Check("step, 8-bit AdamW", 25, partial(check_steps, run=BF16, recipe={"optimizer": "adamw8bit"})),
    "waits": Check("waiting for the GPU", 10, check_waits),
    "resume": Check("exact resume, tiny preset", 20, check_resume),
    "edit": Check("edit", 25, check_edit),
    "offload_model": Check("edit, models offloaded", 25, partial(check_offload, kind="model")),
    "offload_sequential": Check("edit, layers offloaded", 30, partial(check_offload, kind="sequential")),
    "sampling": Check("sampling against the released algorithm", 20, check_sampling),
    "compile": Check(
        "step, compiled U-Nets and encoders",
        150,
        partial(check_steps, run=BF16 | {"compile": True}, compile_encoders=True),
    ),
    "ranks": Check("two ranks, tiny preset", 45, check_ranks),
    "all": Check(
        "step, compiled, gradient checkpointing, both U-Nets trained",
        180,
        partial(
            check_steps,
            run=BF16 | {"compile": True, "gradient_checkpointing": True, "channels_last": True},
            recipe={"train_reference": True},
        ),
    ),
}
"""The checks in order: those that take minutes come last, so that only they are skipped on a slow GPU.

A check takes few training steps: 8 steps of 4 pairs at 8.63 TFLOP are 276 TFLOP, about a second on an H100 with
200 TFLOP/s.
"""


CheckVerdict = Literal["ok", "fail", "skipped"]

PACKAGE = Path(__file__).parents[1]
COLUMNS = ("check", "expected", "measured", "verdict", "seconds")


@dataclass(frozen=True, kw_only=True)
class CheckRecord:
    """The outcome of one check: one line of the table."""

    check: str
    title: str
    expected: str = ""
    measured: str = ""
    """The measured value, or the reason for a failure or a skip."""
    verdict: CheckVerdict
    seconds: float = 0.0
    first_loss: float | None = None
    """Loss of the first training step, as in CheckResult."""


def check_gpu(config: GpuCheckConfig) -> None:
    """Print and write the table. Raises UserError if there is no such device, SystemExit(1) if a check fails."""
    with held(config.output):
        _check_gpu(config, _device(config))


def _check_gpu(config: GpuCheckConfig, device: torch.device) -> None:
    origin = _origin(config, device)
    kept = _kept_records(config.output, origin)
    records: list[CheckRecord] = []
    print(f"{origin['machine']}; {origin['what']}\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        losses = [record.first_loss for record in kept.values() if record.first_loss is not None]
        first_loss = next(iter(losses), None)
        setup = CheckSetup(config.network, config.batch_size, device, Path(folder), TINY_PRESET, first_loss)
        budget = _Budget(60 * config.minutes)
        for name in config.checks or tuple(CHECKS):
            records.append(kept.get(name) or _run(name, CHECKS[name], setup, budget))
            print(_text(records[-1]), flush=True)
            made = {record.check for record in records}
            _write([*records, *(record for check, record in kept.items() if check not in made)], origin, config.output)
    _finish(records, config.output)


def _device(config: GpuCheckConfig) -> torch.device:
    if config.device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(
            "no CUDA GPU found; `python -m mimicbrush.bench gpu --device cpu --network tiny` runs the checks that need"
            " none on the CPU"
        )
    return choose_device(config.device)


class _Budget:
    """The remaining time; expected durations are scaled by how much slower the earlier checks were than expected."""

    def __init__(self, seconds: float) -> None:
        self.ends = time.monotonic() + seconds
        self.planned = self.spent = 0.0

    def allows(self, planned: float) -> bool:
        """Whether a check of this expected duration would end in time."""
        slowness = max(1.0, self.spent / self.planned) if self.planned else 1.0
        return time.monotonic() + planned * slowness <= self.ends

    def note(self, planned: float, spent: float) -> None:
        """Record the expected and the measured duration of a check."""
        self.planned, self.spent = self.planned + planned, self.spent + spent


def _run(name: CheckName, check: Check, setup: CheckSetup, budget: _Budget) -> CheckRecord:
    """Run a check; any error in it becomes its verdict, so that the other checks still run."""
    fields = {"check": name, "title": check.title}
    if not budget.allows(check.seconds):
        reason = f"about {check.seconds} s, more than the time left; run the same command again for it"
        return CheckRecord(**fields, measured=reason, verdict="skipped")
    free_earlier_rows(setup.device)
    try:
        started = now()
        facts = check.run(setup)
        seconds = now() - started
    except SkippedCheck as reason:
        return CheckRecord(**fields, measured=str(reason), verdict="skipped")
    except UserError as error:
        return CheckRecord(**fields, measured=str(error), verdict="fail")
    except Exception as error:
        message = str(error).strip().splitlines() or [""]
        return CheckRecord(**fields, measured=f"{type(error).__name__}: {message[0]}", verdict="fail")
    budget.note(check.seconds, seconds)
    setup.first_loss = setup.first_loss or facts.first_loss
    return CheckRecord(
        **fields,
        expected=facts.expected,
        measured=facts.measured,
        verdict="ok" if facts.is_ok else "fail",
        seconds=round(seconds, 1),
        first_loss=facts.first_loss,
    )


def _finish(records: Sequence[CheckRecord], output: Path) -> None:
    """Print a summary; raises SystemExit if a check failed."""
    failed = [record.check for record in records if record.verdict == "fail"]
    skipped = [record.check for record in records if record.verdict == "skipped"]
    print(f"\n{len(records) - len(failed) - len(skipped)} ok, {len(failed)} failed, {len(skipped)} skipped -> {output}")
    for what, names in {"failed": failed, "skipped": skipped}.items():
        if names:
            print(f"{what}: {', '.join(names)}")
    if failed:
        raise SystemExit(1)


# --- The table ------------------------------------------------------------------------------------------------------


def _origin(config: GpuCheckConfig, device: torch.device) -> dict[str, str]:
    """Describe the machine, settings and code for which the results are valid."""
    sizes = f"{config.network} network, {config.batch_size} pairs per step"
    return {"machine": describe_device(device), "what": sizes, "code": digest(sorted(PACKAGE.rglob("*.py")))}


def _kept_records(output: Path, origin: Mapping[str, str]) -> dict[str, CheckRecord]:
    """Read the checks that passed with the same code, settings and machine."""
    path = output / "results.json"
    if not path.is_file():
        return {}
    content = read_object(path, "origin", "lines")
    if content["origin"] != origin:
        return {}
    records = (CheckRecord(**fields) for fields in content["lines"])
    return {record.check: record for record in records if record.verdict == "ok"}


def _write(records: Sequence[CheckRecord], origin: Mapping[str, str], output: Path) -> None:
    write_json({"origin": origin, "lines": list(map(asdict, records))}, output / "results.json")
    with whole(output / "results.csv") as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(asdict, records))
    head = ("check", "expected", "measured", "verdict", "s")
    cells = [(each.title, each.expected, each.measured, each.verdict, f"{each.seconds:.0f}") for each in records]
    write_text(f"{origin['machine']}; {origin['what']}\n\n{markdown_table([head, *cells])}\n", output / "results.md")


def _text(record: CheckRecord) -> str:
    expected = f"expected {record.expected}; " if record.expected else ""
    return f"{record.verdict:8s}{record.title}: {expected}{record.measured}"

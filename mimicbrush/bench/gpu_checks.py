"""GPU checks that fit into ten minutes: a table of expected and measured values, one line per check."""

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
from mimicbrush.bench.training_speed import forget_rows
from mimicbrush.device import choose_device, describe_device
from mimicbrush.errors import UserError
from mimicbrush.files import digest, read_object, whole, write_json, write_text
from mimicbrush.folder_lock import held
from mimicbrush.reports.text_table import markdown_table
from mimicbrush.training.clock import now


class Check(NamedTuple):
    """A record of the table."""

    title: str
    seconds: int
    """Planned, for the full-size network on one H100; most of it builds networks, counts, and compiles."""
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
        "step, activations twice", 25, partial(check_steps, run=BF16 | {"gradient_checkpointing": True})
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
        "step, compiled, activations twice, both U-Nets trained",
        180,
        partial(
            check_steps,
            run=BF16 | {"compile": True, "gradient_checkpointing": True, "channels_last": True},
            recipe={"train_reference": True},
        ),
    ),
}
"""In order: what takes minutes comes last, so that it alone is skipped where a card is slow.

Steps are few: 8 of 4 pairs at 8.63 TFLOP each are 276 TFLOP, about a second of an H100 at 200 TFLOP/s.
"""


Verdict = Literal["ok", "fail", "skipped"]

PACKAGE = Path(__file__).parents[1]
COLUMNS = ("check", "expected", "measured", "verdict", "seconds")


@dataclass(frozen=True, kw_only=True)
class CheckRecord:
    """One record of the table."""

    check: str
    title: str
    expected: str = ""
    measured: str = ""
    """Or why it failed, or was skipped."""
    verdict: Verdict
    seconds: float = 0.0
    first_loss: float | None = None
    """As in CheckResult."""


def check_gpu(config: GpuCheckConfig) -> None:
    """Print and write the table. Raises UserError without the device, SystemExit (1) where a check fails."""
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
            "no CUDA GPU is here; `python -m mimicbrush.bench gpu --device cpu --network tiny` tries on the CPU what"
            " does not need one"
        )
    return choose_device(config.device)


class _Budget:
    """Seconds that are left; a check's planned ones grow as those before took longer than planned."""

    def __init__(self, seconds: float) -> None:
        self.ends = time.monotonic() + seconds
        self.planned = self.spent = 0.0

    def allows(self, planned: float) -> bool:
        """Whether a check would end in time."""
        slowness = max(1.0, self.spent / self.planned) if self.planned else 1.0
        return time.monotonic() + planned * slowness <= self.ends

    def note(self, planned: float, spent: float) -> None:
        """Record the planned and the measured seconds of a check."""
        self.planned, self.spent = self.planned + planned, self.spent + spent


def _run(name: CheckName, check: Check, setup: CheckSetup, budget: _Budget) -> CheckRecord:
    """Whatever goes wrong in a check is its record's, and the others go on."""
    fields = {"check": name, "title": check.title}
    if not budget.allows(check.seconds):
        reason = f"about {check.seconds} s, more than is left; the same command again makes it"
        return CheckRecord(**fields, measured=reason, verdict="skipped")
    forget_rows(setup.device)
    try:
        started = now()
        facts = check.run(setup)
        seconds = now() - started
    except SkippedCheck as reason:
        return CheckRecord(**fields, measured=str(reason), verdict="skipped")
    except UserError as error:
        return CheckRecord(**fields, measured=str(error), verdict="fail")
    except Exception as error:
        said = str(error).strip().splitlines() or [""]
        return CheckRecord(**fields, measured=f"{type(error).__name__}: {said[0]}", verdict="fail")
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
    """Count; raises SystemExit where a check has failed."""
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
    """The machine, settings and code for which the records are valid."""
    sizes = f"{config.network} network, {config.batch_size} pairs a step"
    return {"machine": describe_device(device), "what": sizes, "code": digest(sorted(PACKAGE.rglob("*.py")))}


def _kept_records(output: Path, origin: Mapping[str, str]) -> dict[str, CheckRecord]:
    """Lines that were ok, of the same code, settings and machine."""
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

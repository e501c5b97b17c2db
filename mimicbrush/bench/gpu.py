"""GPU checks that fit into ten minutes: a table of expected and measured values, one line per check."""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch

from mimicbrush.bench.clock import describe_machine
from mimicbrush.bench.config import CheckName, GpuCheckConfig
from mimicbrush.bench.gpu_checks import CHECKS, Check
from mimicbrush.bench.gpu_facts import PRESET, Setup, Skipped
from mimicbrush.bench.training import forget_rows
from mimicbrush.device import choose_device
from mimicbrush.errors import UserError
from mimicbrush.files import digest, read_object, whole, write_json, write_text
from mimicbrush.folder_lock import held
from mimicbrush.reports.text_table import markdown_table
from mimicbrush.training.clock import now

Verdict = Literal["ok", "fail", "skipped"]

PACKAGE = Path(__file__).parents[1]
COLUMNS = ("check", "expected", "measured", "verdict", "seconds")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the table."""

    check: str
    title: str
    expected: str = ""
    measured: str = ""
    """Or why it failed, or was skipped."""
    verdict: Verdict
    seconds: float = 0.0
    first_loss: float | None = None
    """As in Facts."""


def check_gpu(config: GpuCheckConfig) -> None:
    """Print and write the table. Raises UserError without the device, SystemExit (1) where a check fails."""
    with held(config.output):
        _check_gpu(config, _device(config))


def _check_gpu(config: GpuCheckConfig, device: torch.device) -> None:
    origin = _origin(config, device)
    kept = _kept_lines(config.output, origin)
    lines: list[Line] = []
    print(f"{origin['machine']}; {origin['what']}\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        losses = [line.first_loss for line in kept.values() if line.first_loss is not None]
        first_loss = next(iter(losses), None)
        setup = Setup(config.network, config.batch_size, device, Path(folder), PRESET, first_loss)
        budget = _Budget(60 * config.minutes)
        for name in config.checks or tuple(CHECKS):
            lines.append(kept.get(name) or _run(name, CHECKS[name], setup, budget))
            print(_text(lines[-1]), flush=True)
            made = {line.check for line in lines}
            _write([*lines, *(line for check, line in kept.items() if check not in made)], origin, config.output)
    _finish(lines, config.output)


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


def _run(name: CheckName, check: Check, setup: Setup, budget: _Budget) -> Line:
    """Whatever goes wrong in a check is its line's, and the others go on."""
    fields = {"check": name, "title": check.title}
    if not budget.allows(check.seconds):
        reason = f"about {check.seconds} s, more than is left; the same command again makes it"
        return Line(**fields, measured=reason, verdict="skipped")
    forget_rows(setup.device)
    try:
        started = now()
        facts = check.run(setup)
        seconds = now() - started
    except Skipped as reason:
        return Line(**fields, measured=str(reason), verdict="skipped")
    except UserError as error:
        return Line(**fields, measured=str(error), verdict="fail")
    except Exception as error:
        said = str(error).strip().splitlines() or [""]
        return Line(**fields, measured=f"{type(error).__name__}: {said[0]}", verdict="fail")
    budget.note(check.seconds, seconds)
    setup.first_loss = setup.first_loss or facts.first_loss
    return Line(
        **fields,
        expected=facts.expected,
        measured=facts.measured,
        verdict="ok" if facts.is_ok else "fail",
        seconds=round(seconds, 1),
        first_loss=facts.first_loss,
    )


def _finish(lines: Sequence[Line], output: Path) -> None:
    """Count; raises SystemExit where a check has failed."""
    failed = [line.check for line in lines if line.verdict == "fail"]
    skipped = [line.check for line in lines if line.verdict == "skipped"]
    print(f"\n{len(lines) - len(failed) - len(skipped)} ok, {len(failed)} failed, {len(skipped)} skipped -> {output}")
    for what, names in {"failed": failed, "skipped": skipped}.items():
        if names:
            print(f"{what}: {', '.join(names)}")
    if failed:
        raise SystemExit(1)


# --- The table ------------------------------------------------------------------------------------------------------


def _origin(config: GpuCheckConfig, device: torch.device) -> dict[str, str]:
    """The machine, settings and code for which the lines are valid."""
    sizes = f"{config.network} network, {config.batch_size} pairs a step"
    return {"machine": describe_machine(device), "what": sizes, "code": digest(sorted(PACKAGE.rglob("*.py")))}


def _kept_lines(output: Path, origin: Mapping[str, str]) -> dict[str, Line]:
    """Lines that were ok, of the same code, settings and machine."""
    path = output / "results.json"
    if not path.is_file():
        return {}
    content = read_object(path, "origin", "lines")
    if content["origin"] != origin:
        return {}
    lines = (Line(**fields) for fields in content["lines"])
    return {line.check: line for line in lines if line.verdict == "ok"}


def _write(lines: Sequence[Line], origin: Mapping[str, str], output: Path) -> None:
    write_json({"origin": origin, "lines": list(map(asdict, lines))}, output / "results.json")
    with whole(output / "results.csv") as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(asdict, lines))
    head = ("check", "expected", "measured", "verdict", "s")
    cells = [(line.title, line.expected, line.measured, line.verdict, f"{line.seconds:.0f}") for line in lines]
    write_text(f"{origin['machine']}; {origin['what']}\n\n{markdown_table([head, *cells])}\n", output / "results.md")


def _text(line: Line) -> str:
    expected = f"expected {line.expected}; " if line.expected else ""
    return f"{line.verdict:8s}{line.title}: {expected}{line.measured}"

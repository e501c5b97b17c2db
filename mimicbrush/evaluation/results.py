"""Scores of every edit, their means, and the files and the table that hold them."""

from __future__ import annotations

import csv
import math
import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import yaml

from mimicbrush.config import dump_config
from mimicbrush.evaluation.benchmark import Sample, Track
from mimicbrush.evaluation.edits import edited_path, read_seconds
from mimicbrush.evaluation.metrics import METRICS, Edit, Metric, Models, Score, measure
from mimicbrush.evaluation.reference_use import ReferenceUse, format_reference_use, read_reference_use
from mimicbrush.evaluation.run import EvaluateConfig, digest
from mimicbrush.files import installed_versions, whole, write_json
from mimicbrush.imaging import read_image, read_mask, to_pil
from mimicbrush.model.reference_use import COMPARISONS
from mimicbrush.statistics import bootstrap_mean

PACKAGES = ("mimicbrush", "torch", "diffusers", "transformers", "scikit-image", "opencv-python-headless", "numpy")
SHOWN = ("ssim", "psnr", "psnr_mask", "colour_distance", "source_ssim", "source_psnr", "change_outside")
"""The metrics in the tables."""
ARROWS = {"higher": " ↑", "lower": " ↓", None: ""}


class SampleResult(NamedTuple):
    """One edit's scores. `group` tells samples of one source photograph, which are not independent."""

    set_name: str
    editor: str
    id: str
    group: str
    seconds: float | None
    scores: dict[str, Score]


class Summary(NamedTuple):
    """A metric's mean over the samples that have a value, with its 95 % interval where all values are finite."""

    mean: float | None
    low: float | None
    high: float | None
    count: int
    groups: int
    note: str


@dataclass(frozen=True, kw_only=True)
class Results:
    """All that an evaluation found."""

    config: EvaluateConfig
    samples: list[SampleResult]
    summaries: dict[tuple[str, str, str], Summary]
    """By set, editor and metric."""
    reference_use: dict[str, ReferenceUse | None]
    """By editor, None where it is not defined; empty where it was not asked for."""
    seconds: float
    """Wall time of this call."""
    date: str
    versions: dict[str, str]
    hardware: str


def gather_results(config: EvaluateConfig, samples: dict[str, list[Sample]], *, seconds: float) -> Results:
    """Score the finished edits; numbers are computed from the pictures on disk, so a resumed run gives the same."""
    scored = [
        _score_sample(sample, set_name, editor, config)
        for set_name, members in samples.items()
        for editor in config.editors
        for sample in members
    ]
    return Results(
        config=config,
        samples=scored,
        summaries=_summarise(config, scored),
        reference_use={
            editor: read_reference_use(config.reference_use / f"{editor}.json")
            for editor in (config.editors if config.heldout else ())
        },
        seconds=round(seconds, 1),
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        versions={"python": platform.python_version(), **installed_versions(PACKAGES)},
        hardware=_hardware(),
    )


def read_edit(sample: Sample, folder: Path) -> Edit:
    """A finished edit with all that it is compared with."""
    return Edit(
        source=np.asarray(to_pil(read_image(sample.source))),
        mask=read_mask(sample.mask)[0].numpy() > 0.5,
        edited=np.asarray(to_pil(read_image(edited_path(folder, sample)))),
        reference=np.asarray(to_pil(read_image(sample.reference))),
        reference_mask=read_mask(sample.reference_mask)[0].numpy() > 0.5 if sample.reference_mask else None,
    )


def metrics_of(track: Track) -> dict[str, Metric]:
    """The metrics that apply to a track, by name."""
    return {name: METRICS[name] for name in SHOWN if track in METRICS[name].tracks}


def column_title(metric: Metric) -> str:
    """`PSNR (dB) ↑`."""
    return f"{metric.title}{f' ({metric.unit})' if metric.unit else ''}{ARROWS[metric.better]}"


def format_summary(summary: Summary) -> str:
    """`0.912 [0.880, 0.941]`; the mean alone where all values are equal or one is infinite."""
    if summary.mean is None:
        return "not computable"
    if summary.low is None or summary.low == summary.high:
        return format_number(summary.mean)
    return f"{format_number(summary.mean)} [{format_number(summary.low)}, {format_number(summary.high)}]"


def format_number(value: float) -> str:
    """Three decimals up to 1, two above; `∞`."""
    if math.isinf(value):
        return "∞"
    return f"{value:.3f}" if abs(value) <= 1 else f"{value:.2f}"


def console_table(results: Results) -> str:
    """Each set's means, editors down, metrics across; then reference use, comparisons across."""
    blocks = []
    for set_name, benchmark_set in results.config.sets.items():
        metrics = metrics_of(benchmark_set.track)
        rows = [[set_name, *map(column_title, metrics.values())]]
        for editor in results.config.editors:
            rows.append([editor, *(format_summary(results.summaries[set_name, editor, name]) for name in metrics)])
        blocks.append(_align(rows))
    if results.reference_use:
        rows = [["reference use", *(f"{name}{ARROWS['higher']}" for name in COMPARISONS)]]
        rows += [[editor, *format_reference_use(use)] for editor, use in results.reference_use.items()]
        blocks.append(_align(rows))
    return "\n\n".join(blocks)


def _align(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def write_results(results: Results) -> None:
    """Write results.json and results.csv into the output folder."""
    output = results.config.output
    write_json(_document(results), output / "results.json")
    with whole(output / "results.csv") as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["set", "editor", "id", "group", "seconds", *METRICS])
        for sample in results.samples:
            values = [sample.scores[name].value if name in sample.scores else None for name in METRICS]
            writer.writerow([*sample[:5], *values])


def _score_sample(sample: Sample, set_name: str, editor: str, config: EvaluateConfig) -> SampleResult:
    folder = config.edits(set_name, editor)
    return SampleResult(
        set_name=set_name,
        editor=editor,
        id=sample.id,
        group=sample.group or digest([sample.source])[:8],
        seconds=read_seconds(folder).get(sample.id),
        scores=measure([read_edit(sample, folder)], metrics_of(sample.track), Models())[0],
    )


def _summarise(config: EvaluateConfig, samples: list[SampleResult]) -> dict[tuple[str, str, str], Summary]:
    summaries = {}
    for set_name, benchmark_set in config.sets.items():
        for editor in config.editors:
            members = [sample for sample in samples if (sample.set_name, sample.editor) == (set_name, editor)]
            for metric in metrics_of(benchmark_set.track):
                summaries[set_name, editor, metric] = _summary(metric, members)
    return summaries


def _summary(metric: str, samples: list[SampleResult]) -> Summary:
    scored = [(sample.scores[metric].value, sample.group) for sample in samples]
    values = [value for value, _ in scored if value is not None]
    groups = [group for value, group in scored if value is not None]
    missing = sorted({sample.scores[metric].reason for sample in samples if sample.scores[metric].value is None})
    note = f"{len(samples) - len(values)} of {len(samples)} not computable: {'; '.join(missing)}" if missing else ""
    if not values:
        return Summary(None, None, None, 0, 0, note)
    infinite = sum(map(math.isinf, values))
    if infinite:
        note = "; ".join(filter(None, [note, f"{infinite} of {len(values)} values are infinite"]))
        return Summary(math.inf, None, None, len(values), len(set(groups)), note)
    interval = bootstrap_mean(values, groups)
    return Summary(*interval[:3], interval.count, interval.groups, note)


def _document(results: Results) -> dict:
    """The results as JSON: infinity becomes "inf"."""
    return {
        "date": results.date,
        "seconds": results.seconds,
        "hardware": results.hardware,
        "versions": results.versions,
        "config": yaml.safe_load(dump_config(results.config)),
        "metrics": {
            name: {
                "title": metric.title,
                "unit": metric.unit,
                "better": metric.better,
                "tracks": sorted(metric.tracks),
                "meaning": metric.meaning,
            }
            for name, metric in METRICS.items()
        },
        "means": [
            {"set": set_name, "editor": editor, "metric": metric, **_plain(summary._asdict())}
            for (set_name, editor, metric), summary in results.summaries.items()
        ],
        "reference_use": {
            editor: "not defined" if use is None else {name: share._asdict() for name, share in use.items()}
            for editor, use in results.reference_use.items()
        },
        "samples": [
            {
                "set": sample.set_name,
                "editor": sample.editor,
                "id": sample.id,
                "group": sample.group,
                "seed": results.config.seed,
                "seconds": sample.seconds,
                "scores": _plain({name: score.value for name, score in sample.scores.items()}),
                "reasons": {name: score.reason for name, score in sample.scores.items() if score.reason},
            }
            for sample in results.samples
        ],
    }


def _plain(fields: dict) -> dict:
    return {name: "inf" if value == math.inf else value for name, value in fields.items()}


def _hardware() -> str:
    """Processor or accelerator, in words."""
    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    return f"CPU, {platform.machine()}, {os.cpu_count()} cores"

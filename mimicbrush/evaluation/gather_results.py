"""What an evaluation found: every edit's scores, their means, and the files that hold them."""

from __future__ import annotations

import csv
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import torch
import yaml

from mimicbrush.config import dump_config
from mimicbrush.evaluation.benchmark import Sample
from mimicbrush.evaluation.config import EvaluateConfig
from mimicbrush.evaluation.edit_rounds import read_record
from mimicbrush.evaluation.fingerprints import judged_editors, pairs_of, weights_of
from mimicbrush.evaluation.measure_reference_use import ReferenceUse, read_reference_use
from mimicbrush.evaluation.metrics.models import Models
from mimicbrush.evaluation.metrics.score import Score
from mimicbrush.evaluation.metrics.table import METRICS, set_metrics
from mimicbrush.evaluation.paired_comparison import PairedComparison, compare_editors
from mimicbrush.evaluation.score_rounds import Scoring, metrics_code, number_to_json, scoring_of, variant_of
from mimicbrush.files import digest, installed_versions, whole, write_json
from mimicbrush.machine import usable_cores
from mimicbrush.statistics import bootstrap_mean

PACKAGES = (
    "mimicbrush",
    "torch",
    "diffusers",
    "transformers",
    "torchmetrics",
    "scikit-image",
    "opencv-python-headless",
    "numpy",
)


class EditResult(NamedTuple):
    """One edit of one sample with one seed."""

    set_name: str
    editor: str
    seed: int
    id: str
    group: str
    """Edits of one group, of one source photograph for instance, are not independent."""
    seconds: float | None
    peak_memory: int | None
    """Bytes."""
    failure: str
    """Why there is no edited picture; empty where there is one."""
    scores: dict[str, Score]
    """Of every metric of the set."""


class Summary(NamedTuple):
    """A metric's mean over the edits that have a value, with its 95 % interval where all values are finite."""

    mean: float | None
    low: float | None
    high: float | None
    count: int
    groups: int
    note: str


@dataclass(frozen=True, kw_only=True)
class EvaluationResults:
    """All that an evaluation found."""

    config: EvaluateConfig
    edits: list[EditResult]
    summaries: dict[tuple[str, str, str], Summary]
    """By set, editor and metric."""
    comparisons: list[PairedComparison]
    """Every editor against the first one."""
    samples: Mapping[str, Sequence[Sample]]
    """By set."""
    not_computed: dict[str, str]
    """Metric -> why it could not be computed, and the command that mends it."""
    variants: dict[str, str]
    """Metric -> the network behind it."""
    weights: dict[str, str]
    """Editor -> fingerprint of its weight files."""
    reference_use: dict[str, dict[str, ReferenceUse | None]]
    """Pairs (`heldout`, or the name of a set) -> editor -> shares, None where they are not defined."""
    seconds: float
    """Wall time of this call."""
    date: str
    versions: dict[str, str]
    hardware: str


def gather_results(
    config: EvaluateConfig,
    samples: Mapping[str, Sequence[Sample]],
    *,
    models: Models,
    not_computed: Mapping[str, str],
    seconds: float,
) -> EvaluationResults:
    """Read every edit's record and scores from disk, so that a resumed run, or one of many tasks, gives the same.

    not_computed: the metrics that have no scores, and why; seconds: the wall time until here.
    """
    edits = [
        _read_edit_result(
            config, sample, set_name=set_name, editor=editor, seed=seed, scoring=scoring, not_computed=not_computed
        )
        for set_name, members in samples.items()
        for editor in config.editors
        for seed in config.seeds
        for scoring in [scoring_of(config, set_name, editor, seed, models=models, not_computed=not_computed)]
        for sample in members
    ]
    shown = {name: metric for set_name in config.sets for name, metric in set_metrics(config, set_name).items()}
    return EvaluationResults(
        config=config,
        edits=edits,
        summaries=_summarise(config, edits),
        comparisons=compare_editors(edits, shown),
        samples=samples,
        not_computed=dict(not_computed),
        variants={
            name: variant_of(metric, models)
            for name, metric in shown.items()
            if metric.model and name not in not_computed
        },
        weights={editor: weights_of(config.editor(editor)) for editor in config.editors},
        reference_use={
            pairs: {
                editor: read_reference_use(config.reference_use(editor, pairs)) for editor in judged_editors(config)
            }
            for pairs in pairs_of(config)
        },
        seconds=round(seconds, 1),
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        versions={"python": platform.python_version(), **installed_versions(PACKAGES)},
        hardware=_hardware(),
    )


def write_results(results: EvaluationResults) -> None:
    """Write results.json and results.csv into the output folder."""
    output = results.config.output
    write_json(_document(results), output / "results.json")
    with whole(output / "results.csv") as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["set", "editor", "seed", "id", "group", "seconds", "peak_memory", "failure", *METRICS])
        for edit in results.edits:
            values = [edit.scores[name].value if name in edit.scores else None for name in METRICS]
            writer.writerow([*edit[:8], *values])


def _read_edit_result(
    config: EvaluateConfig,
    sample: Sample,
    *,
    set_name: str,
    editor: str,
    seed: int,
    scoring: Scoring,
    not_computed: Mapping[str, str],
) -> EditResult:
    metrics = set_metrics(config, set_name)
    record = read_record(scoring.edits, sample)
    if record.failure:
        scores = {name: Score(None, "the edit failed") for name in metrics}
    else:
        scores = scoring.read(sample) | {name: Score(None, reason) for name, reason in not_computed.items()}
    return EditResult(
        set_name=set_name,
        editor=editor,
        seed=seed,
        id=sample.id,
        group=sample.group,
        seconds=record.seconds,
        peak_memory=record.peak_memory,
        failure=record.failure,
        scores={name: scores[name] for name in metrics},
    )


def _summarise(config: EvaluateConfig, edits: Sequence[EditResult]) -> dict[tuple[str, str, str], Summary]:
    summaries = {}
    for set_name in config.sets:
        for editor in config.editors:
            members = [edit for edit in edits if (edit.set_name, edit.editor) == (set_name, editor)]
            for metric in set_metrics(config, set_name):
                summaries[set_name, editor, metric] = _summary([(edit.scores[metric], edit.group) for edit in members])
    return summaries


def _summary(scores: Sequence[tuple[Score, str]]) -> Summary:
    """Of (score, group) pairs."""
    values = [score.value for score, _ in scores if score.value is not None]
    groups = [group for score, group in scores if score.value is not None]
    reasons = sorted({score.reason for score, _ in scores if score.value is None})
    note = f"{len(scores) - len(values)} of {len(scores)} not computed: {'; '.join(reasons)}" if reasons else ""
    if not values:
        return Summary(None, None, None, 0, 0, note)
    infinite = sum(map(math.isinf, values))
    if infinite:
        note = "; ".join(filter(None, [note, f"{infinite} of {len(values)} values are infinite"]))
        return Summary(math.inf, None, None, len(values), len(set(groups)), note)
    interval = bootstrap_mean(values, groups)
    return Summary(*interval[:3], interval.count, interval.groups, note)


def _document(results: EvaluationResults) -> dict:
    """The results as JSON."""
    return {
        "date": results.date,
        "seconds": results.seconds,
        "hardware": results.hardware,
        "versions": results.versions,
        "weights": results.weights,
        "config": yaml.safe_load(dump_config(results.config)),
        "metrics": {
            name: {
                "title": metric.title,
                "unit": metric.unit,
                "better": metric.better,
                "meaning": metric.meaning,
                "variant": results.variants.get(name, ""),
                "not_computed": results.not_computed.get(name, ""),
            }
            for name, metric in METRICS.items()
        },
        "means": [
            {"set": set_name, "editor": editor, "metric": metric, **_plain(summary._asdict())}
            for (set_name, editor, metric), summary in results.summaries.items()
        ],
        "comparisons": [comparison.fields() for comparison in results.comparisons],
        "samples": [
            {"set": set_name, "id": sample.id, "prompt": sample.prompt, "pictures": digest(sample.paths)}
            for set_name, members in results.samples.items()
            for sample in members
        ],
        "metrics_code": metrics_code(),
        "reference_use": {
            pairs: {
                editor: "not defined" if use is None else {name: share._asdict() for name, share in use.items()}
                for editor, use in uses.items()
            }
            for pairs, uses in results.reference_use.items()
        },
        "edits": [
            {
                "set": edit.set_name,
                **{name: getattr(edit, name) for name in edit._fields if name not in ("set_name", "scores")},
                "scores": _plain({name: score.value for name, score in edit.scores.items()}),
                "reasons": {name: score.reason for name, score in edit.scores.items() if score.reason},
            }
            for edit in results.edits
        ],
    }


def _plain(fields: dict) -> dict:
    return {name: number_to_json(value) for name, value in fields.items()}


def _hardware() -> str:
    """Processor or accelerator, in words."""
    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    return f"CPU, {platform.machine()}, {usable_cores()} cores"

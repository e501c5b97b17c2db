"""Results of a whole evaluation, gathered from the records and scores on disk, with means and comparisons."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import torch

from mimicbrush.evaluation.benchmark import Sample
from mimicbrush.evaluation.config import EvaluateConfig
from mimicbrush.evaluation.evaluation_rounds import EditResult, EditRound
from mimicbrush.evaluation.fingerprints import weights_of
from mimicbrush.evaluation.measure_reference_use import (
    ReferenceUseIntervals,
    ReferenceUseMeasurement,
    read_reference_use,
)
from mimicbrush.evaluation.metrics.models import Models
from mimicbrush.evaluation.metrics.score import Score
from mimicbrush.evaluation.paired_comparison import PairedComparison, compare_editors
from mimicbrush.evaluation.score_rounds import read_scores, variant_of
from mimicbrush.files import installed_versions
from mimicbrush.machine import processor_name, usable_cores
from mimicbrush.statistics import bootstrap_mean, bootstrap_share

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
    """Everything that an evaluation found."""

    config: EvaluateConfig
    edits: list[EditResult]
    summaries: dict[tuple[str, str, str], Summary]
    """Summaries by set, editor and metric."""
    comparisons: list[PairedComparison]
    """Every editor compared with the first one."""
    samples: Mapping[str, Sequence[Sample]]
    """Samples by set."""
    not_computed: dict[str, str]
    """Metric to the reason why it could not be computed, and the command that fixes that."""
    variants: dict[str, str]
    """Metric to the network behind it."""
    weights: dict[str, str]
    """Editor to the fingerprint of its weight files."""
    reference_use: dict[str, dict[str, ReferenceUseIntervals | None]]
    """Pairs (`heldout`, or the name of a set) to editor to its reference use, None where it is not defined."""
    seconds: float
    """Wall time of this call."""
    date: str
    versions: dict[str, str]
    hardware: str

    @property
    def seeds(self) -> list[int]:
        """Seeds of all editors: those of the evaluation, then those that only some editors have."""
        return list(dict.fromkeys([*self.config.seeds, *(edit.seed for edit in self.edits)]))


def gather_results(
    config: EvaluateConfig,
    rounds: Sequence[EditRound],
    measurements: Sequence[ReferenceUseMeasurement],
    models: Models,
    *,
    seconds: float,
) -> EvaluationResults:
    """Read every record and score from disk, so that resumed and shared evaluations give the same results.

    seconds: wall time so far.
    """
    edits = [_edit_result(each, sample, models) for each in rounds for sample in each.samples]
    metrics = {name: metric for each in rounds for name, metric in each.metrics.items()}
    computed = {name: metric for each in rounds for name, metric in each.computed_metrics.items()}
    return EvaluationResults(
        config=config,
        edits=edits,
        summaries=_summarise(rounds, edits),
        comparisons=compare_editors(edits, metrics),
        samples={each.set_name: each.samples for each in rounds},
        not_computed={name: reason for each in rounds for name, reason in each.not_computed.items()},
        variants={name: variant_of(metric, models) for name, metric in computed.items() if metric.model},
        weights={name: weights_of(spec) for name, spec in {each.editor: each.spec for each in rounds}.items()},
        reference_use=_gather_reference_use(measurements),
        seconds=round(seconds, 1),
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        versions={"python": platform.python_version(), **installed_versions(PACKAGES)},
        hardware=_hardware(),
    )


def _edit_result(edit_round: EditRound, sample: Sample, models: Models) -> EditResult:
    record = edit_round.read_record(sample)
    if record.failure:
        scores = {name: Score(None, "the edit failed") for name in edit_round.metrics}
    else:
        scores = {name: Score(None, reason) for name, reason in edit_round.not_computed.items()}
        scores |= read_scores(edit_round, sample, models)
    return EditResult(
        set_name=edit_round.set_name,
        editor=edit_round.editor,
        seed=edit_round.seed,
        id=sample.id,
        group=sample.group,
        seconds=record.seconds,
        peak_memory=record.peak_memory,
        failure=record.failure,
        scores={name: scores[name] for name in edit_round.metrics},
    )


def _gather_reference_use(
    measurements: Sequence[ReferenceUseMeasurement],
) -> dict[str, dict[str, ReferenceUseIntervals | None]]:
    by_pairs: dict[str, dict[str, ReferenceUseIntervals | None]] = {}
    for each in measurements:
        by_pairs.setdefault(each.pairs_name, {})[each.editor] = read_reference_use(each.path)
    return by_pairs


def _summarise(rounds: Sequence[EditRound], edits: Sequence[EditResult]) -> dict[tuple[str, str, str], Summary]:
    """Summarise every metric of every set and editor over all seeds."""
    summaries = {}
    for (set_name, editor), metrics in {(each.set_name, each.editor): each.metrics for each in rounds}.items():
        members = [edit for edit in edits if (edit.set_name, edit.editor) == (set_name, editor)]
        for name, metric in metrics.items():
            scores = [(edit.scores[name], edit.group) for edit in members]
            summaries[set_name, editor, name] = _summary(scores, is_share=metric.is_share)
    return summaries


def _summary(scores: Sequence[tuple[Score, str]], *, is_share: bool) -> Summary:
    """Summarise (score, group) pairs of one metric."""
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
    interval = bootstrap_share(values, groups, whole=100) if is_share else bootstrap_mean(values, groups)
    return Summary(*interval[:3], interval.count, interval.groups, note)


def _hardware() -> str:
    """Name the accelerators or the processor."""
    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    return f"{processor_name()}, {usable_cores()} cores"

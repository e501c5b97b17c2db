"""Scores of many edits by many metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mimicbrush.evaluation.metrics.metric import Metric
from mimicbrush.evaluation.metrics.models import Models
from mimicbrush.evaluation.metrics.score import EditedPicture, Score

LACKS = {"reference_mask": "the sample has no reference mask", "prompt": "the sample has no prompt"}


def measure(
    edits: Sequence[EditedPicture],
    metrics: Mapping[str, Metric],
    models: Models,
    *,
    on_metric: Callable[[str], None] | None = None,
) -> list[dict[str, Score]]:
    """Score every edit by every metric; each score has a value, or the reason why it has none.

    on_metric: receives the title of each metric before it is computed, to show progress.
    A score depends on its own edit only, not on the others or their order. Raises UserError if weights exist but
    cannot be read.
    """
    absent = models.missing(metric.model for metric in metrics.values() if metric.model)
    columns: dict[str, list[Score]] = {}
    for name, metric in metrics.items():
        if on_metric:
            on_metric(metric.title)
        columns[name] = _column(metric, edits, models, absent)
    return [{name: column[row] for name, column in columns.items()} for row in range(len(edits))]


def _column(metric: Metric, edits: Sequence[EditedPicture], models: Models, absent: Mapping[str, str]) -> list[Score]:
    if metric.model in absent:
        return [Score(None, absent[metric.model])] * len(edits)
    reasons = [_find_reason(metric, edit) for edit in edits]
    complete = [edit for edit, reason in zip(edits, reasons, strict=True) if not reason]
    scores = iter(metric.compute(complete, models) if complete else [])
    return [Score(None, reason) if reason else next(scores) for reason in reasons]


def _find_reason(metric: Metric, edit: EditedPicture) -> str:
    """Reason why the edit cannot be scored; empty if it can."""
    if metric.looks_inside and not edit.mask.any():
        return "nothing is masked"
    lacks = [LACKS[need] for need in sorted(metric.needs) if getattr(edit, need) is None]
    return ", ".join(lacks)

"""The tables that evaluate.py prints, and the column titles that all tables share."""

from __future__ import annotations

from mimicbrush.evaluation.gather_results import EvaluationResults, Summary
from mimicbrush.evaluation.measure_reference_use import ReferenceUseIntervals, format_reference_use
from mimicbrush.evaluation.metrics.all_metrics import set_metrics
from mimicbrush.evaluation.metrics.metric import Metric
from mimicbrush.model.reference_use import COMPARISONS
from mimicbrush.reports.number_format import format_number
from mimicbrush.reports.text_table import align_columns

ARROWS = {"higher": " ↑", "lower": " ↓", None: ""}


def column_title(metric: Metric) -> str:
    """Format a metric's title with unit and direction: `PSNR (dB) ↑`."""
    return f"{metric.title}{f' ({metric.unit})' if metric.unit else ''}{ARROWS[metric.better]}"


def format_summary(summary: Summary) -> str:
    """Format a mean with its interval, `0.912 [0.880, 0.941]`, or alone if all values are equal or one is infinite."""
    if summary.mean is None:
        return "not computed"
    if summary.low is None:
        return format_number(summary.mean)
    mean, low, high = map(format_number, summary[:3])
    return mean if low == high else f"{mean} [{low}, {high}]"


def console_text(results: EvaluationResults) -> str:
    """Format the failed edits, the means of each set, reference use, and the metrics that were not computed."""
    failed = [edit for edit in results.edits if edit.failure]
    blocks = [
        "\n".join(
            f"{edit.set_name}, {edit.editor}, seed {edit.seed}, {edit.id}: failed: {edit.failure}" for edit in failed
        ),
        *(align_columns(_means(results, set_name)) for set_name in results.config.sets),
        *(_reference_use(pairs, uses) for pairs, uses in results.reference_use.items()),
        "\n".join(f"{metric} not computed: {reason}" for metric, reason in results.not_computed.items()),
    ]
    return "\n\n".join(filter(None, blocks))


def _reference_use(pairs: str, uses: dict[str, ReferenceUseIntervals | None]) -> str:
    """Format a row for each editor whose reference use is defined, and a line that names the others."""
    rows = [[f"reference use, {pairs}", *(f"{name}{ARROWS['higher']}" for name in COMPARISONS)]]
    rows += [[editor, *format_reference_use(use)] for editor, use in uses.items() if use]
    others = ", ".join(editor for editor, use in uses.items() if not use)
    table = align_columns(rows) if len(rows) > 1 else ""
    return "\n".join(filter(None, [table, others and f"reference use, {pairs}: not defined for {others}"]))


def _means(results: EvaluationResults, set_name: str) -> list[list[str]]:
    """Make a header and a row of means for each editor; metrics that were not computed have no column."""
    metrics = {
        name: metric
        for name, metric in set_metrics(results.config, set_name).items()
        if name not in results.not_computed
    }
    rows = [[set_name, *map(column_title, metrics.values())]]
    for editor in results.config.editors:
        rows.append([editor, *(format_summary(results.summaries[set_name, editor, name]) for name in metrics)])
    return rows

"""Numbers as people read them, and the table that a terminal shows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mimicbrush.evaluation.metrics import Metric
from mimicbrush.evaluation.reference_use import format_reference_use
from mimicbrush.evaluation.results import Results, Summary, set_metrics
from mimicbrush.model.reference_use import COMPARISONS
from mimicbrush.statistics import Interval

ARROWS = {"higher": " ↑", "lower": " ↓", None: ""}


def column_title(metric: Metric) -> str:
    """`PSNR (dB) ↑`."""
    return f"{metric.title}{f' ({metric.unit})' if metric.unit else ''}{ARROWS[metric.better]}"


def format_summary(summary: Summary) -> str:
    """`0.912 [0.880, 0.941]`; the mean alone where all values are equal or one is infinite."""
    if summary.mean is None:
        return "not computed"
    if summary.low is None or summary.low == summary.high:
        return format_number(summary.mean)
    return f"{format_number(summary.mean)} [{format_number(summary.low)}, {format_number(summary.high)}]"


def format_number(value: float) -> str:
    """Three decimals up to 1, two above; `∞`."""
    if math.isinf(value):
        return "∞"
    return f"{value:.3f}" if round(abs(value), 3) <= 1 else f"{value:.2f}"


def format_interval(interval: Interval | None, *, sign: str = "") -> str:
    """`0.625 [0.500, 0.750]`, positive numbers with `sign`; empty where there is none."""
    if interval is None:
        return ""
    mean, low, high = (f"{sign if value > 0 else ''}{format_number(value)}" for value in interval[:3])
    return f"{mean} [{low}, {high}]"


def console_text(results: Results) -> str:
    """Failed edits first; each set's means, editors down, metrics across; reference use; what was not computed."""
    failed = [edit for edit in results.edits if edit.failure]
    blocks = [f"{edit.set_name}, {edit.editor}, seed {edit.seed}, {edit.id}: failed: {edit.failure}" for edit in failed]
    blocks += [align(_means(results, set_name)) for set_name in results.config.sets]
    for pairs, uses in results.reference_use.items():
        rows = [[f"reference use, {pairs}", *(f"{name}{ARROWS['higher']}" for name in COMPARISONS)]]
        blocks.append(align(rows + [[editor, *format_reference_use(use)] for editor, use in uses.items()]))
    blocks += [f"{metric} not computed: {reason}" for metric, reason in results.not_computed.items()]
    return "\n\n".join(blocks)


def _means(results: Results, set_name: str) -> list[list[str]]:
    """A header and a row for each editor; metrics of which nothing was computed are left to the end of the text."""
    metrics = {
        name: metric
        for name, metric in set_metrics(results.config, set_name).items()
        if name not in results.not_computed
    }
    rows = [[set_name, *map(column_title, metrics.values())]]
    for editor in results.config.editors:
        rows.append([editor, *(format_summary(results.summaries[set_name, editor, name]) for name in metrics)])
    return rows


def align(rows: Sequence[Sequence[str]]) -> str:
    """Rows as text, in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)

"""Marks for the best mean of a metric, and for those that are not shown to be worse."""

from __future__ import annotations

from collections.abc import Mapping

from mimicbrush.evaluation.gather_results import EvaluationResults
from mimicbrush.evaluation.metrics.metric import Metric
from mimicbrush.evaluation.paired_comparison import compare_edits
from mimicbrush.reports.data_table import Mark

BEST_NOTE = (
    "Bold marks the best mean of a column, and ≈ a mean that is not shown to be worse: compared with the best sample "
    "by sample, the interval of the difference includes 0. A column has no marks where no editor is shown "
    "to be worse than the best; with fewer than six source pictures that is always so."
)
"""Explanation of the marks."""


def mark_best(results: EvaluationResults, set_name: str, metrics: Mapping[str, Metric]) -> dict[tuple[str, str], Mark]:
    """Marks by editor and metric; editors that are worse, and metrics without a decided difference, have none."""
    return {
        (editor, name): mark
        for name, metric in metrics.items()
        for editor, mark in _marks(results, set_name, name, metric).items()
    }


def _marks(results: EvaluationResults, set_name: str, name: str, metric: Metric) -> dict[str, Mark]:
    means = {
        editor: summary.mean
        for editor in results.config.editors
        if (summary := results.summaries[set_name, editor, name]).mean is not None
    }
    if metric.better is None or len(means) < 2:
        return {}
    best = (max if metric.better == "higher" else min)(means, key=means.__getitem__)
    edits = {
        editor: [edit for edit in results.edits if (edit.set_name, edit.editor) == (set_name, editor)]
        for editor in means
    }
    marks: dict[str, Mark] = {best: "best"}
    for other in means.keys() - {best}:
        # Editors without a common sample cannot be compared, and get no mark.
        for compared in compare_edits(edits[best], edits[other], {name: metric}, first=best, second=other):
            if compared.verdict == "equal":
                marks[other] = "best"
            elif compared.verdict in ("undecided", "better"):
                marks[other] = "tied"
    return marks if len(marks) < len(means) else {}

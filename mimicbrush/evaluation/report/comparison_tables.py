"""Comparisons of editors, sample by sample: charts, tables, and their export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from mimicbrush.evaluation.paired_comparison import PairedComparison
from mimicbrush.evaluation.report.console_tables import column_title
from mimicbrush.evaluation.report.difference_charts import difference_chart, verdict_legend
from mimicbrush.reports.data_table import DataTable, Measured
from mimicbrush.reports.html_page import Markup, bullets, columns, escape, fold, folded, paragraph, span, table
from mimicbrush.statistics import Better, Interval


class DescribedMetric(Protocol):
    """The part of a metric that the tables use, as code and results.json describe it."""

    title: str
    unit: str
    better: Better | None


def comparisons_section(comparisons: Sequence[PairedComparison], metrics: Mapping[str, DescribedMetric]) -> list[str]:
    """Show one set's comparisons with its first editor as charts; empty if there is no other editor."""
    if not comparisons:
        return []
    by_metric = {
        name: [one for one in comparisons if one.metric == name and one.difference]
        for name in dict.fromkeys(comparison.metric for comparison in comparisons)
    }
    drawn = {name: members for name, members in by_metric.items() if any(one.differs for one in members)}
    equal = [metrics[name].title for name, members in by_metric.items() if members and name not in drawn]
    return [
        paragraph(
            f"Mean difference to {comparisons[0].first} over the same samples, with its 95 % interval. Better or "
            "worse: the interval excludes 0, which also happens by chance in one comparison of twenty. Fewer than six "
            "source pictures decide nothing."
        ),
        verdict_legend([one.verdict for members in drawn.values() for one in members]),
        columns([difference_chart(members, column_title(metrics[name])) for name, members in drawn.items()]),
        bullets([f"Equal for every editor: {', '.join(equal)}."] if equal else []),
        folded_notes("Pairs without a finite difference", _pair_notes(comparisons, metrics)),
        fold("As a table", comparison_table(comparisons, metrics)),
    ]


def exported_comparisons(
    comparisons: Sequence[PairedComparison], metrics: Mapping[str, DescribedMetric], *, name: str, caption: str
) -> DataTable:
    """All numbers of one set's comparisons, to be exported."""
    rows = [
        [
            one.second,
            one.first,
            column_title(metrics[one.metric]),
            one.verdict,
            _measured(one.difference, sign="+"),
            _measured(one.win_rate),
            *(one.outcomes if one.better else (None, None, None)),
            len(one.samples),
        ]
        for one in comparisons
    ]
    header = ["Editor", "Against", "Metric", "Verdict", "Difference", "Win rate", "Wins", "Ties", "Losses", "Samples"]
    return DataTable(name=name, caption=caption, header=header, rows=rows)


def _pair_notes(
    comparisons: Sequence[PairedComparison], metrics: Mapping[str, DescribedMetric]
) -> list[tuple[str, str, str]]:
    return [(one.second, metrics[one.metric].title, one.note) for one in comparisons if one.note]


def comparison_table(comparisons: Sequence[PairedComparison], metrics: Mapping[str, DescribedMetric]) -> str:
    """Make a row for each comparison, below a row that names the two editors."""
    # The verdict comes second, so that a phone shows it without scrolling.
    header = ["Metric", "Second is", "Difference", "Win rate", "Wins, ties, losses", "Samples"]
    rows: list[list[object]] = []
    for names in dict.fromkeys((one.second, one.first) for one in comparisons):
        rows.append([" against ".join(names)])
        rows += [_comparison_row(one, metrics) for one in comparisons if (one.second, one.first) == names]
    return table(header, rows)


def _comparison_row(comparison: PairedComparison, metrics: Mapping[str, DescribedMetric]) -> list[object]:
    return [
        column_title(metrics[comparison.metric]),
        span(comparison.verdict, comparison.verdict),
        _with_interval(_measured(comparison.difference, sign="+")),
        _with_interval(_measured(comparison.win_rate)),
        ", ".join(map(str, comparison.outcomes)) if comparison.better else "",
        len(comparison.samples),
    ]


def folded_notes(title: str, notes: Sequence[tuple[str, str, str]]) -> str:
    """Fold notes away below one line that names their metrics, those of equal words together; empty without any.

    notes: (editor, title of the metric, note).
    """
    if not notes:
        return ""
    editors: dict[tuple[str, str], list[str]] = {}
    for editor, metric, note in notes:
        editors.setdefault((metric, note), []).append(editor)
    lines = [f"{metric}, {', '.join(names)}: {note}." for (metric, note), names in editors.items()]
    return folded(f"{title}: {'; '.join(dict.fromkeys(metric for _, metric, _ in notes))}", lines)


def below(text: str) -> str:
    """Small text below a number; empty for an empty text."""
    return span(text, "interval") if text else ""


def _with_interval(measured: Measured | None) -> Markup | str:
    """Format a number with its interval below it."""
    return "" if measured is None else Markup(escape(measured.text) + below(measured.interval))


def _measured(interval: Interval | None, *, sign: str = "") -> Measured | None:
    return None if interval is None else Measured(*interval[:3], sign=sign)

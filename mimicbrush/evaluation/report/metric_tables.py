"""Tables of report.html: failed edits, means beside the published ones, and comparisons of the editors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mimicbrush.evaluation.config import BenchmarkSet
from mimicbrush.evaluation.evaluation_rounds import EditResult
from mimicbrush.evaluation.gather_results import EvaluationResults, Summary
from mimicbrush.evaluation.metrics.metric import Metric
from mimicbrush.evaluation.paired_comparison import PairedComparison
from mimicbrush.evaluation.report.console_tables import ARROWS, column_title
from mimicbrush.evaluation.report.difference_charts import difference_chart, verdict_legend
from mimicbrush.evaluation.report.published import (
    COLUMNS,
    INCONSISTENCIES,
    UNSTATED,
    PublishedRow,
    published_ablations,
    published_rows,
)
from mimicbrush.evaluation.report.samples import sort_link
from mimicbrush.machine import MEBIBYTE
from mimicbrush.reports.html_page import (
    Markup,
    breakable,
    bullets,
    columns,
    escape,
    fold,
    folded,
    heading,
    link,
    paragraph,
    span,
    table,
)
from mimicbrush.reports.number_format import format_interval, format_number


def failures_section(edits: Sequence[EditResult]) -> list[str]:
    """List every failed edit by its reason; empty if none failed."""
    failed: dict[tuple[str, str, str], list[EditResult]] = {}
    for edit in edits:
        if edit.failure:
            failed.setdefault((edit.editor, edit.set_name, edit.failure), []).append(edit)
    if not failed:
        return []
    total = sum(map(len, failed.values()))
    return [
        "<div class='failures'>",
        heading(f"{total} of {len(edits)} edits failed"),
        paragraph("They have no picture and no scores; the means below are computed from the other edits."),
        *(_failure(editor, set_name, reason, members) for (editor, set_name, reason), members in failed.items()),
        "</div>",
    ]


def _failure(editor: str, set_name: str, reason: str, edits: Sequence[EditResult]) -> str:
    seeds: dict[str, list[int]] = {}
    for edit in edits:
        seeds.setdefault(edit.id, []).append(edit.seed)
    named = [f"{name} (seed {', '.join(map(str, numbers))})" for name, numbers in seeds.items()]
    failures = link(f"#{set_name}.failed=1", breakable(set_name))
    samples = span(f"{len(edits)} edits: {', '.join(named)}", "note")
    return paragraph(Markup(f"<b>{breakable(editor)}</b> on {failures}: {escape(reason)}<br>{samples}"))


def paper_section(
    results: EvaluationResults, set_name: str, benchmark_set: BenchmarkSet, metrics: Mapping[str, Metric]
) -> list[str]:
    """Tabulate the paper's metrics with its published rows; empty if the evaluation computes none of them."""
    paper = {name: metric for name, metric in metrics.items() if _is_papers(metric, benchmark_set)}
    return _paper_table(results, set_name, benchmark_set, paper) if paper else []


def further_section(
    results: EvaluationResults, set_name: str, benchmark_set: BenchmarkSet, metrics: Mapping[str, Metric]
) -> list[str]:
    """Tabulate the other metrics with time and memory; explain all metrics, and name those that were not computed."""
    ours = {
        name: metric
        for name, metric in metrics.items()
        if not _is_papers(metric, benchmark_set) and name not in results.not_computed
    }
    rows = [
        [
            breakable(editor),
            *(_mean(results, set_name, editor, name) for name in ours),
            *_costs(results.edits, set_name, editor),
        ]
        for editor in results.config.editors
    ]
    return [
        heading("Further measures", level=3),
        table(["editor", *map(column_title, ours.values()), f"time (s){ARROWS['lower']}", "peak memory (MiB) ↓"], rows),
        bullets(_summary_notes(results, set_name, metrics)),
        folded("Meaning of the measures", [_meaning(results, name, metric) for name, metric in metrics.items()]),
        _not_computed(results, metrics),
    ]


def _is_papers(metric: Metric, benchmark_set: BenchmarkSet) -> bool:
    return metric.column in COLUMNS[benchmark_set.track]


def _not_computed(results: EvaluationResults, metrics: Mapping[str, Metric]) -> str:
    """Name metrics without weights and, folded, the commands that fetch them; empty if all were computed."""
    reasons = {metrics[name].title: reason for name, reason in results.not_computed.items() if name in metrics}
    lines = [f"{title}: {reason}" for title, reason in reasons.items()]
    return folded(f"Not computed: {'; '.join(reasons)}", lines) if reasons else ""


def comparisons_section(comparisons: Sequence[PairedComparison], metrics: Mapping[str, Metric]) -> list[str]:
    """Show one set's comparisons with its first editor as charts and a table; empty if there is no other editor."""
    if not comparisons:
        return []
    by_metric = {
        name: [one for one in comparisons if one.metric == name and one.difference]
        for name in dict.fromkeys(comparison.metric for comparison in comparisons)
    }
    drawn = {name: members for name, members in by_metric.items() if any(one.differs for one in members)}
    equal = [metrics[name].title for name, members in by_metric.items() if members and name not in drawn]
    return [
        heading(f"Against {comparisons[0].first}, sample by sample", level=3),
        paragraph(
            f"Mean difference to {comparisons[0].first} over the same samples, with its 95 % interval. Better or "
            "worse: the interval excludes 0, which also happens by chance in one comparison of twenty. Fewer than six "
            "source photographs decide nothing."
        ),
        verdict_legend([one.verdict for members in drawn.values() for one in members]),
        columns([difference_chart(members, column_title(metrics[name])) for name, members in drawn.items()]),
        bullets(
            [*([f"Equal for every editor: {', '.join(equal)}."] if equal else []), *_pair_notes(comparisons, metrics)]
        ),
        fold("As a table", comparison_table(comparisons, metrics)),
    ]


def _pair_notes(comparisons: Sequence[PairedComparison], metrics: Mapping[str, Metric]) -> list[str]:
    return _grouped(((one.second, one.note), metrics[one.metric].title) for one in comparisons if one.note)


def comparison_table(comparisons: Sequence[PairedComparison], metrics: Mapping[str, Metric]) -> str:
    """Make a row for each comparison, below a row that names the two editors."""
    # The verdict comes second, so that a phone shows it without scrolling.
    header = ["metric", "second is", "difference", "win rate", "wins, ties, losses", "samples"]
    rows: list[list[object]] = []
    for names in dict.fromkeys((one.second, one.first) for one in comparisons):
        rows.append([breakable(" against ".join(names))])
        rows += [_comparison_row(one, metrics) for one in comparisons if (one.second, one.first) == names]
    return table(header, rows)


def _comparison_row(comparison: PairedComparison, metrics: Mapping[str, Metric]) -> list[object]:
    return [
        column_title(metrics[comparison.metric]),
        span(comparison.verdict, comparison.verdict),
        _interval(format_interval(comparison.difference, sign="+")),
        _interval(format_interval(comparison.win_rate)),
        ", ".join(map(str, comparison.outcomes)) if comparison.better else "",
        len(comparison.samples),
    ]


def _paper_table(
    results: EvaluationResults, set_name: str, benchmark_set: BenchmarkSet, metrics: Mapping[str, Metric]
) -> list[str]:
    task, track = benchmark_set.task, benchmark_set.track
    header = ["editor", *map(column_title, metrics.values())]
    measured = [
        [breakable(editor), *(_mean(results, set_name, editor, name) for name in metrics)]
        for editor in results.config.editors
    ]
    published = [_published(row, metrics) for row in published_rows(task)]
    rows = [["measured here"], *measured, ["published (other pictures, other code)"], *published]
    classes = ["", *[""] * len(measured), "", *["published"] * len(published)]
    ablations = [_published(row, metrics) for row in published_ablations(task)]
    notes = [
        UNSTATED[track],
        *filter(None, [INCONSISTENCIES[task].get(track, "")]),
        *(["For texture transfer the paper gives no other method's numbers."] if task == "texture" else []),
    ]
    return [
        heading("The paper's measures", level=3),
        table(header, rows, classes=classes),
        paragraph(
            "Published numbers were measured on the paper's own benchmark, which was never released: on other pictures "
            "they show the order of magnitude, and cannot be compared with those measured here.",
            note=True,
        ),
        fold(
            "More about the published numbers, and ablations (Tables 3 and 4)",
            bullets(notes) + table(header, ablations, classes=["published"] * len(ablations)),
        ),
    ]


def _published(row: PublishedRow, metrics: Mapping[str, Metric]) -> list[str]:
    values = [f"{row.values[metric.column]:.2f}" for metric in metrics.values()]
    return [f"{row.name}, Table {row.table}", *values]


def _mean(results: EvaluationResults, set_name: str, editor: str, metric: str) -> Markup | str:
    """Format a mean as a link to its samples, above its interval."""
    if metric in results.not_computed:
        return span("not computed", "none")
    summary = results.summaries[set_name, editor, metric]
    if summary.mean is None:
        return span("no value", "none")
    edits = sum((edit.set_name, edit.editor) == (set_name, editor) for edit in results.edits)
    mean = sort_link(set_name, editor, metric, format_number(summary.mean))
    return Markup(mean + _span(summary) + _below(f"{summary.count} of {edits} edits" if summary.count < edits else ""))


def _span(summary: Summary) -> str:
    if summary.low is None or summary.low == summary.high:
        return ""
    return _below(f"[{format_number(summary.low)}, {format_number(summary.high)}]")


def _below(text: str) -> str:
    return span(text, "interval") if text else ""


def _interval(text: str) -> Markup:
    """Format `0.1 [0.0, 0.2]` with the brackets below the number."""
    mean, _, brackets = text.partition(" ")
    return Markup(escape(mean) + _below(brackets))


def _costs(edits: Sequence[EditResult], set_name: str, editor: str) -> list[str]:
    """Format the mean time and the highest memory of an editor's edits."""
    members = [edit for edit in edits if (edit.set_name, edit.editor) == (set_name, editor)]
    seconds = [edit.seconds for edit in members if edit.seconds is not None]
    memory = [edit.peak_memory for edit in members if edit.peak_memory is not None]
    return [
        format_number(sum(seconds) / len(seconds)) if seconds else "not recorded",
        f"{max(memory) / MEBIBYTE:.0f}" if memory else "not recorded",
    ]


def _summary_notes(results: EvaluationResults, set_name: str, metrics: Mapping[str, Metric]) -> list[str]:
    return _grouped(
        ((editor, summary.note), metrics[metric].title)
        for (name, editor, metric), summary in results.summaries.items()
        if name == set_name and summary.note and metric not in results.not_computed
    )


def _grouped(notes: Iterable[tuple[tuple[str, str], str]]) -> list[str]:
    """Make one line for each note of an editor, with the titles of all metrics that it concerns.

    notes: ((editor, note), title of the metric).
    """
    titles: dict[tuple[str, str], list[str]] = {}
    for key, title in notes:
        titles.setdefault(key, []).append(title)
    return [f"{editor}: {note} ({', '.join(names)})." for (editor, note), names in titles.items()]


def _meaning(results: EvaluationResults, name: str, metric: Metric) -> str:
    variant = f" ({results.variants[name]})" if results.variants.get(name) else ""
    return f"{metric.title}{variant}: {metric.meaning}."

"""Tables of report.html: failed edits, and means beside the published ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mimicbrush.evaluation.config import BenchmarkSet, EvaluateConfig
from mimicbrush.evaluation.evaluation_rounds import EditResult
from mimicbrush.evaluation.gather_results import EvaluationResults, Summary
from mimicbrush.evaluation.metrics.metric import Metric
from mimicbrush.evaluation.report.best_values import mark_best
from mimicbrush.evaluation.report.comparison_tables import below, folded_notes
from mimicbrush.evaluation.report.console_tables import ARROWS, column_title
from mimicbrush.evaluation.report.published import (
    COLUMNS,
    INCONSISTENCIES,
    UNSTATED,
    Column,
    PublishedRow,
    published_ablations,
    published_rows,
)
from mimicbrush.evaluation.report.samples import sort_link
from mimicbrush.machine import MEBIBYTE
from mimicbrush.reports.data_table import Cell, DataTable, Mark, Measured
from mimicbrush.reports.html_page import (
    Markup,
    Section,
    bold,
    bullets,
    escape,
    fold,
    folded,
    heading,
    link,
    paragraph,
    span,
    table,
)
from mimicbrush.reports.number_format import format_number

TABLES = "tables"
"""Folder of the exported tables, beside the report."""
Marks = Mapping[tuple[str, str], Mark]
"""Marks by editor and metric."""


def failures_section(results: EvaluationResults) -> list[str]:
    """List every failed edit by its reason; empty if none failed."""
    failed: dict[tuple[str, str, str], list[EditResult]] = {}
    for edit in results.edits:
        if edit.failure:
            failed.setdefault((edit.editor, edit.set_name, edit.failure), []).append(edit)
    if not failed:
        return []
    total = sum(map(len, failed.values()))
    return [
        "<div class='failures'>",
        heading(f"{total} of {len(results.edits)} edits failed"),
        paragraph("They have no picture and no scores; the means below are computed from the other edits."),
        *(_failure(results.config, *key, members) for key, members in failed.items()),
        "</div>",
    ]


def _failure(config: EvaluateConfig, editor: str, set_name: str, reason: str, edits: Sequence[EditResult]) -> str:
    seeds: dict[str, list[int]] = {}
    for edit in edits:
        seeds.setdefault(edit.id, []).append(edit.seed)
    named = [f"{name} (seed {', '.join(map(str, numbers))})" for name, numbers in seeds.items()]
    failures = link(f"#{set_name}.failed=1", config.set_titles[set_name])
    samples = span(f"{len(edits)} edits: {', '.join(named)}", "note")
    return paragraph(Markup(f"{bold(config.editor_titles[editor])} on {failures}: {escape(reason)}<br>{samples}"))


def metric_sections(
    results: EvaluationResults, set_name: str, benchmark_set: BenchmarkSet, metrics: Mapping[str, Metric]
) -> list[Section]:
    """Tabulate the means of the paper's metrics with its published rows, then those of all others with their cost.

    Metrics without a value have no column, and are named in lines that can be opened.
    """
    computed = {name: metric for name, metric in metrics.items() if name not in results.not_computed}
    valued = {name: metric for name, metric in computed.items() if _has_values(results, set_name, name)}
    marks = mark_best(results, set_name, valued)
    exported = means_table(results, set_name, valued, marks)
    exported.write(results.config.output / TABLES)
    columns = COLUMNS.get(benchmark_set.track, ())
    paper = {name: metric for name, metric in valued.items() if metric.column in columns}
    further = {name: metric for name, metric in valued.items() if name not in paper}
    rows = [
        [
            title,
            *(_mean(results, set_name, editor, name, marks) for name in further),
            *_costs(results.edits, set_name, editor).texts,
        ]
        for editor, title in results.config.editor_titles.items()
    ]
    header = ["Editor", *map(column_title, further.values()), f"Time (s){ARROWS['lower']}", "Peak memory (MiB) ↓"]
    parts = [
        table(header, rows),
        exported.buttons(),
        _summary_notes(results, set_name, computed),
        folded("Meaning of the metrics", [_meaning(results, name, metric) for name, metric in metrics.items()]),
        _not_computed(results, metrics),
        *([] if paper or not columns else [_more_published(benchmark_set, published_rows(benchmark_set.task))]),
    ]
    shown = _paper_table(results, set_name, benchmark_set, paper, marks) if paper else []
    return [
        Section("The paper's metrics", shown, 3),
        Section("Further metrics" if paper else "Metrics", parts, 3),
    ]


def _has_values(results: EvaluationResults, set_name: str, metric: str) -> bool:
    """Whether any edit of a set has a value of a metric."""
    return any(results.summaries[set_name, editor, metric].mean is not None for editor in results.config.editors)


def means_table(results: EvaluationResults, set_name: str, metrics: Mapping[str, Metric], marks: Marks) -> DataTable:
    """All means of a set, with their intervals and the cost of an edit, to be exported."""
    rows = [
        [
            title,
            *(_measured(results.summaries[set_name, editor, name], marks.get((editor, name), "")) for name in metrics),
            *_costs(results.edits, set_name, editor).cells,
        ]
        for editor, title in results.config.editor_titles.items()
    ]
    title = results.config.set_titles[set_name]
    return DataTable(
        name=f"{set_name}_means",
        caption=f"{title}: means with 95 % intervals over {len(results.samples[set_name])} samples.",
        header=["Editor", *map(column_title, metrics.values()), "Time (s) ↓", "Peak memory (MiB) ↓"],
        rows=rows,
    )


def _not_computed(results: EvaluationResults, metrics: Mapping[str, Metric]) -> str:
    """Name metrics without weights and, folded, the commands that fetch them; empty if all were computed."""
    reasons = {metrics[name].title: reason for name, reason in results.not_computed.items() if name in metrics}
    lines = [f"{title}: {reason}" for title, reason in reasons.items()]
    return folded(f"Not computed: {'; '.join(reasons)}", lines) if reasons else ""


def _paper_table(
    results: EvaluationResults,
    set_name: str,
    benchmark_set: BenchmarkSet,
    metrics: Mapping[str, Metric],
    marks: Marks,
) -> list[str]:
    """Make the table of those of the paper's metrics that were computed, with its published rows."""
    shown = [metric.column for metric in metrics.values()]
    measured = [
        [title, *(_mean(results, set_name, editor, name, marks) for name in metrics)]
        for editor, title in results.config.editor_titles.items()
    ]
    published = [_published(row, shown) for row in published_rows(benchmark_set.task)]
    rows = [["measured here"], *measured, ["published (other pictures, other code)"], *published]
    classes = ["", *[""] * len(measured), "", *["published"] * len(published)]
    return [
        table(["Editor", *map(column_title, metrics.values())], rows, classes=classes),
        paragraph(
            "Published numbers were measured on the paper's own benchmark, which was never released: on other pictures "
            "they show the order of magnitude, and cannot be compared with those measured here.",
            note=True,
        ),
        _more_published(benchmark_set, []),
    ]


def _more_published(benchmark_set: BenchmarkSet, rows: Sequence[PublishedRow]) -> str:
    """Fold away the paper's ablations, these rows before them, and where the paper is unclear."""
    task, track = benchmark_set.task, benchmark_set.track
    notes = [
        UNSTATED[track],
        *filter(None, [INCONSISTENCIES[task].get(track, "")]),
        *(["For texture transfer the paper gives no other method's numbers."] if task == "texture" else []),
    ]
    shown = [_published(row, COLUMNS[track]) for row in (*rows, *published_ablations(task))]
    ablations = table(["Published", *COLUMNS[track]], shown, classes=["published"] * len(shown))
    return fold("More about the published numbers, and ablations (Tables 3 and 4)", bullets(notes) + ablations)


def _published(row: PublishedRow, columns: Sequence[Column]) -> list[str]:
    return [f"{row.name}, Table {row.table}", *(f"{row.values[column]:.2f}" for column in columns)]


def _measured(summary: Summary, mark: Mark) -> Measured | None:
    return None if summary.mean is None else Measured(summary.mean, summary.low, summary.high, mark=mark)


def _mean(results: EvaluationResults, set_name: str, editor: str, metric: str, marks: Marks) -> Markup | str:
    """Format a mean as a link to its samples, above its interval."""
    summary = results.summaries[set_name, editor, metric]
    measured = _measured(summary, marks.get((editor, metric), ""))
    if measured is None:
        return span("no value", "none")
    mean = sort_link(set_name, editor, metric, measured.text)
    mean = {"best": bold(mean), "tied": Markup(f"{mean}<sup>≈</sup>"), "": mean}[measured.mark]
    edits = sum((edit.set_name, edit.editor) == (set_name, editor) for edit in results.edits)
    count = f"{summary.count} of {edits} edits" if summary.count < edits else ""
    return Markup(mean + below(measured.interval) + below(count))


class Costs(NamedTuple):
    """Mean time in seconds and highest memory in MiB of an editor's edits; None where they were not recorded."""

    seconds: float | None
    memory: int | None

    @property
    def texts(self) -> list[str]:
        """As shown on the page."""
        return [
            "not recorded" if self.seconds is None else format_number(self.seconds),
            "not recorded" if self.memory is None else str(self.memory),
        ]

    @property
    def cells(self) -> list[Cell]:
        """As exported."""
        return [None if self.seconds is None else Measured(self.seconds), self.memory]


def _costs(edits: Sequence[EditResult], set_name: str, editor: str) -> Costs:
    members = [edit for edit in edits if (edit.set_name, edit.editor) == (set_name, editor)]
    seconds = [edit.seconds for edit in members if edit.seconds is not None]
    memory = [edit.peak_memory for edit in members if edit.peak_memory is not None]
    return Costs(sum(seconds) / len(seconds) if seconds else None, round(max(memory) / MEBIBYTE) if memory else None)


def _summary_notes(results: EvaluationResults, set_name: str, metrics: Mapping[str, Metric]) -> str:
    titles = results.config.editor_titles
    notes = [
        (titles[editor], metrics[metric].title, summary.note)
        for (name, editor, metric), summary in results.summaries.items()
        if name == set_name and summary.note and metric in metrics
    ]
    return folded_notes("Edits without a value, or with an infinite one", notes)


def _meaning(results: EvaluationResults, name: str, metric: Metric) -> str:
    variant = f" ({results.variants[name]})" if results.variants.get(name) else ""
    return f"{metric.title}{variant}: {metric.meaning}."

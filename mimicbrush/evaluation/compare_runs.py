"""Comparison of an editor of one evaluation with an editor of another, sample by sample."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from mimicbrush.errors import UserError, some_of
from mimicbrush.evaluation.config import CompareConfig
from mimicbrush.evaluation.metrics.score import number_to_json
from mimicbrush.evaluation.paired_comparison import PairedComparison, compare_edits
from mimicbrush.evaluation.preconditions import choose_editor
from mimicbrush.evaluation.report.comparison_page import write_comparison_report
from mimicbrush.evaluation.report.console_tables import column_title
from mimicbrush.evaluation.result_files import ComparedEditor, RecordedMetric, RecordedRun, read_run
from mimicbrush.files import whole, write_json
from mimicbrush.folder_lock import held
from mimicbrush.reports.number_format import format_interval
from mimicbrush.reports.text_table import align_columns


def run_comparison(config: CompareConfig) -> None:
    """Read both runs, compare their editors, and write and print the result."""
    first, second = choose_sides(config)
    output = config.output or _default_output(first, second)
    with held(output):
        compare(first, second, output)


def compare(first: ComparedEditor, second: ComparedEditor, output: Path) -> None:
    """Write and print the comparison; raises UserError if the two cannot be compared."""
    metrics = shared_metrics(first.run, second.run)
    check_pictures(first, second)
    comparisons = compare_edits(first.edits, second.edits, metrics, first=first.label, second=second.label)
    if not comparisons:
        raise UserError(f"{first.run.folder} and {second.run.folder}: no metric has values in both")
    notes = comparison_notes(first, second)
    write_comparison(comparisons, first, second, notes, output)
    report = write_comparison_report(comparisons, first, second, metrics, notes, output)
    print(console_text(comparisons, metrics))
    print("\n".join(["", *notes, f"comparison.json and comparison.csv -> {output}", f"report -> {report}"]))


def choose_sides(config: CompareConfig) -> tuple[ComparedEditor, ComparedEditor]:
    """Read both runs and choose their editors; raises UserError if there is no such editor, or both are the same."""
    run_a, run_b = read_run(config.run_a), read_run(config.run_b)
    editor_a = choose_editor(run_a.folder, run_a.editors, config.editor_a, "editor_a")
    editor_b = choose_editor(run_b.folder, run_b.editors, config.editor_b, "editor_b")
    if editor_a == editor_b and config.run_a.resolve() == config.run_b.resolve():
        raise UserError(f"both sides are {editor_a} of {config.run_a}; name another run, or another --editor_b")
    label_a, label_b = run_a.editor_titles[editor_a], run_b.editor_titles[editor_b]
    if label_a == label_b:
        names = [run.folder.name for run in (run_a, run_b)]
        if names[0] == names[1]:
            names = [str(run.folder) for run in (run_a, run_b)]
        label_a, label_b = (f"{label_a} of {name}" for name in names)
    return ComparedEditor(run=run_a, editor=editor_a, label=label_a), ComparedEditor(
        run=run_b, editor=editor_b, label=label_b
    )


def shared_metrics(first: RecordedRun, second: RecordedRun) -> dict[str, RecordedMetric]:
    """Metrics of both runs; raises UserError if they were computed by different networks."""
    shared = {name: metric for name, metric in first.metrics.items() if name in second.metrics}
    differ = [
        f"{metric.title} by {metric.variant} and by {second.metrics[name].variant}"
        for name, metric in shared.items()
        # A metric that was not computed has no variant.
        if metric.variant and second.metrics[name].variant and metric.variant != second.metrics[name].variant
    ]
    if differ:
        raise UserError(
            f"{first.folder} and {second.folder} computed metrics by different networks: {'; '.join(differ)}; "
            "run evaluate.py again with the same `models`; it keeps the edits"
        )
    return shared


def check_pictures(first: ComparedEditor, second: ComparedEditor) -> None:
    """Raise UserError if the sides share no sample, or if samples with the same id show different pictures."""
    keys = [{(edit.set_name, edit.id, edit.seed) for edit in side.edits} for side in (first, second)]
    shared = sorted(keys[0] & keys[1])
    folders = f"{first.run.folder} and {second.run.folder}"
    if not shared:
        raise UserError(
            f"{folders} share no sample: samples match by set, id and seed, and the first has {_describe(keys[0])}, "
            f"the second {_describe(keys[1])}"
        )
    differ = [
        f"{sample} of {set_name}"
        for set_name, sample in dict.fromkeys(key[:2] for key in shared)
        if first.run.pictures[set_name, sample] != second.run.pictures[set_name, sample]
    ]
    if differ:
        raise UserError(
            f"{folders} show different pictures under the same id ({some_of(differ)}); evaluate both on one benchmark"
        )


def comparison_notes(first: ComparedEditor, second: ComparedEditor) -> list[str]:
    """Notes for the reader: samples that only one side has, and different versions of the metrics."""
    keys = [{(edit.set_name, edit.id, edit.seed) for edit in side.edits} for side in (first, second)]
    notes = [
        f"{len(mine - other)} of {len(mine)} edits of {side.label} have no counterpart and are left out."
        for side, mine, other in ((first, *keys), (second, *keys[::-1]))
        if mine - other
    ]
    if first.run.metrics_code != second.run.metrics_code:
        notes.append(
            "The two runs were scored by different versions of the metrics; run evaluate.py again on both, which keeps"
            " the edits and computes the scores anew."
        )
    return notes


def write_comparison(
    comparisons: Sequence[PairedComparison],
    first: ComparedEditor,
    second: ComparedEditor,
    notes: Sequence[str],
    output: Path,
) -> None:
    """Write comparison.json, and comparison.csv with a row for each sample and metric."""
    document = {
        "first": _side(first),
        "second": _side(second),
        "notes": list(notes),
        "comparisons": [comparison.fields() for comparison in comparisons],
    }
    write_json(document, output / "comparison.json")
    with whole(output / "comparison.csv") as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["set", "metric", "id", "seed", "group", first.label, second.label, "difference"])
        for comparison in comparisons:
            for sample in comparison.samples:
                values = map(number_to_json, (sample.first, sample.second, sample.difference))
                writer.writerow([comparison.set_name, comparison.metric, *sample[:3], *values])


def console_text(comparisons: Sequence[PairedComparison], metrics: Mapping[str, RecordedMetric]) -> str:
    """Format a table for each set, with notes about samples that are left out."""
    blocks = []
    for set_name in dict.fromkeys(comparison.set_name for comparison in comparisons):
        members = [comparison for comparison in comparisons if comparison.set_name == set_name]
        header = [set_name, "difference", "win rate", "wins, ties, losses", f"{members[0].second} is"]
        rows = [_console_row(comparison, metrics[comparison.metric]) for comparison in members]
        blocks.append(align_columns([header, *rows]))
        notes = [f"{metrics[one.metric].title}: {one.note}" for one in members if one.note]
        blocks += ["\n".join(notes)] if notes else []
    title = f"{comparisons[0].second} against {comparisons[0].first}"
    return "\n\n".join([title, *blocks])


def _console_row(comparison: PairedComparison, metric: RecordedMetric) -> list[str]:
    outcomes = ", ".join(map(str, comparison.outcomes)) if comparison.better else ""
    difference = format_interval(comparison.difference, sign="+")
    return [column_title(metric), difference, format_interval(comparison.win_rate), outcomes, comparison.verdict]


def _default_output(first: ComparedEditor, second: ComparedEditor) -> Path:
    name = f"{second.run.folder.name}.{second.editor}_against_{first.run.folder.name}.{first.editor}"
    return second.run.folder / "comparisons" / name


def _side(side: ComparedEditor) -> dict:
    return {"run": str(side.run.folder), "editor": side.editor, "label": side.label, "date": side.run.date}


def _describe(keys: set[tuple[str, str, int]]) -> str:
    """`set inner_id, seed 1, ids 000, 001, 002, …`."""
    sets, ids, seeds = (sorted({key[place] for key in keys}) for place in (0, 1, 2))
    return f"sets {some_of(sets)}, seeds {some_of(seeds)}, ids {some_of(ids)}"

"""comparison.html: two editors compared in a table, sample by sample, and in the pictures that differ most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mimicbrush.evaluation.benchmark import Sample
from mimicbrush.evaluation.evaluation_rounds import EditResult
from mimicbrush.evaluation.paired_comparison import PairedComparison, PairedSample
from mimicbrush.evaluation.report.comparison_tables import comparison_table, exported_comparisons
from mimicbrush.evaluation.report.console_tables import column_title
from mimicbrush.evaluation.report.difference_charts import outcome, sorted_differences, verdict_legend
from mimicbrush.evaluation.report.metric_tables import TABLES
from mimicbrush.evaluation.report.samples import (
    STYLE,
    card_title,
    frames_note,
    read_pictures,
    sample_figures,
    score_list,
    score_names,
    speed_of,
)
from mimicbrush.evaluation.result_files import ComparedEditor, RecordedMetric
from mimicbrush.files import write_text
from mimicbrush.reports.html_page import Section, bullets, columns, escape, page, paragraph, with_contents
from mimicbrush.reports.html_pictures import STORED_SIDE, captioned, card, enlargeable, grid_style, picture_grid
from mimicbrush.reports.number_format import format_number

NUM_EXTREMES = 2
"""Number of samples shown for each metric in which the second gains most, and in which it loses most."""
NUM_PICTURES = (4, 5, 6)
"""Pictures on a card: two edits, source, mask, and as far as there are any, reference and truth."""


def write_comparison_report(
    comparisons: Sequence[PairedComparison],
    first: ComparedEditor,
    second: ComparedEditor,
    metrics: Mapping[str, RecordedMetric],
    notes: Sequence[str],
    output: Path,
) -> Path:
    """Write comparison.html into the output folder and return its path."""
    begin = [
        *(paragraph(f"{side.label}: {side.run.folder}, {side.run.date}", note=True) for side in (first, second)),
        paragraph(
            f"Each difference is the score of {second.label} minus the score of {first.label}, over the samples and "
            "seeds that both have. Brackets hold 95 % intervals, bootstrapped over source pictures. The win rate "
            "is the share of samples in which the second is better, ties counting half: 0.5 is no difference. Better "
            "or worse: the interval of the difference excludes 0. Click a picture to enlarge it and to compare it with "
            "the others of its card."
        ),
        bullets(notes),
    ]
    sections: list[Section] = []
    for set_name in dict.fromkeys(comparison.set_name for comparison in comparisons):
        members = [comparison for comparison in comparisons if comparison.set_name == set_name]
        sections += _set_sections(members, first, second, metrics, output)
    path = output / "comparison.html"
    body = [*begin, *with_contents(sections)]
    write_text(page(f"{second.label} against {first.label}", body, style=STYLE + grid_style(NUM_PICTURES)), path)
    return path


def _set_sections(
    comparisons: Sequence[PairedComparison],
    first: ComparedEditor,
    second: ComparedEditor,
    metrics: Mapping[str, RecordedMetric],
    output: Path,
) -> list[Section]:
    set_name = comparisons[0].set_name
    title = second.run.set_titles[set_name]
    exported = exported_comparisons(
        comparisons, metrics, name=f"{set_name}_comparison", caption=f"{title}: {second.label} against {first.label}."
    )
    exported.write(output / TABLES)
    drawn = [one for one in comparisons if one.differs]
    equal = [metrics[one.metric].title for one in comparisons if one.samples and one not in drawn]
    outcomes = [outcome(sample, one) for one in drawn for sample in one.samples]
    table_parts = [
        comparison_table(comparisons, metrics),
        exported.buttons(),
        bullets([f"{metrics[one.metric].title}: {one.note}." for one in comparisons if one.note]),
    ]
    charts = [
        verdict_legend(outcomes),
        columns([sorted_differences(one, column_title(metrics[one.metric])) for one in drawn]),
        bullets([f"Equal in every sample: {', '.join(equal)}."] if equal else []),
    ]
    return [
        Section(title, table_parts, anchor=set_name),
        Section("Every sample", charts, 3),
        Section("Where they differ most", _extremes(drawn, first, second, metrics), 3),
    ]


def _extremes(
    comparisons: Sequence[PairedComparison],
    first: ComparedEditor,
    second: ComparedEditor,
    metrics: Mapping[str, RecordedMetric],
) -> list[str]:
    """Make a card for each sample that is among the largest gains or losses by any metric."""
    reasons: dict[tuple[str, int], list[str]] = {}
    for one in comparisons:
        for sample, word in _largest(one):
            change = f"{word} in {metrics[one.metric].title}, {format_number(sample.difference, sign='+')}"
            reasons.setdefault((sample.id, sample.seed), []).append(change)
    if not reasons:
        return [paragraph("They differ in no sample.")]
    set_name = comparisons[0].set_name
    folder = first.run.samples[set_name, next(iter(reasons))[0]].folder
    if not folder.is_dir():
        return [paragraph(f"No pictures are shown, because the set's folder no longer exists: {folder}.")]
    shown = {one.metric: metrics[one.metric] for one in comparisons}
    return [_card(set_name, name, seed, words, first, second, shown) for (name, seed), words in reasons.items()]


def _largest(comparison: PairedComparison) -> list[tuple[PairedSample, str]]:
    """Samples with the largest gains and losses of the second, each with its word: gain or loss."""
    if comparison.better is None:
        return []
    sign = 1 if comparison.better == "higher" else -1
    ranked = sorted(comparison.samples, key=lambda sample: -sign * sample.difference)
    gains = [(sample, "gain") for sample in ranked[:NUM_EXTREMES] if outcome(sample, comparison) == "better"]
    losses = [(sample, "loss") for sample in ranked[::-1][:NUM_EXTREMES] if outcome(sample, comparison) == "worse"]
    return gains + losses


def _card(
    set_name: str,
    name: str,
    seed: int,
    reasons: Sequence[str],
    first: ComparedEditor,
    second: ComparedEditor,
    metrics: Mapping[str, RecordedMetric],
) -> str:
    sample = first.run.samples[set_name, name]
    given = sample_figures(sample, side=STORED_SIDE)
    figures = [score_names(metrics, len(given)), *given]
    for side in (first, second):
        (edit,) = (one for one in side.edits if (one.set_name, one.id, one.seed) == (set_name, name, seed))
        figures.append(_edit_figure(side, sample, edit, metrics))
    why = paragraph(f"Seed {seed}: {'; '.join(reasons)}.", note=True)
    return card(card_title(sample), why + picture_grid(figures, count=len(figures) - 1))


def _edit_figure(side: ComparedEditor, sample: Sample, edit: EditResult, metrics: Mapping[str, RecordedMetric]) -> str:
    path, scores = edit.picture(side.run.folder), score_list(edit, metrics)
    if path.is_file():
        frames = read_pictures(path)
        shown = enlargeable(frames, side.label, side=STORED_SIDE, role="edit", frames_per_second=speed_of(sample))
        return captioned(shown, side.label + frames_note(frames), below=scores)
    return captioned(f"<p class='failure'>{escape(path)} is gone</p>", side.label, below=scores)

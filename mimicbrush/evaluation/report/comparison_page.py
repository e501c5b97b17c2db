"""comparison.html: two editors compared in a table, sample by sample, and in the pictures that differ most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mimicbrush.evaluation.evaluation_rounds import EditResult
from mimicbrush.evaluation.paired_comparison import PairedComparison, PairedSample
from mimicbrush.evaluation.report.console_tables import column_title
from mimicbrush.evaluation.report.difference_charts import outcome, sorted_differences, verdict_legend
from mimicbrush.evaluation.report.metric_tables import comparison_table
from mimicbrush.evaluation.report.samples import (
    STYLE,
    card_title,
    frames_note,
    given_pictures,
    read_pictures,
    score_list,
    truth_pictures,
)
from mimicbrush.evaluation.result_files import ComparedEditor, RecordedMetric
from mimicbrush.files import write_text
from mimicbrush.reports.html_page import bullets, columns, escape, heading, page, paragraph
from mimicbrush.reports.html_pictures import THUMBNAIL_SIDE, captioned, card, grid_style, picture_grid, thumbnail_figure
from mimicbrush.reports.number_format import format_number

NUM_EXTREMES = 2
"""Number of samples shown for each metric in which the second gains most, and in which it loses most."""
NUM_PICTURES = (5, 6)
"""Pictures on a card: three inputs and two edits, and on inner-ID the truth."""


def write_comparison_report(
    comparisons: Sequence[PairedComparison],
    first: ComparedEditor,
    second: ComparedEditor,
    metrics: Mapping[str, RecordedMetric],
    notes: Sequence[str],
    output: Path,
) -> Path:
    """Write comparison.html into the output folder and return its path."""
    sections = [
        *(paragraph(f"{side.label}: {side.run.folder}, {side.run.date}", note=True) for side in (first, second)),
        paragraph(
            f"Each difference is the score of {second.label} minus the score of {first.label}, over the samples and "
            "seeds that both have. Brackets hold 95 % intervals, bootstrapped over source photographs. The win rate "
            "is the share of samples in which the second is better, ties counting half: 0.5 is no difference. Better "
            "or worse: the interval of the difference excludes 0."
        ),
        bullets(notes),
    ]
    for set_name in dict.fromkeys(comparison.set_name for comparison in comparisons):
        members = [comparison for comparison in comparisons if comparison.set_name == set_name]
        sections += [heading(set_name), *_set_sections(members, first, second, metrics)]
    path = output / "comparison.html"
    write_text(page(f"{second.label} against {first.label}", sections, style=STYLE + grid_style(NUM_PICTURES)), path)
    return path


def _set_sections(
    comparisons: Sequence[PairedComparison],
    first: ComparedEditor,
    second: ComparedEditor,
    metrics: Mapping[str, RecordedMetric],
) -> list[str]:
    drawn = [one for one in comparisons if one.differs]
    equal = [metrics[one.metric].title for one in comparisons if one.samples and one not in drawn]
    outcomes = [outcome(sample, one) for one in drawn for sample in one.samples]
    return [
        comparison_table(comparisons, metrics),
        bullets([f"{metrics[one.metric].title}: {one.note}." for one in comparisons if one.note]),
        heading("Every sample", level=3),
        verdict_legend(outcomes),
        columns([sorted_differences(one, column_title(metrics[one.metric])) for one in drawn]),
        bullets([f"Equal in every sample: {', '.join(equal)}."] if equal else []),
        heading("Where they differ most", level=3),
        *_extremes(drawn, first, second, metrics),
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
    figures = given_pictures(sample, side=THUMBNAIL_SIDE)
    for side in (first, second):
        (edit,) = (one for one in side.edits if (one.set_name, one.id, one.seed) == (set_name, name, seed))
        figures.append(_edit_figure(side, edit, metrics))
    figures += truth_pictures(sample, side=THUMBNAIL_SIDE)
    why = paragraph(f"Seed {seed}: {'; '.join(reasons)}.", note=True)
    return card(card_title(sample), why + picture_grid(figures))


def _edit_figure(side: ComparedEditor, edit: EditResult, metrics: Mapping[str, RecordedMetric]) -> str:
    path, scores = edit.picture(side.run.folder), score_list(edit, metrics)
    if path.is_file():
        frames = read_pictures(path)
        return thumbnail_figure(frames, side.label + frames_note(frames), below=scores)
    return captioned(f"<p class='failure'>{escape(path)} is gone</p>", side.label, below=scores)

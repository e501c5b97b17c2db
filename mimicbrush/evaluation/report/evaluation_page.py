"""report.html: the sections of an evaluation's report, in their order.

A new section is a function that returns HTML, in a file of its own beside this one, and a line in `write_report`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mimicbrush.benchmark_layout import Task, Track
from mimicbrush.config import dump_config
from mimicbrush.evaluation.config import BenchmarkSet
from mimicbrush.evaluation.gather_results import EvaluationResults
from mimicbrush.evaluation.metrics.all_metrics import METRICS, set_metrics
from mimicbrush.evaluation.paired_comparison import PairedComparison
from mimicbrush.evaluation.report.best_values import BEST_NOTE
from mimicbrush.evaluation.report.comparison_tables import comparisons_section, exported_comparisons
from mimicbrush.evaluation.report.metric_tables import TABLES, failures_section, metric_sections
from mimicbrush.evaluation.report.overview import editors_section, glance_section
from mimicbrush.evaluation.report.run_sections import data_section, reference_use_section, training_section
from mimicbrush.evaluation.report.samples import (
    SCRIPT,
    STYLE,
    count_pictures,
    pictures_in_a_card,
    samples_section,
    stored_side,
)
from mimicbrush.files import digest, write_text
from mimicbrush.reports.html_page import Section, fold, page, paragraph, preformatted, table, with_contents
from mimicbrush.reports.html_pictures import COLUMN_WIDTH, grid_style

TASKS: dict[Task, str] = {
    "texture": "Texture transfer",
    "parts": "Part composition",
    "text": "Editing by text",
    "motion": "Editing by motion",
    "video": "Replacing an object in a clip",
}
TRACKS: dict[Track, str] = {
    "inner_id": "inner-ID: the reference shows the same thing at another time, and the source itself is the truth",
    "inter_id": "inter-ID: the reference shows another thing, and there is no truth",
    "clips": "clips with prompts and a target picture, without a truth",
    "truth": "with a known truth: the true result of every edit was made together with the sample",
}


def write_report(results: EvaluationResults) -> Path:
    """Write report.html into the output folder, tables beside it, and return its path."""
    side = stored_side(count_pictures(results))
    sections = [Section("Editors", editors_section(results.config))]
    for set_name, benchmark_set in results.config.sets.items():
        sections += _set_sections(results, set_name, benchmark_set, side)
    sections += [
        Section("Reference use", reference_use_section(results)),
        Section("Training", training_section(results.config.training_run)),
        Section("Data", data_section(results.config.data_summaries)),
        Section("Settings", _settings_section(results)),
    ]
    path = results.config.output / "report.html"
    counts = {pictures_in_a_card(results, sample) for members in results.samples.values() for sample in members}
    body = [_introduction(results), *failures_section(results), *with_contents(sections)]
    write_text(page("Evaluation", body, style=STYLE + grid_style(counts), script=SCRIPT), path)
    return path


def _introduction(results: EvaluationResults) -> str:
    seeds = ", ".join(map(str, results.seeds))
    return paragraph(
        f"{results.date} · {results.hardware} · {'seed' if len(results.seeds) == 1 else 'seeds'} {seeds}",
        note=True,
    ) + paragraph(
        "Each editor receives a source picture or clip with what guides the edit, and changes the masked region. "
        "An arrow shows which direction is better (↑ higher, ↓ lower); a number without an arrow describes the edit "
        f"without judging it. Brackets hold 95 % intervals, bootstrapped over source pictures. {BEST_NOTE} "
        "Click a mean to see its samples, worst first, and a picture to enlarge it and to compare it with the source "
        "and the truth."
    )


def _set_sections(results: EvaluationResults, set_name: str, benchmark_set: BenchmarkSet, side: int) -> list[Section]:
    metrics, num_samples = set_metrics(results.config, set_name), len(results.samples[set_name])
    computed = {name: metric for name, metric in metrics.items() if name not in results.not_computed}
    smaller = f" There are many pictures, so they are stored with at most {side} pixels." if side < COLUMN_WIDTH else ""
    described = f"{TASKS[benchmark_set.task]}, {TRACKS[benchmark_set.track]}. {num_samples} samples."
    titles = results.config.editor_titles
    comparisons = [
        replace(one, first=titles[one.first], second=titles[one.second])
        for one in results.comparisons
        if one.set_name == set_name
    ]
    return [
        Section(results.config.set_titles[set_name], [paragraph(described)], anchor=set_name),
        Section("A few samples", glance_section(results, set_name), 3),
        *metric_sections(results, set_name, benchmark_set, metrics),
        *_comparison_sections(results, set_name, comparisons),
        Section(
            "All samples",
            [
                paragraph(f"The mask is outlined.{smaller}", note=True),
                samples_section(results, set_name, computed, side=side),
            ],
            3,
        ),
    ]


def _comparison_sections(
    results: EvaluationResults, set_name: str, comparisons: Sequence[PairedComparison]
) -> list[Section]:
    """Charts and an exported table of one set's comparisons; empty without any."""
    if not comparisons:
        return []
    title, first = results.config.set_titles[set_name], comparisons[0].first
    exported = exported_comparisons(
        comparisons, METRICS, name=f"{set_name}_comparisons", caption=f"{title}: comparisons with {first}."
    )
    exported.write(results.config.output / TABLES)
    parts = [*comparisons_section(comparisons, METRICS), exported.buttons()]
    return [Section(f"Against {first}", parts, 3)]


def _settings_section(results: EvaluationResults) -> list[str]:
    titles = results.config.editor_titles
    weights = {f"weights of {titles[name]}": mark for name, mark in results.weights.items() if mark != digest([])}
    rows = [
        *weights.items(),
        *results.versions.items(),
        ("hardware", results.hardware),
        ("wall time of this call, s", results.seconds),
    ]
    return [
        fold("Versions and weights", table(["Item", "Value"], rows)),
        fold("The configuration of this evaluation", preformatted(dump_config(results.config))),
    ]

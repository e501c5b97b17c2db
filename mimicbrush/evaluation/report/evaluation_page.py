"""report.html: the sections of an evaluation's report, in their order.

A new section is a function that returns HTML, in a file of its own beside this one, and a line in `write_report`.
"""

from __future__ import annotations

from pathlib import Path

from mimicbrush.config import dump_config
from mimicbrush.evaluation.config import BenchmarkSet
from mimicbrush.evaluation.gather_results import EvaluationResults
from mimicbrush.evaluation.metrics.all_metrics import METRICS, set_metrics
from mimicbrush.evaluation.report.metric_tables import (
    comparisons_section,
    failures_section,
    further_section,
    paper_section,
)
from mimicbrush.evaluation.report.overview import editors_section, glance_section
from mimicbrush.evaluation.report.run_sections import data_section, reference_use_section, training_section
from mimicbrush.evaluation.report.samples import (
    SCRIPT,
    STYLE,
    count_pictures,
    pictures_in_a_card,
    samples_section,
    thumbnail_side,
)
from mimicbrush.files import digest, write_text
from mimicbrush.reports.html_page import escape, heading, page, paragraph, table
from mimicbrush.reports.html_pictures import THUMBNAIL_SIDE, grid_style

TASKS = {"texture": "Texture transfer", "parts": "Part composition"}
TRACKS = {
    "inner_id": "inner-ID: the reference shows the same thing at another time, and the source itself is the truth",
    "inter_id": "inter-ID: the reference shows another thing, and there is no truth",
}


def write_report(results: EvaluationResults) -> Path:
    """Write report.html into the output folder and return its path."""
    side = thumbnail_side(count_pictures(results))
    sections = [_introduction(results), editors_section(results.config), *failures_section(results.edits)]
    for set_name, benchmark_set in results.config.sets.items():
        sections += _set_sections(results, set_name, benchmark_set, side)
    sections += reference_use_section(results.reference_use) + training_section(results.config.training_run)
    sections += data_section(results.config.data_summaries) + _settings_section(results)
    path = results.config.output / "report.html"
    style = STYLE + grid_style(pictures_in_a_card(results, members.track) for members in results.config.sets.values())
    write_text(page("Imitative editing: evaluation", sections, style=style, script=SCRIPT), path)
    return path


def _introduction(results: EvaluationResults) -> str:
    seeds = ", ".join(map(str, results.config.seeds))
    return paragraph(
        f"{results.date} · {results.hardware} · {'seed' if len(results.config.seeds) == 1 else 'seeds'} {seeds}",
        note=True,
    ) + paragraph(
        "Each editor receives a source picture, a mask and a reference picture, and repaints the masked region so that "
        "it imitates the matching part of the reference. An arrow shows which direction is better (↑ higher, ↓ lower); "
        "a number without an arrow describes the edit without judging it. Brackets hold 95 % intervals, bootstrapped "
        "over source photographs. Click a mean to see its samples, worst first."
    )


def _set_sections(results: EvaluationResults, set_name: str, benchmark_set: BenchmarkSet, side: int) -> list[str]:
    metrics, num_samples = set_metrics(results.config, set_name), len(results.samples[set_name])
    computed = {name: metric for name, metric in metrics.items() if name not in results.not_computed}
    smaller = f" There are many pictures, so thumbnails are {side} pixels wide." if side < THUMBNAIL_SIDE else ""
    return [
        heading(set_name),
        paragraph(f"{TASKS[benchmark_set.task]}, {TRACKS[benchmark_set.track]}. {num_samples} samples."),
        heading("A few samples", level=3),
        *glance_section(results, set_name, side=side),
        *paper_section(results, set_name, benchmark_set, metrics),
        *further_section(results, set_name, benchmark_set, metrics),
        *comparisons_section([one for one in results.comparisons if one.set_name == set_name], METRICS),
        heading("All samples", level=3),
        paragraph(f"The mask is outlined.{smaller}", note=True),
        samples_section(results, set_name, computed, side=side),
    ]


def _settings_section(results: EvaluationResults) -> list[str]:
    weights = {f"weights of {name}": mark for name, mark in results.weights.items() if mark != digest([])}
    rows = [
        *weights.items(),
        *results.versions.items(),
        ("hardware", results.hardware),
        ("wall time of this call, s", results.seconds),
    ]
    return [
        heading("Settings"),
        table(["item", "value"], rows),
        f"<pre>{escape(dump_config(results.config))}</pre>",
    ]

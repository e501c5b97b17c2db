"""Opening of report.html: a sentence about each editor, and a few samples edited by all of them."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace

from PIL import Image

from mimicbrush.config import find_class
from mimicbrush.evaluation.benchmark import Sample
from mimicbrush.evaluation.config import REFERENCES, EditorSpec, EvaluateConfig
from mimicbrush.evaluation.evaluation_rounds import EditResult
from mimicbrush.evaluation.gather_results import EvaluationResults
from mimicbrush.evaluation.report.samples import read_pictures, source_pictures
from mimicbrush.hub.locations import SHIPPED
from mimicbrush.reports.html_page import Markup, breakable, bullets, escape, link, paragraph, span, table
from mimicbrush.reports.html_pictures import thumbnail
from mimicbrush.requests import Editor

NUM_GLANCES = 3
"""Number of samples shown before the first table of a set."""
GLANCE_SIDE = 168
"""Longer side of such a picture in pixels."""


def editors_section(config: EvaluateConfig) -> str:
    """Describe every editor, in the order of the tables."""
    lines = [Markup(f"<b>{breakable(name)}</b>: {escape(_sentence(config, name))}") for name in config.editors]
    return paragraph("The editors:") + bullets(lines)


def glance_section(results: EvaluationResults, set_name: str, *, side: int) -> list[str]:
    """Show the first, the middle and the last sample, one in each row: inputs, every editor's picture, the truth."""
    samples, seed = results.samples[set_name], results.config.seeds[0]
    places = {round(step * (len(samples) - 1) / (NUM_GLANCES - 1)) for step in range(NUM_GLANCES)}
    chosen = [samples[place] for place in sorted(places)]
    edits = {(edit.id, edit.editor): edit for edit in results.edits if (edit.set_name, edit.seed) == (set_name, seed)}
    truth = ["truth"] if chosen[0].track == "inner_id" else []
    header = ["source, mask outlined", "reference", *map(breakable, results.config.editors), *truth]
    rows = [_glance(results, sample, edits, min(side, GLANCE_SIDE)) for sample in chosen]
    named = ", ".join(sample.id for sample in chosen)
    below = link(f"#{set_name}-samples", "below")
    return [
        paragraph(
            Markup(f"The first, middle and last of the set: {escape(named)}. All, with their scores, are {below}."),
            note=True,
        )
        if len(chosen) < len(samples)
        else paragraph(f"All samples: {named}.", note=True),
        f"<div class='glance' style='--count: {len(header)}'>{table(header, rows)}</div>",
    ]


def _sentence(config: EvaluateConfig, name: str) -> str:
    """Describe an editor by its class's docstring, and the references that it receives."""
    specs = {other: config.editor(other) for other in config.editors}
    spec = specs[name]
    first = next(other for other in specs if specs[other] == replace(spec, references=specs[other].references))
    description = _describe(spec, list(specs.values())) if first == name else f"The same as {first}."
    return f"{description} {REFERENCES[spec.references]}".strip()


def _describe(spec: EditorSpec, others: list[EditorSpec]) -> str:
    """Join the first paragraph of the class's docstring and the arguments in which editors of that class differ."""
    text = inspect.cleandoc(find_class(spec.class_path, Editor).__doc__ or f"{spec.class_path}.")
    first = " ".join(text.partition("\n\n")[0].split())
    alike = [other.init_args for other in others if other.class_path == spec.class_path]
    own = [
        f"{key} {_value(value)}"
        for key, value in spec.init_args.items()
        if any(arguments.get(key) != value for arguments in alike)
    ]
    return f"{first} Here: {', '.join(own)}." if own else first


def _value(value: object) -> str:
    name = str(value)
    return f"{name}, which comes with the package" if name.startswith(SHIPPED) else name


def _glance(
    results: EvaluationResults, sample: Sample, edits: dict[tuple[str, str], EditResult], side: int
) -> list[Markup | str]:
    source, outlined = source_pictures(sample)
    truth = [source] if sample.track == "inner_id" else []
    return [
        _picture(outlined, f"source of {sample.id}", side),
        _picture(read_pictures(sample.reference)[:1], f"reference of {sample.id}", side),
        *(_edit(results, edits[sample.id, editor], side) for editor in results.config.editors),
        *(_picture(frames, f"truth of {sample.id}", side) for frames in truth),
    ]


def _edit(results: EvaluationResults, edit: EditResult, side: int) -> Markup:
    if edit.failure:
        return span("failed", "none")
    return _picture(read_pictures(edit.picture(results.config.output)), f"{edit.id} by {edit.editor}", side)


def _picture(frames: Sequence[Image.Image], alt: str, side: int) -> Markup:
    return Markup(thumbnail(frames, side, alt))

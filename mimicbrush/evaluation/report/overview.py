"""Opening of report.html: a sentence about each editor, and a few samples edited by all of them."""

from __future__ import annotations

import inspect
from dataclasses import replace

from mimicbrush.config import find_class
from mimicbrush.evaluation.benchmark import Sample
from mimicbrush.evaluation.config import REFERENCES, EditorSpec, EvaluateConfig
from mimicbrush.evaluation.evaluation_rounds import EditResult
from mimicbrush.evaluation.gather_results import EvaluationResults
from mimicbrush.evaluation.report.samples import SamplePicture, picture_key, sample_pictures, speed_of
from mimicbrush.hub.locations import SHIPPED
from mimicbrush.pictures.headers import read_header
from mimicbrush.reports.html_page import Markup, bullets, escape, link, paragraph, span, table
from mimicbrush.reports.html_pictures import Role, enlargeable_copy
from mimicbrush.requests import Editor

NUM_GLANCES = 3
"""Number of samples shown before the first table of a set."""
GLANCED: tuple[Role, ...] = ("mask", "reference", "flow", "truth")
"""Their pictures that are shown besides the edits; the mask is outlined on the source."""


def editors_section(config: EvaluateConfig) -> list[str]:
    """Describe every editor, in the order of the tables."""
    lines = [
        Markup(f"<b>{escape(title)}</b>: {escape(_sentence(config, name))}")
        for name, title in config.editor_titles.items()
    ]
    return [bullets(lines)]


def glance_section(results: EvaluationResults, set_name: str) -> list[str]:
    """Show the first, the middle and the last sample, one in each row: inputs, the truth, every editor's picture."""
    samples, seed = results.samples[set_name], results.seeds[0]
    places = {round(step * (len(samples) - 1) / (NUM_GLANCES - 1)) for step in range(NUM_GLANCES)}
    chosen = [samples[place] for place in sorted(places)]
    edits = {(edit.id, edit.editor): edit for edit in results.edits if (edit.set_name, edit.seed) == (set_name, seed)}
    given = [_glanced(sample) for sample in chosen]
    prompts = [span((sample.prompt or "").replace("#", ""), "text") for sample in chosen]
    has_prompts = any(sample.prompt for sample in chosen)
    header = [*(each.caption for each in given[0]), *results.config.editor_titles.values()]
    header = [*([span("Prompt", "text")] if has_prompts else []), *header]
    rows = [
        [
            *([prompt] if has_prompts else []),
            *(_copy(set_name, sample, each) for each in pictures),
            *(_edit(results, sample, edits[sample.id, editor]) for editor in results.config.editors),
        ]
        for sample, pictures, prompt in zip(chosen, given, prompts, strict=True)
    ]
    named = ", ".join(sample.id for sample in chosen)
    below = link(f"#{set_name}-samples", "below")
    text = (
        f"The first, middle and last of the set: {escape(named)}. All, with their masks and scores, are {below}."
        if len(chosen) < len(samples)
        else f"All samples: {escape(named)}."
    )
    kind = "glance plays" if any(len(each.frames) > 1 for pictures in given for each in pictures) else "glance"
    return [
        paragraph(Markup(text), note=True),
        f"<div class='{kind}' style='--count: {len(header)}'>{table(header, rows)}</div>",
    ]


def _glanced(sample: Sample) -> list[SamplePicture]:
    """The pictures of a sample in the order of GLANCED."""
    pictures = {each.role: each for each in sample_pictures(sample)}
    return [pictures[role] for role in GLANCED if role in pictures]


def _sentence(config: EvaluateConfig, name: str) -> str:
    """Describe an editor by its class's docstring, and the references that it receives."""
    specs = {other: config.editor(other) for other in config.editors}
    spec = specs[name]
    alike = {other: replace(each, references="own", title="") for other, each in specs.items()}
    first = next(other for other in specs if alike[other] == alike[name])
    title = config.editor_titles[first]
    description = _describe(spec, list(specs.values())) if first == name else f"The same as {title}."
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


def _edit(results: EvaluationResults, sample: Sample, edit: EditResult) -> Markup:
    if edit.failure:
        return span("failed", "none")
    header = read_header(edit.picture(results.config.output))
    title, key = results.config.editor_titles[edit.editor], f"{edit.editor}-{edit.seed}"
    return enlargeable_copy(
        picture_key(edit.set_name, edit.id, key),
        (header.width, header.height),
        title,
        alt=f"{edit.id} by {title}",
        role="edit",
        num_frames=header.num_frames,
        frames_per_second=speed_of(sample),
    )


def _copy(set_name: str, sample: Sample, picture: SamplePicture) -> Markup:
    return enlargeable_copy(
        picture_key(set_name, sample.id, picture.role),
        picture.frames[0].size,
        picture.caption,
        alt=f"{picture.caption.lower()} of {sample.id}",
        role=picture.role,
        num_frames=len(picture.frames),
        frames_per_second=speed_of(sample),
    )

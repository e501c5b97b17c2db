"""Cards of the samples: source, mask, reference, truth, and every edit with its scores; sorted by samples.js.

Without JavaScript the cards are sorted by id, and all seeds are shown.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from mimicbrush.evaluation.benchmark import Sample
from mimicbrush.evaluation.evaluation_rounds import EditResult
from mimicbrush.evaluation.gather_results import EvaluationResults
from mimicbrush.evaluation.metrics.metric import Metric
from mimicbrush.evaluation.metrics.score import Score
from mimicbrush.evaluation.report.comparison_tables import DescribedMetric
from mimicbrush.flow.colour_wheel import colour_flow
from mimicbrush.flow.flow_files import read_flow
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.headers import read_header
from mimicbrush.pictures.reading import read_frames
from mimicbrush.reports.html_page import Markup, escape, link, span
from mimicbrush.reports.html_pictures import STORED_SIDE, Role, captioned, card, enlargeable, picture_grid
from mimicbrush.reports.mask_outline import outline_mask
from mimicbrush.reports.number_format import format_number

STYLE = (Path(__file__).parent / "samples.css").read_text(encoding="utf-8")
SCRIPT = (Path(__file__).parent / "samples.js").read_text(encoding="utf-8")

SMALLEST_SIDE = 120
"""Longer side of a picture as stored, in pixels, on a page with thousands of them."""
NUM_AT_FULL_SIZE = 380
"""Number of pictures of STORED_SIDE on a page; more are made smaller, so that the page stays below about 12 MB."""


NOT_SCORED = Score(None, "not scored")
STILLS: frozenset[Role] = frozenset({"reference", "flow"})
"""Pictures that are stills, also of a clip."""


class SamplePicture(NamedTuple):
    """A picture or clip of a card that is no edit."""

    role: Role
    caption: str
    frames: list[Image.Image]


def pictures_in_a_card(results: EvaluationResults, sample: Sample) -> int:
    """Count the pictures that a card shows at once: those of the sample, and an edit of each editor."""
    return len(_given_paths(sample)) + len(results.config.editors)


def stored_side(num_pictures: int) -> int:
    """Longer side of a picture as stored, in pixels, on a page with this many pictures."""
    return max(SMALLEST_SIDE, round(STORED_SIDE * min(1.0, math.sqrt(NUM_AT_FULL_SIZE / num_pictures))))


def count_pictures(results: EvaluationResults) -> int:
    """Count the pictures that the page stores, each frame of a clip as one."""
    total = 0
    for set_name, members in results.samples.items():
        num_edits = Counter(edit.id for edit in results.edits if edit.set_name == set_name)
        for sample in members:
            given = _given_paths(sample)
            stills = sum(role in STILLS for role in given)
            total += stills + (len(given) - stills + num_edits[sample.id]) * read_header(sample.source).num_frames
    return total


def _given_paths(sample: Sample) -> dict[Role, Path]:
    """Files of the pictures that a card shows besides the edits; a source that is the truth is not listed twice."""
    paths: dict[Role, Path | None] = {
        "source": sample.source,
        "mask": sample.mask,
        "reference": sample.reference,
        "flow": sample.flow if sample.task == "motion" else None,
        "truth": sample.truth if sample.truth != sample.source else None,
    }
    return {role: path for role, path in paths.items() if path}


def picture_key(set_name: str, sample_id: str, what: str) -> str:
    """Id of a picture on the page, under which it is stored once."""
    return f"{set_name}-{sample_id}-{what}"


def samples_section(results: EvaluationResults, set_name: str, metrics: Mapping[str, Metric], *, side: int) -> str:
    """Show all cards of a set, with the controls that sort and filter them; metrics: those shown on the cards."""
    samples = results.samples[set_name]
    edits: dict[str, list[EditResult]] = {sample.id: [] for sample in samples}
    for edit in results.edits:
        if edit.set_name == set_name:
            edits[edit.id].append(edit)
    cards = [_card(results, sample, edits[sample.id], metrics, side) for sample in samples]
    return (
        f"<section class='samples' id='{escape(set_name)}-samples' data-set='{escape(set_name)}'>"
        f"{_controls(results, metrics)}<div class='cards'>{''.join(cards)}</div></section>"
    )


def sort_link(set_name: str, editor: str, metric: str, text: str) -> str:
    """Make a link that sorts a set's samples by an editor's metric, worst first."""
    address = f"#{set_name}.editor={editor}&{set_name}.metric={metric}&{set_name}.order=worst"
    return link(address, text, classes="sort")


def sample_pictures(sample: Sample) -> list[SamplePicture]:
    """Read source, outlined mask, reference, flow and truth, as far as there are any.

    They are upright, on white, 8 bits deep; clips have all their frames. On inner-ID the source is the truth, and is
    not shown twice.
    """
    source, mask = sample.frames()
    frames = list(map(to_pil, source))
    first = ("truth", "Source = truth") if sample.truth == sample.source else ("source", "Source")
    pictures = [SamplePicture(*first, frames)]
    for role, path in _given_paths(sample).items():
        if role == "mask":
            shown = [outline_mask(frame, hole[0].numpy() > 0.5) for frame, hole in zip(frames, mask, strict=True)]
            pictures.append(SamplePicture("mask", "Mask", shown))
        elif role == "flow":
            pictures.append(SamplePicture("flow", "Flow asked for", [to_pil(colour_flow(read_flow(path).flow[0]))]))
        elif role == "reference":
            pictures.append(SamplePicture("reference", "Reference", read_pictures(path)[:1]))
        elif role == "truth":
            pictures.append(SamplePicture("truth", "Truth", read_pictures(path)))
    return pictures


def read_pictures(path: Path) -> list[Image.Image]:
    """Read all frames of a stored picture or clip, on white."""
    return list(map(to_pil, read_frames(path)))


def sample_figures(sample: Sample, *, side: int, set_name: str = "") -> list[str]:
    """Show the pictures of `sample_pictures`. set_name: set under whose `picture_key` they are shown again."""
    figures = []
    for role, caption, frames in sample_pictures(sample):
        key = picture_key(set_name, sample.id, role) if set_name else ""
        alt = f"{caption.lower()} of {sample.id}"
        shown = enlargeable(frames, caption, side=side, alt=alt, role=role, key=key, frames_per_second=speed_of(sample))
        figures.append(captioned(shown, caption + frames_note(frames)))
    return figures


def frames_note(frames: Sequence[Image.Image]) -> str:
    """Caption suffix with the number of frames of a clip; empty for a still."""
    return f", {len(frames)} frames" if len(frames) > 1 else ""


def card_title(sample: Sample) -> str:
    """Title of a card as HTML: the id, and the prompts, before and after the edit where they differ."""
    before = sample.facts.source_prompt if sample.facts else None
    prompts = dict.fromkeys(text.replace("#", "") for text in (before, sample.prompt) if text)
    return f"{escape(sample.id)}<span> {escape(' → '.join(prompts))}</span>"


def speed_of(sample: Sample) -> float | None:
    """Frames per second of a clip, where the set says it."""
    return sample.facts.fps if sample.facts else None


def _card(
    results: EvaluationResults, sample: Sample, edits: Sequence[EditResult], metrics: Mapping[str, Metric], side: int
) -> str:
    given = sample_figures(sample, side=side, set_name=edits[0].set_name)
    figures = [score_names(metrics, len(given)), *given]
    figures += [_edit_figure(results, sample, edit, metrics, side) for edit in edits]
    count = pictures_in_a_card(results, sample)
    return card(card_title(sample), picture_grid(figures, count=count), key=sample.id)


def score_names(metrics: Mapping[str, DescribedMetric], num_given: int) -> str:
    """Name the scores once for all edits of a card, below its first pictures, where they stand in one row."""
    lines = "".join(f"<div><dt>{escape(metric.title)}</dt></div>" for metric in metrics.values())
    attributes = {"class": "names", "aria-hidden": "true", "style": f"--given: {num_given}"}
    return captioned("", "", below=f"<dl>{lines}</dl>", attributes=attributes)


def _edit_figure(
    results: EvaluationResults, sample: Sample, edit: EditResult, metrics: Mapping[str, Metric], side: int
) -> str:
    title = results.config.editor_titles[edit.editor]
    # The script shows one seed at a time and hides its name.
    seed = span(f", seed {edit.seed}", "seed") if len(results.seeds) > 1 else ""
    if edit.failure:
        name, shown, scores = "edit failed", f"<p class='failure'>failed: {escape(edit.failure)}</p>", ""
    else:
        frames = read_pictures(edit.picture(results.config.output))
        alt = f"{edit.id} by {title}, seed {edit.seed}{frames_note(frames)}"
        key = picture_key(edit.set_name, edit.id, f"{edit.editor}-{edit.seed}")
        name = "edit"
        shown = enlargeable(frames, title, side=side, alt=alt, role="edit", key=key, frames_per_second=speed_of(sample))
        scores = score_list(edit, metrics)
    attributes = {"class": name, "data-editor": edit.editor, "data-seed": edit.seed}
    return captioned(shown, Markup(escape(title) + seed), below=scores, attributes=attributes)


def score_list(edit: EditResult, metrics: Mapping[str, DescribedMetric]) -> str:
    """List an edit's scores by the given metrics, each on its line."""
    lines = [_score(name, metric, edit.scores.get(name, NOT_SCORED)) for name, metric in metrics.items()]
    return f"<dl>{''.join(lines)}</dl>"


def _score(name: str, metric: DescribedMetric, score: Score) -> str:
    """Make a line below an edit; `data-value` is written for JavaScript."""
    if score.value is None:
        value, shown, hint = "", "none", f"{metric.title}: {score.reason}"
    else:
        value = f" data-value='{'Infinity' if math.isinf(score.value) else repr(score.value)}'"
        shown, hint = format_number(score.value), metric.title
    return (
        f"<div data-metric='{name}'{value} title='{escape(hint)}'><dt>{escape(metric.title)}</dt><dd>{shown}</dd></div>"
    )


def _controls(results: EvaluationResults, metrics: Mapping[str, Metric]) -> str:
    """Make the controls that sort and filter; they are hidden until the script shows them."""
    directions = {name: metric.better or "" for name, metric in metrics.items()}
    by_metric = "".join(
        f"<option value='{name}' data-better='{directions[name]}'>{escape(metric.title)}</option>"
        for name, metric in metrics.items()
    )
    editors = _options(results.config.editor_titles)
    seeds = _options({str(seed): str(seed) for seed in results.seeds})
    return (
        "<form class='controls' hidden>"
        f"<label>order <select name='order'>{_options({'id': 'by id', 'worst': 'worst first', 'best': 'best first'})}"
        "</select></label>"
        f"<label>of <select name='editor'>{editors}</select></label>"
        f"<label>by <select name='metric'>{by_metric}</select></label>"
        f"<label{'' if len(results.seeds) > 1 else ' hidden'}>seed <select name='seed'>{seeds}</select></label>"
        "<label><input type='checkbox' name='failed'> failures only</label>"
        "<output></output></form>"
    )


def _options(options: dict[str, str]) -> str:
    return "".join(f"<option value='{escape(value)}'>{escape(text)}</option>" for value, text in options.items())

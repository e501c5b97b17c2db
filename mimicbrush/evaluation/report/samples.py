"""Cards of the samples: source, mask, reference, every edit with its scores, and the truth; sorted by samples.js.

Without JavaScript the cards are sorted by id, and all seeds are shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from mimicbrush.benchmark_layout import Track
from mimicbrush.evaluation.benchmark import Sample
from mimicbrush.evaluation.evaluation_rounds import EditResult
from mimicbrush.evaluation.gather_results import EvaluationResults
from mimicbrush.evaluation.metrics.metric import Metric
from mimicbrush.evaluation.metrics.score import Score
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.headers import read_header
from mimicbrush.pictures.reading import read_frames
from mimicbrush.reports.html_page import Markup, breakable, escape, link, span
from mimicbrush.reports.html_pictures import THUMBNAIL_SIDE, captioned, card, picture_grid, thumbnail, thumbnail_figure
from mimicbrush.reports.mask_outline import outline_mask
from mimicbrush.reports.number_format import format_number

STYLE = (Path(__file__).parent / "samples.css").read_text(encoding="utf-8")
SCRIPT = (Path(__file__).parent / "samples.js").read_text(encoding="utf-8")

SMALLEST_SIDE = 120
"""Longer side of a thumbnail, in pixels, on a page with thousands of them."""
NUM_AT_FULL_SIZE = 500
"""Number of thumbnails of THUMBNAIL_SIDE on a page; more are made smaller, so that the page stays below about 12 MB."""


def pictures_in_a_card(results: EvaluationResults, track: Track) -> int:
    """Count the inputs, an edit of each editor, and on inner-ID the truth."""
    return 3 + len(results.config.editors) + (track == "inner_id")


def thumbnail_side(num_pictures: int) -> int:
    """Longer side of a thumbnail, in pixels, on a page with this many pictures."""
    return max(SMALLEST_SIDE, round(THUMBNAIL_SIDE * min(1.0, math.sqrt(NUM_AT_FULL_SIZE / num_pictures))))


def count_pictures(results: EvaluationResults) -> int:
    """Count the pictures of the page: three or four for each sample and one for each edit, times a clip's frames."""
    counts = {
        (set_name, sample.id): (read_header(sample.source).num_frames, sample.track == "inner_id")
        for set_name, members in results.samples.items()
        for sample in members
    }
    edits = sum(counts[edit.set_name, edit.id][0] for edit in results.edits)
    return edits + sum(1 + frames * (2 + has_truth) for frames, has_truth in counts.values())


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


def given_pictures(sample: Sample, *, side: int) -> list[str]:
    """Show the input of every editor: upright, on white, 8 bits deep; clips with all of their frames."""
    frames, outlined = source_pictures(sample)
    return [
        thumbnail_figure(frames, f"source{frames_note(frames)}", side=side),
        thumbnail_figure(outlined, "mask", side=side),
        thumbnail_figure(read_pictures(sample.reference)[:1], "reference", side=side),
    ]


def source_pictures(sample: Sample) -> tuple[list[Image.Image], list[Image.Image]]:
    """Read all frames of a sample's source: as they are, and with the mask outlined."""
    source, mask = sample.frames()
    frames = list(map(to_pil, source))
    return frames, [outline_mask(frame, hidden[0].numpy() > 0.5) for frame, hidden in zip(frames, mask, strict=True)]


def read_pictures(path: Path) -> list[Image.Image]:
    """Read all frames of a stored picture or clip, on white."""
    return list(map(to_pil, read_frames(path)))


def frames_note(frames: Sequence[Image.Image]) -> str:
    """Caption suffix with the number of frames of a clip; empty for a still."""
    return f", {len(frames)} frames" if len(frames) > 1 else ""


def truth_pictures(sample: Sample, *, side: int) -> list[str]:
    """Show the truth on inner-ID; empty on inter-ID."""
    if sample.track != "inner_id":
        return []
    return [thumbnail_figure(read_pictures(sample.source), "truth = source", side=side)]


def card_title(sample: Sample) -> str:
    """Title of a card as HTML: the id, and the prompt if there is one."""
    prompt = f" {escape(sample.prompt.replace('#', ''))}" if sample.prompt else ""
    return f"{escape(sample.id)}<span>{prompt}</span>"


def _card(
    results: EvaluationResults, sample: Sample, edits: Sequence[EditResult], metrics: Mapping[str, Metric], side: int
) -> str:
    figures = given_pictures(sample, side=side)
    figures += [_edit_figure(results, edit, metrics, side) for edit in edits]
    figures += truth_pictures(sample, side=side)
    count = pictures_in_a_card(results, sample.track)
    return card(card_title(sample), picture_grid(figures, count=count), key=sample.id)


def _edit_figure(results: EvaluationResults, edit: EditResult, metrics: Mapping[str, Metric], side: int) -> str:
    # The script shows one seed at a time and hides its name.
    seed = span(f", seed {edit.seed}", "seed") if len(results.config.seeds) > 1 else ""
    if edit.failure:
        name, shown, scores = "edit failed", f"<p class='failure'>failed: {escape(edit.failure)}</p>", ""
    else:
        frames = read_pictures(edit.picture(results.config.output))
        alt = f"{edit.id} by {edit.editor}, seed {edit.seed}{frames_note(frames)}"
        name, shown = "edit", thumbnail(frames, side, alt)
        scores = score_list(edit, metrics)
    attributes = {"class": name, "data-editor": edit.editor, "data-seed": edit.seed}
    return captioned(shown, Markup(breakable(edit.editor) + seed), below=scores, attributes=attributes)


def score_list(edit: EditResult, metrics: Mapping[str, Metric]) -> str:
    """List an edit's scores by the given metrics, as far as they apply to its set."""
    lines = [_score(name, metric, edit.scores[name]) for name, metric in metrics.items() if name in edit.scores]
    return f"<dl>{''.join(lines)}</dl>"


def _score(name: str, metric: Metric, score: Score) -> str:
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
    editors = _options({editor: editor for editor in results.config.editors})
    seeds = _options({str(seed): str(seed) for seed in results.config.seeds})
    return (
        "<form class='controls' hidden>"
        f"<label>order <select name='order'>{_options({'id': 'by id', 'worst': 'worst first', 'best': 'best first'})}"
        "</select></label>"
        f"<label>of <select name='editor'>{editors}</select></label>"
        f"<label>by <select name='metric'>{by_metric}</select></label>"
        f"<label{'' if len(results.config.seeds) > 1 else ' hidden'}>seed <select name='seed'>{seeds}</select></label>"
        "<label><input type='checkbox' name='failed'> failures only</label>"
        "<output></output></form>"
    )


def _options(options: dict[str, str]) -> str:
    return "".join(f"<option value='{escape(value)}'>{escape(text)}</option>" for value, text in options.items())

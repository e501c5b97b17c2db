"""The page's right side: what it shows before an edit, during it and after."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from mimicbrush.demo.orders import bundle
from mimicbrush.demo.studio import Step, Update, Waiting
from mimicbrush.demo.uploads import compare
from mimicbrush.edit.common_config import MaskedEditConfig

SAME = gr.skip()
ABOUT_DOWNLOADS = (
    '<p class="hint">The picture holds its settings; the zip also holds what was uploaded, and how to replay it.</p>'
)
PREVIEW_SIDE = 384
SLIDER_POSITION = 0
"""In percent of the width: all of the edit is seen first."""
BEFORE = '<p role="status">Below is what was made before.</p>'
NOTHING_YET = '<div class="placeholder">The result appears here.</div>'


class Results(NamedTuple):
    """Of one edit."""

    outputs: list[Path]
    comparisons: list[tuple[Path, Path]]
    """Source and result, as the browser shows them."""


class View(NamedTuple):
    """New contents of the page's right side, in the order of its components."""

    status: object = SAME
    edit: object = SAME
    stop: object = SAME
    preview: object = SAME
    slider: object = SAME
    gallery: object = SAME
    picture: object = SAME
    bundle: object = SAME
    results: object = SAME


def starting() -> View:
    """What was made before is out of sight, and kept."""
    return _running(status_text("Starting …"), preview=gr.update(visible=False))._replace(**results_shown(0))


def results_shown(number: int) -> dict[str, dict]:
    """Fields of View: one result needs no gallery, and none nothing."""
    some, several = gr.update(visible=number > 0), gr.update(visible=number > 1)
    return {"slider": some, "gallery": several, "picture": some, "bundle": some}


def _running(status: str, *, preview: object = SAME) -> View:
    return View(status, gr.update(interactive=False), gr.update(interactive=True), preview)


def idle(status: str) -> View:
    hidden = gr.update(visible=False)
    return View(status, gr.update(interactive=True), gr.update(interactive=False), preview=hidden)


def unfinished(status: str, before: Results | None) -> View:
    """Why, and what was made before, if anything was."""
    if before is None:
        return idle(status + NOTHING_YET)
    return idle(status + BEFORE)._replace(**results_shown(len(before.outputs)))


def progress(update: Update) -> View:
    if isinstance(update, Waiting):
        edits = "One edit comes" if update.ahead == 1 else f"{update.ahead} edits come"
        return _running(status_text(f"{edits} before yours."))
    return _running(_progress_bar(update), preview=_preview(update))


def _preview(step: Step) -> object:
    if step.preview is None:
        return SAME
    scale = PREVIEW_SIDE / max(step.preview.size)
    size = [max(1, round(side * scale)) for side in step.preview.size]
    return gr.update(value=step.preview.resize(size), visible=True)


def finished(config: MaskedEditConfig, seconds: float) -> View:
    comparisons = []
    for path in config.outputs:
        folder = path.with_suffix("")
        folder.mkdir()
        comparisons.append(compare(config.source, path, folder))
    results, several = Results(config.outputs, comparisons), len(comparisons) > 1
    gallery = [(after, f"seed {seed}") for (_, after), seed in zip(comparisons, config.seeds, strict=True)]
    done = status_text(f"Done in {seconds:.1f} s. Drag the handle to the right to see what was there before.")
    return idle(done + ABOUT_DOWNLOADS)._replace(
        slider=gr.update(value=comparisons[0], slider_position=SLIDER_POSITION, visible=True),
        gallery=gr.update(value=gallery if several else [], selected_index=0 if several else None, visible=several),
        picture=gr.update(value=str(config.outputs[0]), visible=True),
        bundle=gr.update(value=str(bundle(config)), visible=True),
        results=results,
    )


def status_text(text: str, *, problem: bool = False) -> str:
    return f'<p class="problem" role="alert">{escape(text)}</p>' if problem else f'<p role="status">{escape(text)}</p>'


def _progress_bar(step: Step) -> str:
    left = f", about {step.seconds_left:.0f} s left" if step.seconds_left >= 1 else ""
    return f'<progress max="{step.total}" value="{step.number}" aria-label="Sampling"></progress>' + status_text(
        f"Step {step.number} of {step.total}{left}"
    )


def as_sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."

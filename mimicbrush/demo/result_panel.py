"""The right side of the page: its contents before, during and after an edit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import NamedTuple

import gradio as gr
import numpy as np
from PIL import Image

from mimicbrush.demo.edit_zip import write_zip
from mimicbrush.demo.live_preview import NOTHING
from mimicbrush.demo.shared_editor import Saving, Step, Update, Waiting
from mimicbrush.demo.uploads import compare, shrink
from mimicbrush.edit.config import EditConfig
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.reading import read_channels

SAME = gr.skip()
ABOUT_DOWNLOADS = (
    '<p class="hint">The picture contains its settings; the zip also contains the uploaded files, and how to replay the'
    " edit.</p>"
)
SQUARE, SQUARES = 12, (255, 204)
"""Side in pixels and grey levels of the squares behind a layer."""
MAX_RESULTS = 24
"""Largest number of results that are kept to choose from."""
SLIDER_POSITION = 0
"""Initial position of the handle in percent of the width: the whole edit is visible."""
BEFORE = '<p role="status">The earlier results are below.</p>'
NOTHING_YET = '<div class="placeholder">The result appears here.</div>'


CAPTIONS = {"keep_shape": "same shape", "crop_to_mask": "close up"}
"""Settings that are named below a result where they are on."""
STAGES = ("Prepare", "Draw", "Save")
"""Parts of an edit, in the order of the page."""


class Result(NamedTuple):
    """One result of an edit."""

    comparison: tuple[Path, Path]
    """Source and result, scaled down for the browser."""
    caption: str
    """The settings that a visitor compares."""
    picture: Path
    """The result, under the name that a visitor downloads."""
    zip_file: Path
    part: str = NOTHING
    """Its changes, as a value of the live preview."""


@dataclass(frozen=True, eq=False)
class FinishedEdit:
    """The results of one edit. They have a hash of their own, by which Gradio notices new ones; a config has none."""

    config: EditConfig
    name: str
    """The picture's name, without suffix."""
    results: list[Result]
    earlier: list[Result] = field(default_factory=list)
    """Results of earlier edits, the latest first."""

    @property
    def strip(self) -> list[Result]:
        """All results that a visitor can choose from."""
        return [*self.results, *self.earlier][:MAX_RESULTS]


class ResultPanel(NamedTuple):
    """Components of the right side of the page, or their new contents, in order."""

    status: object = SAME
    edit: object = SAME
    stop: object = SAME
    preview: object = SAME
    """A picture of what has no place on the canvas."""
    live: object = SAME
    """The changes, on the canvas."""
    slider: object = SAME
    gallery: object = SAME
    picture: object = SAME
    zip_file: object = SAME
    use: object = SAME
    """The button that makes the chosen result the picture to edit."""
    further: object = SAME
    """A column for what else a tab shows of its results."""
    results: object = SAME


def starting() -> ResultPanel:
    """Hide the earlier results, but keep them."""
    status = _stages(0) + status_text("Preparing the picture …")
    return _running(status, preview=gr.update(visible=False), live=NOTHING)._replace(**results_shown(0))


def results_shown(number: int) -> dict[str, dict]:
    """Show or hide the components for a number of results: one result needs no gallery."""
    some, several = gr.update(visible=number > 0), gr.update(visible=number > 1)
    return {"slider": some, "gallery": several, "picture": some, "zip_file": some, "use": some, "further": some}


def _running(status: str, *, preview: object = SAME, live: object = SAME) -> ResultPanel:
    stop = gr.update(interactive=True, variant="stop")
    return ResultPanel(status, gr.update(interactive=False), stop, preview, live)


def idle(status: str) -> ResultPanel:
    """Enable Edit, disable Stop and hide the preview."""
    hidden = gr.update(visible=False)
    stop = gr.update(interactive=False, variant="secondary")
    return ResultPanel(status, gr.update(interactive=True), stop, preview=hidden, live=NOTHING)


def unfinished(status: str, before: FinishedEdit | None) -> ResultPanel:
    """Show why there is no new result, and the earlier results, if there are any."""
    if before is None:
        return idle(status + NOTHING_YET)
    return idle(status + BEFORE)._replace(live=before.results[0].part, **results_shown(len(before.strip)))


def progress(update: Update) -> ResultPanel:
    """Show the place in the queue, or the step and the preview."""
    if isinstance(update, Waiting):
        edits = "One edit comes" if update.ahead == 1 else f"{update.ahead} edits come"
        return _running(status_text(f"{edits} before yours."))
    if isinstance(update, Saving):
        return _running(_stages(2) + status_text(f"{_result_of(update)}Saving the result …"))
    live = SAME if update.part is None else update.part
    return _running(_progress_bar(update), preview=_preview(update), live=live)


def _preview(step: Step) -> object:
    if step.picture is None:
        return SAME
    layer = step.picture
    return gr.update(value=on_checkerboard(layer) if layer.mode == "RGBA" else layer, visible=True)


def _stages(current: int) -> str:
    """The parts of an edit, of which one is current."""
    states = ["done"] * current + ["now"] + ["next"] * (len(STAGES) - 1 - current)
    parts = "".join(f'<li class="{state}">{name}</li>' for name, state in zip(STAGES, states, strict=True))
    return f'<ol class="stages" aria-hidden="true">{parts}</ol>'


def _result_of(update: Step | Saving) -> str:
    return f"Result {update.result} of {update.num_results}: " if update.num_results > 1 else ""


def on_checkerboard(layer: Image.Image) -> Image.Image:
    """Draw a layer with alpha over light and dark squares, so that one sees how opaque it is."""
    across, down = np.arange(layer.width) // SQUARE, np.arange(layer.height) // SQUARE
    squares = np.where((across + down[:, None]) % 2, *SQUARES).astype(np.uint8)
    background = to_pil(squares).convert("RGBA")
    return Image.alpha_composite(background, layer.convert("RGBA")).convert("RGB")


def finished(
    config: EditConfig, seconds: float, *, name: str, earlier: Sequence[Result] = (), status: str = ""
) -> ResultPanel:
    """Show the results of an edit, and write the files for the browser.

    name: of the picture, without suffix; earlier: results of earlier edits; status: replaces that of an edit.
    """
    # Old files are deleted to make room for new ones.
    left = [each for each in earlier if each.picture.is_file()]
    edit = FinishedEdit(config, name, list(_results_of(config, name)), left)
    first, strip = edit.results[0], edit.strip
    several = len(strip) > 1
    last_step = config.stop_after if config.keeps_stopped else None
    ended = f"Stopped after step {last_step}: the edit so far." if last_step else f"Done in {seconds:.1f} s."
    if config.max_megapixels is not None:
        ended += f" It was made in {config.max_megapixels:g} megapixels and put back into the full-size picture."
    said = status_text(status or f"{ended} Hide the result on the picture, or drag the handle, to see the original.")
    gallery = [(each.comparison[1], each.caption) for each in strip] if several else []
    return idle(said + ABOUT_DOWNLOADS)._replace(
        live=first.part,
        slider=gr.update(value=first.comparison, slider_position=SLIDER_POSITION, visible=True),
        gallery=gr.update(value=gallery, selected_index=0 if several else None, visible=several),
        picture=gr.update(value=str(first.picture), visible=True),
        zip_file=gr.update(value=str(first.zip_file), visible=True),
        use=gr.update(visible=True),
        further=gr.update(visible=True),
        results=edit,
    )


def _results_of(config: EditConfig, name: str) -> Iterator[Result]:
    zip_file = named_download(write_zip(config), f"{name}-edited")
    for path, seed in zip(config.outputs, config.seeds, strict=True):
        folder = path.with_suffix("")
        folder.mkdir(exist_ok=True)
        addition = path.stem.removeprefix(config.output.stem)
        picture = named_download(path, f"{name}-edited{addition}")
        before, after, part = compare(config.source, path, folder)
        yield Result((before, after), _caption(config, seed), picture, zip_file, part)


def _caption(config: EditConfig, seed: int) -> str:
    steps = getattr(config, "num_inference_steps", None)
    drawn = "quick" if getattr(config, "quick", False) else steps and f"{steps} step{'s' if steps > 1 else ''}"
    chosen = [words for name, words in CAPTIONS.items() if getattr(config, name, False)]
    return ", ".join([f"seed {seed}", *([drawn] if drawn else []), *chosen])


def named_download(path: Path, name: str) -> Path:
    """Give a file of an edit a second name, under which it is downloaded; return that path."""
    link = path.parent / "download" / f"{name}{path.suffix}"
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.hardlink_to(path)
    return link


def name_of(picture: Path) -> str:
    """The name of a picture without its suffix, and without what an earlier edit added."""
    return picture.stem.removesuffix("-edited") or "picture"


def has_layer(config: EditConfig, name: str) -> bool:
    """Whether this layer lies beside the result."""
    return config.beside_output(name).is_file()


def layers_of(config: EditConfig, captions: Mapping[str, str]) -> list[tuple[Image.Image, str]]:
    """The layers beside a result with their captions; one with alpha lies on a checkerboard."""
    found = [
        (to_pil(shrink(read_channels(config.beside_output(name)))), caption)
        for name, caption in captions.items()
        if has_layer(config, name)
    ]
    return [(on_checkerboard(layer) if layer.mode == "RGBA" else layer, caption) for layer, caption in found]


def status_text(text: str, *, problem: bool = False, passing: bool = False) -> str:
    """A sentence of the status. problem, passing: it goes when a control is changed."""
    kind = ' class="problem"' if problem else ' class="passing"' if passing else ""
    return f'<p{kind} role="{"alert" if problem else "status"}">{escape(text)}</p>'


def _progress_bar(step: Step) -> str:
    left = f", about {step.seconds_left:.0f} s left" if (step.seconds_left or 0) >= 1 else ""
    bar = f'<progress max="{step.total}" value="{step.number}" aria-label="Steps"></progress>'
    return _stages(1) + bar + status_text(f"{_result_of(step)}Step {step.number} of {step.total}{left}")


def as_sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."

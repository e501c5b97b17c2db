"""What happens when a visitor uploads, paints, or presses a button: Gradio calls these, and `tabs` says when."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from html import escape
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import gradio as gr
import numpy as np
from PIL import Image

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.examples import EXAMPLES, write_example
from mimicbrush.demo.orders import bundle, mask_of, order
from mimicbrush.demo.painter import PainterData, from_browser, refused, to_browser, with_new
from mimicbrush.demo.studio import Step, StoppedError, Studio, SupersededError, Update, Waiting
from mimicbrush.demo.uploads import accept, compare, read
from mimicbrush.demo.workspace import Workspace
from mimicbrush.edit.config import EditConfig
from mimicbrush.editors.mimicbrush.settings import Regions
from mimicbrush.errors import UserError
from mimicbrush.pictures.conversion import to_pil

SAME = gr.skip()
ABOUT_DOWNLOADS = (
    '<p class="hint">The picture holds its settings; the zip also holds what was uploaded, and how to replay it.</p>'
)
MAP_HEIGHT = 320
PREVIEW_SIZE = (384, 384)
UNEXPECTED = "Something unexpected happened; the log of the server has more."
SLIDER_POSITION = 0
"""In percent of the width: all of the edit is seen first."""
BEFORE = '<p role="status">Below is what was made before.</p>'
NOTHING_YET = '<div class="placeholder">The result appears here.</div>'

log = logging.getLogger(__name__)


class Settings(NamedTuple):
    """What a visitor sets beside the pictures; fields of EditConfig, in the order of the page's components."""

    keep_shape: bool
    crop_to_mask: bool
    regions: Regions
    match_colour: bool
    num_images: int
    num_inference_steps: int
    guidance_scale: float
    seed: int


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


class ReferenceHandlers:
    """Of a page that edits after a reference."""

    def __init__(self, studio: Studio, config: DemoConfig, workspace: Workspace) -> None:
        self.studio = studio
        self.config = config
        self.workspace = workspace

    def look_at_source(self, request: gr.Request, source: PainterData) -> tuple:
        """With what was uploaded last, and a view: without the results of another picture, whose edit ends."""
        looked_at = self._look_at(source)
        is_another = source.new_picture is not None and not looked_at.error
        return looked_at, *(self._without_results(request) if is_another else View())

    def look_at_reference(self, reference: PainterData) -> PainterData:
        return self._look_at(reference, is_reference=True)

    def show_shape(self, source: PainterData | None, keep_shape: bool, crop_to_mask: bool, regions: Regions) -> dict:
        """The map that an edit would follow; none while nothing is to be kept."""
        painting = from_browser(source)
        if not keep_shape or painting is None:
            return gr.update(visible=False)
        settings = vars(self.config.settings) | {"crop_to_mask": crop_to_mask, "regions": regions}
        try:
            image, mask = read(painting.picture, self.config.limits), mask_of(painting, self.config)
            maps = self.studio.shape_maps(image, mask, **settings)
        except UserError:  # told when the edit is asked for
            return gr.update(visible=False)
        return gr.update(value=_side_by_side(maps), visible=True)

    def follow_strokes(
        self, source: PainterData | None, keep_shape: bool, crop_to_mask: bool, regions: Regions
    ) -> dict:
        """As `show_shape`, where the map depends on what is painted."""
        if not (crop_to_mask or regions != "together"):
            return SAME
        return self.show_shape(source, keep_shape, crop_to_mask, regions)

    def edit(
        self, request: gr.Request, before: Results | None, source: PainterData | None, *given: object
    ) -> Iterator[View]:
        """Views of the right side until the results are there, or why there are none, and again those of before.

        given: as many references as there may be, None where there is none, then the settings.
        """
        start, most = monotonic(), self.config.limits.references
        try:
            references = [from_browser(reference) for reference in given[:most]]
            settings = Settings(*given[most:])._asdict()
            shown = [reference for reference in references if reference is not None]
            config = order(self.config, self.workspace.folder(), from_browser(source), shown, **settings)
            yield _starting()
            for update in self.studio.edit(config, visitor=request.session_hash):
                yield _progress(update)
            yield _finished(config, monotonic() - start)
        except SupersededError:
            yield _idle(NOTHING_YET)._replace(results=None)
        except StoppedError:
            yield _unfinished(_status("Stopped."), before)
        except UserError as error:
            yield _unfinished(_status(" ".join(map(_sentence, error.faults)), problem=True), before)
        except Exception:
            yield _unfinished(_status(UNEXPECTED, problem=True), before)
            raise

    def stop(self, request: gr.Request) -> None:
        """Also called when a visitor leaves."""
        self.studio.stop(request.session_hash)

    def choose(self, results: Results | None, event: gr.SelectData) -> tuple:
        """Slider and download of another result."""
        number = _chosen(event, 0 if results is None else len(results.outputs))
        return results.comparisons[number], str(results.outputs[number])

    def load_example(self, request: gr.Request, event: gr.SelectData) -> tuple:
        """Source, references, keep_shape, crop_to_mask, and a view without the results of another picture."""
        example, folder, limits = EXAMPLES[_chosen(event, len(EXAMPLES))], self.workspace.folder(), self.config.limits
        source, reference = write_example(example, folder)
        shown = [
            accept(painting, limits, self.workspace.folder(), is_reference=painting is reference)
            for painting in (source, reference)
        ]
        no_further = [None] * (limits.references - 1)
        view = self._without_results(request)
        return *map(to_browser, shown), *no_further, example.keep_shape, example.crop_to_mask, *view

    def _without_results(self, request: gr.Request) -> View:
        """Of another picture, which is not edited further either."""
        self.studio.stop(request.session_hash, SupersededError)
        return View(NOTHING_YET, results=None, **_results_shown(0))

    def _look_at(self, data: PainterData, *, is_reference: bool = False) -> PainterData:
        """With what was uploaded last, or with why it is refused, and what was there before."""
        folder = self.workspace.folder()
        try:
            return to_browser(accept(with_new(data), self.config.limits, folder, is_reference=is_reference))
        except UserError as error:
            return refused(data, str(error))
        except Exception:
            log.exception("an upload could not be looked at")
            return refused(data, UNEXPECTED)


def thumbnails() -> list[tuple[Image.Image, str]]:
    """Of the examples."""
    return [(to_pil(example.source()), example.title) for example in EXAMPLES]


def _chosen(event: gr.SelectData, number: int) -> int:
    """Which of so many pictures of a gallery; raises gr.Error, a message on the page, where there is no such one."""
    if not (isinstance(event.index, int) and 0 <= event.index < number):
        raise gr.Error("There is no such picture; choose one that is shown.", print_exception=False)
    return event.index


def _side_by_side(maps: list[Image.Image]) -> Image.Image:
    """Of one height."""
    scaled = [each.resize((max(1, each.width * MAP_HEIGHT // each.height), MAP_HEIGHT)) for each in maps]
    return to_pil(np.hstack([np.asarray(each) for each in scaled]))


def _starting() -> View:
    """What was made before is out of sight, and kept."""
    return _running(_status("Starting …"), preview=gr.update(visible=False))._replace(**_results_shown(0))


def _results_shown(number: int) -> dict[str, dict]:
    """Fields of View: one result needs no gallery, and none nothing."""
    some, several = gr.update(visible=number > 0), gr.update(visible=number > 1)
    return {"slider": some, "gallery": several, "picture": some, "bundle": some}


def _running(status: str, *, preview: object = SAME) -> View:
    return View(status, gr.update(interactive=False), gr.update(interactive=True), preview)


def _idle(status: str) -> View:
    hidden = gr.update(visible=False)
    return View(status, gr.update(interactive=True), gr.update(interactive=False), preview=hidden)


def _unfinished(status: str, before: Results | None) -> View:
    """Why, and what was made before, if anything was."""
    if before is None:
        return _idle(status + NOTHING_YET)
    return _idle(status + BEFORE)._replace(**_results_shown(len(before.outputs)))


def _progress(update: Update) -> View:
    if isinstance(update, Waiting):
        edits = "One edit comes" if update.ahead == 1 else f"{update.ahead} edits come"
        return _running(_status(f"{edits} before yours."))
    return _running(_progress_bar(update), preview=_preview(update))


def _preview(step: Step) -> object:
    return SAME if step.preview is None else gr.update(value=step.preview.resize(PREVIEW_SIZE), visible=True)


def _finished(config: EditConfig, seconds: float) -> View:
    comparisons = []
    for path in config.outputs:
        folder = path.with_suffix("")
        folder.mkdir()
        comparisons.append(compare(config.source, path, folder))
    results, several = Results(config.outputs, comparisons), len(comparisons) > 1
    gallery = [(after, f"seed {seed}") for (_, after), seed in zip(comparisons, config.seeds, strict=True)]
    done = _status(f"Done in {seconds:.1f} s. Drag the handle to the right to see what was there before.")
    return _idle(done + ABOUT_DOWNLOADS)._replace(
        slider=gr.update(value=comparisons[0], slider_position=SLIDER_POSITION, visible=True),
        gallery=gr.update(value=gallery if several else [], selected_index=0 if several else None, visible=several),
        picture=gr.update(value=str(config.outputs[0]), visible=True),
        bundle=gr.update(value=str(bundle(config)), visible=True),
        results=results,
    )


def _status(text: str, *, problem: bool = False) -> str:
    return f'<p class="problem" role="alert">{escape(text)}</p>' if problem else f'<p role="status">{escape(text)}</p>'


def _progress_bar(step: Step) -> str:
    left = f", about {step.seconds_left:.0f} s left" if step.seconds_left >= 1 else ""
    return f'<progress max="{step.total}" value="{step.number}" aria-label="Sampling"></progress>' + _status(
        f"Step {step.number} of {step.total}{left}"
    )


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."

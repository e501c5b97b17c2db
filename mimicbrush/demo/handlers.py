"""Reactions to uploads, strokes and buttons: Gradio calls these functions, and `tabs` connects them."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from time import monotonic

import gradio as gr
import numpy as np
from PIL import Image

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.examples import EXAMPLES, write_example
from mimicbrush.demo.orders import mask_of, order, order_by_text
from mimicbrush.demo.painter import PainterData, from_browser, refused, to_browser, with_new
from mimicbrush.demo.studio import StoppedError, Studio, SupersededError
from mimicbrush.demo.uploads import accept, read
from mimicbrush.demo.views import (
    NOTHING_YET,
    SAME,
    Results,
    View,
    as_sentence,
    finished,
    idle,
    progress,
    results_shown,
    starting,
    status_text,
    unfinished,
)
from mimicbrush.demo.workspace import Workspace
from mimicbrush.edit.common_config import MaskedEditConfig
from mimicbrush.editors.mimicbrush.settings import Regions
from mimicbrush.errors import UserError
from mimicbrush.pictures.conversion import to_pil

MAP_HEIGHT = 320
UNEXPECTED = "Something unexpected happened; the log of the server has more."

log = logging.getLogger(__name__)


class EditHandlers(ABC):
    """Handlers of a tab on which a picture is painted over and edited, whatever guides the edit."""

    def __init__(self, studio: Studio, config: DemoConfig, workspace: Workspace) -> None:
        self.studio = studio
        self.config = config
        self.workspace = workspace

    @abstractmethod
    def make_config(self, source: PainterData | None, **given: object) -> MaskedEditConfig:
        """The edit that the tab's controls ask for, with their values by name.

        Raises UserError for what is missing or wrong.
        """

    def look_at_source(self, request: gr.Request, source: PainterData) -> tuple:
        """The picture that was chosen last, and a view: another picture has no results yet, and its edit ends."""
        accepted = self._look_at(source)
        is_another = source.new_picture is not None and not accepted.error
        return accepted, *(self._without_results(request) if is_another else View())

    def edit(self, request: gr.Request, *, results: Results | None, **given: object) -> Iterator[View]:
        """Views of the right side until the new results are there; where there are none, why, and the former results.

        results: of the edit before; given: the values of the tab's controls, by name.
        """
        start = monotonic()
        try:
            config = self.make_config(**given)
            yield starting()
            for update in self.studio.edit(config, visitor=request.session_hash):
                yield progress(update)
            yield finished(config, monotonic() - start)
        except SupersededError:
            yield idle(NOTHING_YET)._replace(results=None)
        except StoppedError:
            yield unfinished(status_text("Stopped."), results)
        except UserError as error:
            yield unfinished(status_text(" ".join(map(as_sentence, error.faults)), problem=True), results)
        except Exception:
            yield unfinished(status_text(UNEXPECTED, problem=True), results)
            raise

    def stop(self, request: gr.Request) -> None:
        """Stop the visitor's edit; also called when a visitor leaves."""
        self.studio.stop(request.session_hash)

    def choose(self, results: Results | None, event: gr.SelectData) -> tuple:
        """Slider and download of another result."""
        number = _chosen(event, 0 if results is None else len(results.outputs))
        return results.comparisons[number], str(results.outputs[number])

    def _without_results(self, request: gr.Request) -> View:
        """The view of another picture; the edit of the former one ends."""
        self.studio.stop(request.session_hash, SupersededError)
        return View(NOTHING_YET, results=None, **results_shown(0))

    def _look_at(self, data: PainterData, *, is_reference: bool = False) -> PainterData:
        """What was uploaded last or, where that is refused, why and what was there before."""
        folder = self.workspace.folder()
        try:
            return to_browser(accept(with_new(data), self.config.limits, folder, is_reference=is_reference))
        except UserError as error:
            return refused(data, str(error))
        except Exception:
            log.exception("an upload could not be looked at")
            return refused(data, UNEXPECTED)


class TextHandlers(EditHandlers):
    """Handlers of the tab on which a sentence guides the edit."""

    def make_config(self, source: PainterData | None, **settings: object) -> MaskedEditConfig:
        return order_by_text(self.config, self.workspace.folder(), from_browser(source), **settings)


class ReferenceHandlers(EditHandlers):
    """Handlers of the tab on which references guide the edit."""

    def make_config(
        self, source: PainterData | None, references: list[PainterData | None], **settings: object
    ) -> MaskedEditConfig:
        shown = [reference for reference in map(from_browser, references) if reference is not None]
        return order(self.config, self.workspace.folder(), from_browser(source), shown, **settings)

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
        except UserError:  # shown when the edit is asked for
            return gr.update(visible=False)
        return gr.update(value=_side_by_side(maps), visible=True)

    def follow_strokes(
        self, source: PainterData | None, keep_shape: bool, crop_to_mask: bool, regions: Regions
    ) -> dict:
        """As `show_shape`, where the map depends on what is painted."""
        if not (crop_to_mask or regions != "together"):
            return SAME
        return self.show_shape(source, keep_shape, crop_to_mask, regions)

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


def thumbnails() -> list[tuple[Image.Image, str]]:
    """Pictures and titles of the examples."""
    return [(to_pil(example.source()), example.title) for example in EXAMPLES]


def _chosen(event: gr.SelectData, number: int) -> int:
    """Which of so many pictures of a gallery; raises gr.Error, a message on the page, where there is no such one."""
    if not (isinstance(event.index, int) and 0 <= event.index < number):
        raise gr.Error("There is no such picture; choose one that is shown.", print_exception=False)
    return event.index


def _side_by_side(maps: list[Image.Image]) -> Image.Image:
    """One picture of the maps, scaled to one height."""
    scaled = [each.resize((max(1, each.width * MAP_HEIGHT // each.height), MAP_HEIGHT)) for each in maps]
    return to_pil(np.hstack([np.asarray(each) for each in scaled]))

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
from mimicbrush.demo.edit_configs import painted_mask, reference_edit_config, text_edit_config
from mimicbrush.demo.examples import EXAMPLES, write_example
from mimicbrush.demo.painter import PainterData, from_browser, refused, to_browser, with_new
from mimicbrush.demo.result_panel import (
    NOTHING_YET,
    SAME,
    FinishedEdit,
    ResultPanel,
    as_sentence,
    finished,
    idle,
    progress,
    results_shown,
    starting,
    status_text,
    unfinished,
)
from mimicbrush.demo.shared_editor import SharedEditor, StoppedError, SupersededError
from mimicbrush.demo.temporary_folders import TemporaryFolders
from mimicbrush.demo.uploads import accept, read
from mimicbrush.edit.common_config import MaskedEditConfig
from mimicbrush.editors.mimicbrush.settings import Regions
from mimicbrush.errors import UserError
from mimicbrush.pictures.conversion import to_pil

MAP_HEIGHT = 320
UNEXPECTED = "Something unexpected happened; the log of the server has more."

log = logging.getLogger(__name__)


class EditHandlers(ABC):
    """Handlers of a tab with a picture to paint on, independent of what guides the edit."""

    def __init__(self, editor: SharedEditor, config: DemoConfig, folders: TemporaryFolders) -> None:
        self.editor = editor
        self.config = config
        self.folders = folders

    @abstractmethod
    def make_config(self, source: PainterData | None, **given: object) -> MaskedEditConfig:
        """Make the config of an edit from the values of the tab's controls, by name.

        Raises UserError for missing or wrong values.
        """

    def check_source(self, request: gr.Request, source: PainterData | None) -> tuple:
        """Check a new picture or mask; a new picture clears the results and stops the running edit."""
        accepted = self._check_upload(source)
        is_another = not accepted.error and source.new_picture is not None
        return accepted, *(self._without_results(request) if is_another else ResultPanel())

    def edit(self, request: gr.Request, *, results: FinishedEdit | None, **given: object) -> Iterator[ResultPanel]:
        """Yield contents of the result panel until the edit has finished, failed, or was stopped.

        results: of the edit before, which are shown again if there are no new ones; given: the values of the tab's
        controls, by name.
        """
        start = monotonic()
        try:
            config = self.make_config(**given)
            with self.folders.in_use(config.output.parent):
                yield starting()
                for update in self.editor.edit(config, visitor=request.session_hash):
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
        """Stop the visitor's edit."""
        self.editor.stop(request.session_hash)

    def choose(self, results: FinishedEdit | None, event: gr.SelectData) -> tuple:
        """Return the comparison and the download of another result."""
        number = _chosen(event, 0 if results is None else len(results.outputs))
        return results.comparisons[number], str(results.outputs[number])

    def _without_results(self, request: gr.Request) -> ResultPanel:
        """Stop the visitor's edit, and clear the result panel for another picture."""
        self.editor.stop(request.session_hash, SupersededError)
        return ResultPanel(NOTHING_YET, results=None, **results_shown(0))

    def _check_upload(self, data: PainterData | None, *, is_reference: bool = False) -> PainterData:
        """Accept a new file, or return the former value with the reason for refusing it."""
        data, folder = data or PainterData(), self.folders.new_folder()
        try:
            return to_browser(accept(with_new(data), self.config.limits, folder, is_reference=is_reference))
        except UserError as error:
            return refused(data, str(error))
        except Exception:
            log.exception("an upload could not be checked")
            return refused(data, UNEXPECTED)


class TextHandlers(EditHandlers):
    """Handlers of the tab on which a text prompt guides the edit."""

    def make_config(self, source: PainterData | None, **settings: object) -> MaskedEditConfig:
        return text_edit_config(self.config, self.folders.new_folder(), from_browser(source), **settings)


class ReferenceHandlers(EditHandlers):
    """Handlers of the tab on which references guide the edit."""

    def make_config(
        self, source: PainterData | None, references: list[PainterData | None], **settings: object
    ) -> MaskedEditConfig:
        shown = [reference for reference in map(from_browser, references) if reference is not None]
        return reference_edit_config(self.config, self.folders.new_folder(), from_browser(source), shown, **settings)

    def check_reference(self, reference: PainterData | None) -> PainterData:
        """Check a new reference."""
        return self._check_upload(reference, is_reference=True)

    def show_shape(self, source: PainterData | None, keep_shape: bool, crop_to_mask: bool, regions: Regions) -> dict:
        """Show the shape map that an edit would follow; hide it if the shape is not to be kept."""
        painting = from_browser(source)
        if not keep_shape or painting is None:
            return gr.update(visible=False)
        settings = vars(self.config.settings) | {"crop_to_mask": crop_to_mask, "regions": regions}
        try:
            image, mask = read(painting.picture, self.config.limits), painted_mask(painting, self.config)
            maps = self.editor.shape_maps(image, mask, **settings)
        except UserError:  # reported when the edit is started
            return gr.update(visible=False)
        return gr.update(value=_side_by_side(maps), visible=True)

    def follow_strokes(
        self, source: PainterData | None, keep_shape: bool, crop_to_mask: bool, regions: Regions
    ) -> dict:
        """Update the shape map after a stroke, if it depends on the mask."""
        if not (crop_to_mask or regions != "together"):
            return SAME
        return self.show_shape(source, keep_shape, crop_to_mask, regions)

    def load_example(self, request: gr.Request, event: gr.SelectData) -> tuple:
        """Return source, references, keep_shape, crop_to_mask, and an empty result panel."""
        example, folder, limits = EXAMPLES[_chosen(event, len(EXAMPLES))], self.folders.new_folder(), self.config.limits
        source, reference = write_example(example, folder)
        shown = [
            accept(painting, limits, self.folders.new_folder(), is_reference=painting is reference)
            for painting in (source, reference)
        ]
        no_further = [None] * (limits.references - 1)
        panel = self._without_results(request)
        return *map(to_browser, shown), *no_further, example.keep_shape, example.crop_to_mask, *panel


def thumbnails() -> list[tuple[Image.Image, str]]:
    """Pictures and titles of the examples."""
    return [(to_pil(example.source()), example.title) for example in EXAMPLES]


def _chosen(event: gr.SelectData, number: int) -> int:
    """Number of the chosen picture in a gallery; raises gr.Error, a message on the page, if there is none."""
    if not (isinstance(event.index, int) and 0 <= event.index < number):
        raise gr.Error("There is no such picture; choose one from the gallery.", print_exception=False)
    return event.index


def _side_by_side(maps: list[Image.Image]) -> Image.Image:
    """Join the maps to one picture, scaled to the same height."""
    scaled = [each.resize((max(1, each.width * MAP_HEIGHT // each.height), MAP_HEIGHT)) for each in maps]
    return to_pil(np.hstack([np.asarray(each) for each in scaled]))

"""Reactions to uploads and buttons that all tabs share; Gradio calls these functions."""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import gradio as gr
import numpy as np
import torch
from gradio.components import Component
from gradio.data_classes import FileData

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.edit_configs import painted_mask
from mimicbrush.demo.edit_queue import StoppedError, SupersededError
from mimicbrush.demo.live_preview import NOTHING
from mimicbrush.demo.number_fields import MAX_SEED
from mimicbrush.demo.object_selection import shared_selector
from mimicbrush.demo.painter import PainterData, from_browser, refused, to_browser, with_mask, with_new
from mimicbrush.demo.result_panel import (
    NOTHING_YET,
    SAME,
    FinishedEdit,
    Result,
    ResultPanel,
    as_sentence,
    finished,
    idle,
    name_of,
    progress,
    results_shown,
    starting,
    status_text,
    unfinished,
)
from mimicbrush.demo.saving.edit_jobs import EditJobs
from mimicbrush.demo.saving.saved_tabs import SavedTab, restored
from mimicbrush.demo.shared_editor import SharedEditor, Written
from mimicbrush.demo.temporary_folders import TemporaryFolders
from mimicbrush.demo.uploads import PICTURE, accept, named, read, write_mask_preview
from mimicbrush.edit.config import EditConfig
from mimicbrush.errors import UserError
from mimicbrush.pictures.conversion import is_masked, to_pil
from mimicbrush.pictures.edit_inputs import as_source
from mimicbrush.pictures.writing import write_image

LABELS = {r"^the mask\b": "the painted part", r"\bcrop_to_mask\b": "“Work close up”"}
"""Words of the page for those of the shell, which are regular expressions, in advice of the editors."""
UNEXPECTED = "Something unexpected happened; the log of the server has more."

log = logging.getLogger(__name__)


class EditHandlers(ABC):
    """Handlers of a tab with a picture to paint on, independent of what guides the edit."""

    def __init__(self, editor: SharedEditor, config: DemoConfig, folders: TemporaryFolders) -> None:
        self.editor = editor
        self.config = config
        self.folders = folders
        self.selector = shared_selector(config.segmenter)
        self.jobs = EditJobs(editor.stop)

    @abstractmethod
    def make_config(self, source: PainterData | None, **given: object) -> EditConfig:
        """Make the config of an edit from the values of the tab's controls, by name.

        Raises UserError for missing or wrong values.
        """

    def check_source(self, request: gr.Request, source: PainterData | None) -> tuple:
        """Check a new picture or mask; a new picture clears the results and stops the running edit."""
        accepted = self.check_upload(source)
        is_another = not accepted.error and source.new_picture is not None
        return accepted, *(self.without_results(request) if is_another else ResultPanel())

    def select_object(self, source: PainterData | None) -> PainterData:
        """Add the thing that the visitor points at to the mask."""
        data = source or PainterData()
        painting, folder = from_browser(data), self.folders.new_folder()
        try:
            if painting is None or not data.selection:
                raise UserError("nothing was selected; choose a picture, then drag a box around a thing")
            with named(painting.picture):
                picture = as_source(read(painting.picture, self.config.limits), name=PICTURE).pixels
            found = self.selector.select(to_pil(picture), data.selection)
            drawn = painted_mask(painting, self.config)
            mask = found if drawn is None else found | is_masked(np.asarray(drawn))
            write_image(mask, folder / "selected.png")
            preview = write_mask_preview(torch.from_numpy(mask)[None].float(), folder)
        except UserError as error:
            return refused(data, str(error))
        except Exception:
            log.exception("a thing could not be selected")
            return refused(data, UNEXPECTED)
        return with_mask(data, folder / "selected.png", preview)

    def edit(self, request: gr.Request, **given: object) -> Iterator[ResultPanel]:
        """Yield contents of the result panel until the edit has finished, failed, or was stopped.

        given: the values of the tab's controls, by name. The edit goes on while the page is reloaded.
        """
        visitor = self.jobs.visitor(request)
        yield from self.jobs.start(visitor, self.panels(visitor, **given))

    def panels(self, visitor: str, *, results: FinishedEdit | None, **given: object) -> Iterator[ResultPanel]:
        """Run an edit and yield contents of the result panel.

        results: of the edit before, which are shown again if there are no new ones; given: the values of the tab's
        controls, by name.
        """
        start = monotonic()
        try:
            config = self.make_config(**given)
            with self.folders.in_use(config.output.parent):
                yield starting()
                for update in self.editor.edit(config, visitor=visitor):
                    if isinstance(update, Written):
                        seconds, earlier = monotonic() - start, results.strip if results else []
                        panel = self.show_finished(update.config, seconds, self.name_picture(**given), earlier)
                        status = status_text(as_sentence(update.note)) if update.note else panel.status
                        yield panel._replace(status=status + "".join(map(_advice, update.hints)))
                    else:
                        yield progress(update)
        except SupersededError:
            yield idle(NOTHING_YET)._replace(results=None)
        except StoppedError:
            yield unfinished(status_text("Stopped."), results)
        except UserError as error:
            yield unfinished(status_text(" ".join(map(as_sentence, error.faults)), problem=True), results)
        except Exception:
            yield unfinished(status_text(UNEXPECTED, problem=True), results)
            raise

    def name_picture(self, *, source: PainterData, **_: object) -> str:
        """Name what is edited, for downloads; given: the values of the tab's controls, by name."""
        return name_of(Path(source.picture.path))

    def show_finished(self, config: EditConfig, seconds: float, name: str, earlier: list[Result]) -> ResultPanel:
        """Show the written results of an edit that took this many seconds, and those of earlier edits."""
        return finished(config, seconds, name=name, earlier=earlier)

    def stop(self, request: gr.Request) -> None:
        """Stop the visitor's edit."""
        self.editor.stop(self.jobs.visitor(request))

    def come_back(self, request: gr.Request, saved: SavedTab | None, controls: dict[str, Component]) -> SavedTab:
        """Check what the browser kept of a tab, for a page that was opened or reloaded."""
        self.jobs.name(request, saved.page if saved else "")
        return SavedTab(values=restored(saved, controls, self.config.limits, self.folders))

    def follow(self, request: gr.Request, saved: SavedTab | None) -> Iterator[ResultPanel]:
        """Yield the result panel of a page that was reloaded, also while its edit goes on."""
        self.jobs.name(request, saved.page if saved else "")
        yield from self.jobs.follow(self.jobs.visitor(request))

    def choose(self, results: FinishedEdit | None, event: gr.SelectData) -> tuple:
        """Return the comparison and the downloads of another result."""
        strip = [] if results is None else results.strip
        chosen = strip[chosen_number(event, len(strip))]
        return chosen.comparison, str(chosen.picture), str(chosen.zip_file), chosen.part

    def use_result(self, source: PainterData | None, picture: str | None) -> PainterData:
        """Make the chosen result the picture to edit; the browser can undo that."""
        chosen = {"new_picture": FileData(path=picture)} if picture else {}
        return self.check_upload((source or PainterData()).model_copy(update=chosen))

    def next_seed(self, results: FinishedEdit | None, seed: float | None, is_pinned: bool) -> object:
        """Advance the seed beyond those of a new edit, unless it is pinned."""
        if results is None or is_pinned or seed not in results.config.seeds:
            return SAME
        return (results.config.seeds[-1] + 1) % (MAX_SEED + 1)

    def without_results(self, request: gr.Request) -> ResultPanel:
        """Stop the visitor's edit, and clear the result panel for another picture."""
        visitor = self.jobs.visitor(request)
        self.editor.stop(visitor, SupersededError)
        self.jobs.forget(visitor)
        return ResultPanel(NOTHING_YET, live=NOTHING, results=None, **results_shown(0))

    def check_upload(self, data: PainterData | None, *, is_reference: bool = False) -> PainterData:
        """Accept a new file, or return the former value with the reason for refusing it."""
        data, folder = data or PainterData(), self.folders.new_folder()
        try:
            return to_browser(accept(with_new(data), self.config.limits, folder, is_reference=is_reference))
        except UserError as error:
            return refused(data, str(error))
        except Exception:
            log.exception("an upload could not be checked")
            return refused(data, UNEXPECTED)


def _advice(hint: str) -> str:
    for option, label in LABELS.items():
        hint = re.sub(option, label, hint)
    return status_text(as_sentence(hint))


def chosen_number(event: gr.SelectData, number: int) -> int:
    """Number of the chosen picture in a gallery; raises gr.Error, a message on the page, if there is none."""
    if not (isinstance(event.index, int) and 0 <= event.index < number):
        raise gr.Error("There is no such picture; choose one from the gallery.", print_exception=False)
    return event.index

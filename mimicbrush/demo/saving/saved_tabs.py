"""Picture, mask, settings and results of each tab, which the browser keeps: the server's part."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.data_classes import FileData, GradioModel
from pydantic import BaseModel, Field

from mimicbrush.demo.config import Limits
from mimicbrush.demo.painter import PainterData, from_browser, to_browser
from mimicbrush.demo.protection.error_log import one_line
from mimicbrush.demo.result_panel import FinishedEdit, Result
from mimicbrush.demo.startup.component_scripts import late_script
from mimicbrush.demo.startup.lighter_files import read_script
from mimicbrush.demo.temporary_folders import TemporaryFolders
from mimicbrush.demo.uploads import accept
from mimicbrush.errors import UserError

PARTS = resources.files("mimicbrush") / "demo" / "saving"
STYLE = (PARTS / "saving.css").read_text(encoding="utf-8")
SCRIPTS = ("browser_store", "saved_values", "connection", "saving")
MAX_TEXT = 10_000
"""Largest number of characters of a text that is restored."""

UNUSABLE = (UserError, ValueError, TypeError, LookupError, AttributeError, OverflowError)
"""Errors of values that an older page, or no page, made; ValidationError is a ValueError."""
MARKED = {"validate_meta": True}
"""Lets Gradio's models refuse files without the mark by which Gradio finds, and checks, the files in a value."""

log = logging.getLogger(__name__)


class SavedTab(GradioModel):
    """A tab as the browser kept it."""

    page: str = Field(default="", max_length=64)
    """Random name that the page keeps when it is reloaded."""
    values: dict[str, Any] = Field(default={})
    """Values of controls by name. Gradio has checked that files marked as such were uploaded or made here, and no
    others; `MARKED` refuses the others."""


class KeptResult(BaseModel):
    """A result for the browser to keep."""

    picture: FileData
    preview: FileData
    caption: str


class KeptResults(GradioModel):
    """The results that a page shows; the browser keeps them."""

    results: list[KeptResult] = Field(default=[])


def make_saving() -> gr.HTML:
    """Make the component that saves all tabs, and says how the connection is."""
    return gr.HTML(
        html_template=(PARTS / "saving.html").read_text(encoding="utf-8"),
        js_on_load=late_script("\n".join(read_script(PARTS / f"{name}.js") for name in SCRIPTS)),
        apply_default_css=False,
        elem_classes="saving bare",
    )


def make_kept_results(kind: str) -> gr.HTML:
    """Make the component that shows the results of former visits, whose value is KeptResults."""
    kept = gr.HTML(
        html_template=(PARTS / "kept_results.html").read_text(encoding="utf-8"),
        js_on_load=late_script(read_script(PARTS / "kept_results.js")),
        apply_default_css=False,
        kind=kind,
        elem_classes="kept bare",
    )
    # No subclass, because Gradio writes a stub file beside the source of each subclass.
    kept.data_model = KeptResults
    return kept


def make_saved_tab() -> gr.HTML:
    """Make an invisible component whose value is SavedTab: as it was kept, and then as the server checked it."""
    saved = gr.HTML(visible=False)
    saved.data_model = SavedTab
    return saved


def kept_results(results: FinishedEdit | None) -> KeptResults:
    """The results of a new edit, for the browser to keep."""
    made = [] if results is None else results.results
    return KeptResults(results=[_kept(each) for each in made if each.picture.is_file()])


def _kept(result: Result) -> KeptResult:
    picture, preview = (
        FileData(path=str(path), orig_name=path.name) for path in (result.picture, result.comparison[1])
    )
    return KeptResult(picture=picture, preview=preview, caption=result.caption)


def named_controls(controls: Mapping[str, Component | Sequence[Component]]) -> dict[str, Component]:
    """Name each control; those of a list are numbered."""
    named = {}
    for name, control in controls.items():
        if isinstance(control, list):
            named |= {f"{name}-{number}": each for number, each in enumerate(control, start=1)}
        else:
            named[name] = control
    return {name: control for name, control in named.items() if not isinstance(control, gr.State)}


def restored(
    saved: SavedTab | None, controls: Mapping[str, Component], limits: Limits, folders: TemporaryFolders
) -> dict[str, Any]:
    """Values of the controls, as the browser holds them, by name, without those of which nothing usable was saved."""
    values, found = {} if saved is None else saved.values, {}
    for name, control in controls.items():
        if values.get(name) is None:
            continue
        try:
            shown = control.postprocess(_restored(control, values[name], limits, folders))
        except UNUSABLE as error:
            log.warning("%s could not be restored: %s", name, one_line(error))
            continue
        found[name] = shown.model_dump() if isinstance(shown, BaseModel) else shown
    return found


def _restored(control: Component, value: Any, limits: Limits, folders: TemporaryFolders) -> object:
    """Check a saved value, which may come from an older version of the page; raises an error if it is unusable."""
    if isinstance(control, gr.HTML):
        data = control.data_model.model_validate(value, context=MARKED)
        painting = from_browser(data) if isinstance(data, PainterData) else None
        return data if painting is None else to_browser(accept(painting, limits, folders.new_folder()))
    if isinstance(control, gr.Video | gr.File):
        return FileData.model_validate(value.get("video") or value, context=MARKED).path
    if isinstance(control, gr.Checkbox):
        return bool(value)
    if isinstance(control, gr.Textbox):
        return str(value)[:MAX_TEXT]
    if isinstance(control, gr.Radio):
        if value not in [choice for _, choice in control.choices]:
            raise ValueError(f"{value} is no choice")
        return value
    if isinstance(control, gr.Slider):
        return min(max(_number(value), control.minimum), control.maximum)
    if isinstance(control, gr.Number):
        return _number(value)
    raise TypeError(f"a {type(control).__name__} is not saved")


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value} is no number")
    return value

"""A picture to paint on, as a component of Gradio: choose or drop a file, then brush, eraser, box, undo, clear.

Gradio's own ImageEditor hands back pixels at the size of its canvas; here strokes come back, in the picture's own
pixels, and the uploaded file stays as it is.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from pathlib import Path

import gradio as gr
from gradio.data_classes import FileData, GradioModel
from pydantic import Field

from mimicbrush.demo.config import Limits
from mimicbrush.demo.painting import Painting, Stroke
from mimicbrush.errors import UserError

PARTS = resources.files("mimicbrush") / "demo"
MAX_STROKES = 2000


class PainterData(GradioModel):
    """A Painting on its way between page and browser. Gradio checks that each file was uploaded or made here."""

    picture: FileData | None = None
    mask: FileData | None = None
    strokes: list[Stroke] = Field(default=[], max_length=MAX_STROKES)
    size: tuple[int, int] | None = None
    picture_preview: FileData | None = None
    mask_preview: FileData | None = None
    new_picture: FileData | None = None
    """Chosen last, and not looked at yet; what was there before stays until it is accepted."""
    new_mask: FileData | None = None
    error: str = ""
    """Why what was chosen last was refused."""


def make_painter(
    *, limits: Limits, title: str, hint: str, cropping: bool = False, removable: bool = False, **options: object
) -> gr.HTML:
    """Its value is PainterData; `upload` tells of a file that has not been looked at, `input` of a stroke.

    cropping: instead of a mask, one box may be drawn; removable: a button takes the picture away.
    """
    painter = gr.HTML(
        html_template=(PARTS / "painter.html").read_text(encoding="utf-8"),
        js_on_load=(PARTS / "painter.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        title=title,
        hint=hint,
        cropping=cropping,
        removable=removable,
        upload_mb=limits.upload_mb,
        **options,
    )
    # Not a subclass: beside the source of each, Gradio writes a stub file.
    painter.data_model = PainterData
    return painter


def from_browser(data: PainterData | None) -> Painting | None:
    if data is None or data.picture is None:
        return None
    return Painting(
        picture=Path(data.picture.path),
        mask=data.mask and Path(data.mask.path),
        strokes=tuple(data.strokes),
        size=data.size,
    )


def with_new(data: PainterData) -> Painting:
    """The painting with what was chosen last: another picture, or another mask in place of what was painted."""
    if data.new_picture is not None:
        return Painting(picture=Path(data.new_picture.path))
    painting = from_browser(data)
    if data.new_mask is None or painting is None:
        raise UserError("nothing was uploaded; choose a picture")
    return replace(painting, mask=Path(data.new_mask.path), strokes=())


def refused(data: PainterData, reason: str) -> PainterData:
    """What was there before what was chosen last."""
    return data.model_copy(update={"new_picture": None, "new_mask": None, "error": reason})


def to_browser(painting: Painting) -> PainterData:
    previews = {f"{name}_preview": _file(path) for name, path in painting.previews.items()}
    return PainterData(
        picture=_file(painting.picture),
        mask=painting.mask and _file(painting.mask),
        strokes=list(painting.strokes),
        size=painting.size,
        **previews,
    )


def _file(path: Path) -> FileData:
    return FileData(path=str(path), orig_name=path.name)

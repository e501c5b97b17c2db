"""A picture to paint on, as a component of Gradio: choose or drop a file, then brush, eraser, box, undo, clear.

Gradio's own ImageEditor hands back pixels at the size of its canvas; here strokes come back, in the picture's own
pixels, and the uploaded file stays as it is.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import gradio as gr
from gradio.data_classes import FileData, GradioModel
from pydantic import Field

from mimicbrush.demo.config import Limits
from mimicbrush.demo.painting import Painting, Stroke

PARTS = resources.files("mimicbrush") / "assets"
MAX_STROKES = 2000


class PainterData(GradioModel):
    """What travels between page and browser. Gradio checks that each file was uploaded or made here."""

    picture: FileData | None = None
    mask: FileData | None = None
    strokes: list[Stroke] = Field(default=[], max_length=MAX_STROKES)
    size: tuple[int, int] | None = None
    picture_preview: FileData | None = None
    mask_preview: FileData | None = None
    error: str = ""


class Painter(gr.HTML):
    """Its value is a Painting; `upload` is told when a file has come that has not been looked at.

    cropping: instead of a mask, one box may be drawn.
    """

    data_model = PainterData

    def __init__(self, *, limits: Limits, title: str, hint: str, cropping: bool = False, **options: object) -> None:
        super().__init__(
            html_template=(PARTS / "painter.html").read_text(encoding="utf-8"),
            js_on_load=(PARTS / "painter.js").read_text(encoding="utf-8"),
            apply_default_css=False,
            title=title,
            hint=hint,
            cropping=cropping,
            upload_mb=limits.upload_mb,
            **options,
        )

    def preprocess(self, payload: PainterData | None) -> Painting | None:
        if payload is None or payload.picture is None:
            return None
        return Painting(
            picture=Path(payload.picture.path),
            mask=payload.mask and Path(payload.mask.path),
            strokes=tuple(payload.strokes),
            size=payload.size,
        )

    def postprocess(self, value: Painting | None) -> PainterData | None:
        if value is None:
            return None
        previews = {f"{name}_preview": _file(path) for name, path in value.previews.items()}
        return PainterData(
            picture=value.picture and _file(value.picture),
            mask=value.mask and _file(value.mask),
            strokes=list(value.strokes),
            size=value.size,
            error=value.error,
            **previews,
        )


def _file(path: Path) -> FileData:
    return FileData(path=str(path), orig_name=path.name)

"""A Gradio component for painting on a picture: choose, drop or paste a file, zoom, and paint a mask.

Gradio's ImageEditor returns pixels in the size of its canvas; this component returns strokes in the picture's pixels,
and leaves the uploaded file unchanged.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from pathlib import Path

import gradio as gr
from gradio.data_classes import FileData, GradioModel
from pydantic import Field

from mimicbrush.demo.config import Limits
from mimicbrush.demo.startup.component_scripts import early_script
from mimicbrush.demo.startup.lighter_files import read_script
from mimicbrush.demo.strokes import Coordinate, PaintedPicture, Stroke
from mimicbrush.errors import UserError
from mimicbrush.pictures.geometry import feather_sigma

PARTS = resources.files("mimicbrush") / "demo" / "painting"
LOAD_PICTURE = read_script(PARTS / "load_picture.js")
"""Script that comes before those that draw on a picture."""
SCRIPTS = ("view", "mask_raster", "mask_colour", "overlay", "history", "brush", "files", "sending", "painter")
STYLE = (PARTS / "painter.css").read_text(encoding="utf-8")
MAX_STROKES = 2000
KEYS = (
    "Wheel or two fingers: zoom. Space bar and drag, or two fingers: pan. [ and ]: size of the brush. Ctrl+Z: undo."
    " With the keyboard alone: arrow keys move, Enter begins and ends a stroke, + and - zoom."
)


class PainterData(GradioModel):
    """A PaintedPicture as sent between server and browser. Gradio checks that each file was uploaded or made here."""

    picture: FileData | None = None
    mask: FileData | None = None
    strokes: list[Stroke] = Field(default=[], max_length=MAX_STROKES)
    size: tuple[int, int] | None = None
    feather: float = 0
    """Standard deviation of the softened border of an edit, in pixels of the picture."""
    picture_preview: FileData | None = None
    mask_preview: FileData | None = None
    new_picture: FileData | None = None
    """Picture chosen last, not checked yet; the former picture stays until it is accepted."""
    new_mask: FileData | None = None
    selection: list[tuple[Coordinate, Coordinate]] = Field(default=[], max_length=2)
    """A point on a thing to add to the mask, or two corners of a box around it."""
    error: str = ""
    """Reason why the file chosen last was refused."""


def make_painter(
    *,
    limits: Limits,
    title: str,
    hint: str,
    cropping: bool = False,
    removable: bool = False,
    feathers: bool = False,
    clicks: bool = False,
    megapixels: int = 0,
    **options: object,
) -> gr.HTML:
    """Make the component, whose value is PainterData; the event `upload` is for a new file, `input` for a stroke.

    cropping: draw one box instead of a mask; removable: show a button that removes the picture; feathers: show how far
    an edit blends into its surroundings; clicks: a click is enough to select a thing; megapixels: size in which larger
    pictures are edited, 0 where that makes no difference.
    """
    painter = gr.HTML(
        html_template=(PARTS / "painter.html").read_text(encoding="utf-8"),
        js_on_load=early_script("\n".join([LOAD_PICTURE, *(read_script(PARTS / f"{name}.js") for name in SCRIPTS)])),
        apply_default_css=False,
        title=title,
        hint=hint,
        cropping=cropping,
        removable=removable,
        feathers=feathers,
        clicks=clicks,
        megapixels=megapixels,
        keys="" if cropping else KEYS,
        upload_mb=limits.upload_mb,
        **options,
    )
    # No subclass, because Gradio writes a stub file beside the source of each subclass.
    painter.data_model = PainterData
    return painter


def from_browser(data: PainterData | None) -> PaintedPicture | None:
    """Convert the component's value; None if there is no picture."""
    if data is None or data.picture is None:
        return None
    return PaintedPicture(
        picture=Path(data.picture.path),
        mask=data.mask and Path(data.mask.path),
        strokes=tuple(data.strokes),
        size=data.size,
    )


def with_new(data: PainterData) -> PaintedPicture:
    """Apply the file chosen last: a new picture, or a mask that replaces the strokes."""
    if data.new_picture is not None:
        return PaintedPicture(picture=Path(data.new_picture.path))
    painting = from_browser(data)
    if data.new_mask is None or painting is None:
        raise UserError("nothing was uploaded; choose a picture")
    return replace(painting, mask=Path(data.new_mask.path), strokes=())


def refused(data: PainterData, reason: str) -> PainterData:
    """Keep the former value, with the reason why the new file was refused."""
    return data.model_copy(update={"new_picture": None, "new_mask": None, "selection": [], "error": reason})


def with_mask(data: PainterData, mask: Path, preview: Path) -> PainterData:
    """Replace mask and strokes by a mask that contains them."""
    files = {"mask": _file(mask), "mask_preview": _file(preview)}
    return data.model_copy(update={**files, "strokes": [], "selection": [], "error": ""})


def to_browser(painting: PaintedPicture) -> PainterData:
    """Convert to a value of the component."""
    previews = {f"{name}_preview": _file(path) for name, path in painting.previews.items()}
    return PainterData(
        picture=_file(painting.picture),
        mask=painting.mask and _file(painting.mask),
        strokes=list(painting.strokes),
        size=painting.size,
        feather=feather_sigma(*reversed(painting.size)) if painting.size else 0,
        **previews,
    )


def _file(path: Path) -> FileData:
    return FileData(path=str(path), orig_name=path.name)

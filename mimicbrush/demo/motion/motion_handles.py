"""A Gradio component for moving an object on a picture: handles over the canvas, and the motion of two frames.

Its layer of handles needs little of the canvas, see `handle_layer.js`.
"""

from __future__ import annotations

from importlib import resources
from typing import Annotated

import gradio as gr
from gradio.data_classes import FileData, GradioModel
from pydantic import Field, FiniteFloat

from mimicbrush.demo.config import Limits
from mimicbrush.demo.motion.motion_preview import NUM_ARROWS
from mimicbrush.demo.painter import LOAD_PICTURE
from mimicbrush.demo.startup.component_scripts import late_script
from mimicbrush.demo.startup.lighter_files import read_script

PARTS = resources.files("mimicbrush") / "demo" / "motion"
SCRIPTS = ("handle_geometry.js", "handle_layer.js", "handles.js")
STYLE = (PARTS / "handles.css").read_text(encoding="utf-8")

Seconds = Annotated[FiniteFloat, Field(ge=0, le=1e5)]
Arrow = tuple[float, float, float, float]
"""A point of the picture, and by how much it moves: right, down, and then to the right and down, in pixels."""


class HandlesData(GradioModel):
    """A motion and its preview as sent between server and browser.

    Gradio checks that each file was uploaded or made here. The browser sets `motion`, `is_active`, `frames`, `times`
    and what is new; the server sets the rest.
    """

    motion: str = Field(default="", max_length=1000)
    """Words of the motion, such as `translate 40 0; rotate 15`."""
    is_active: bool = False
    """Whether the handles are shown, so that a preview is wanted."""
    picture: str = ""
    """Digest of the picture to which the preview belongs; another picture resets the handles."""
    size: tuple[int, int] | None = None
    """Width and height of the picture."""
    box: tuple[float, float, float, float] | None = None
    """Edges of the object: left, top, right, bottom in pixels from the picture's upper left corner."""
    cutout: FileData | None = None
    """The object alone, as a transparent picture of the whole picture's shape."""
    previewed: str | None = None
    """The motion that the preview shows."""
    warped: FileData | None = None
    """Preview of the plain warp: the picture with the object at its new place."""
    mask: FileData | None = None
    """Preview of the proposed edit mask, opaque where pixels may change."""
    arrows: list[Arrow] = Field(default=[])
    """Part of the flow field of two frames."""
    frames: list[FileData] = Field(default=[], max_length=2)
    """A clip or two pictures, whose motion is used instead of `motion`."""
    times: list[Seconds] = Field(default=[], max_length=2)
    """The moments of a clip between which the motion happens."""
    new_frames: list[FileData] = Field(default=[], max_length=10)
    """Files chosen last, not checked yet."""
    saved_frames: list[FileData] = Field(default=[], max_length=2)
    """Files of an earlier visit, chosen again once their picture is there."""
    replaces_picture: bool = False
    """Whether the first frame becomes the picture."""
    error: str = ""
    """Reason why there is no preview."""
    frames_error: str = ""
    """Reason why the files chosen last were refused."""


def make_handles(*, limits: Limits, canvas: str, **options: object) -> gr.HTML:
    """Make the component, whose value is HandlesData; the event `input` is for a changed motion, `upload` for files.

    canvas: class of the component whose canvas the handles lie on.
    """
    handles = gr.HTML(
        html_template=(PARTS / "handles.html").read_text(encoding="utf-8"),
        js_on_load=late_script("\n".join([LOAD_PICTURE, *(read_script(PARTS / name) for name in SCRIPTS)])),
        apply_default_css=False,
        title="Motion",
        stage=f".{canvas} .painter-stage",
        num_arrows=NUM_ARROWS,
        upload_mb=limits.upload_mb,
        **options,
    )
    # No subclass, because Gradio writes a stub file beside the source of each subclass.
    handles.data_model = HandlesData
    return handles

"""The changed part of a picture, in its place on the canvas: while an edit runs, and of the result that is chosen."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import cv2
import gradio as gr
import numpy as np
from numpy.typing import NDArray

from mimicbrush.demo.painter import PARTS
from mimicbrush.demo.startup.component_scripts import early_script
from mimicbrush.demo.startup.lighter_files import read_script
from mimicbrush.pictures.mask_geometry import mask_box
from mimicbrush.pictures.screen_copies import ScreenCopy, shrink_levels
from mimicbrush.reports.html_pictures import data_url

LEAST_CHANGE = 1
"""Largest difference, of 255 levels, that is not seen."""
NOTHING = ""
"""Value of the component that shows nothing."""

Cut = Callable[[slice, slice], NDArray[np.uint8]]
"""Gives the rows and columns (h, w, 3) of an edited picture."""


def changed_part(
    before: NDArray[np.uint8],
    after: NDArray[np.uint8],
    cut: Cut,
    shape: tuple[int, int],
    *,
    side: int,
    quality: int,
    icc_profile: bytes | None,
    is_result: bool = False,
) -> str:
    """Describe the part of a picture that differs, as a value of the component; NOTHING if nothing does.

    before, after: (h, w, 3), scaled down; cut: gives parts of the edited picture, of height and width `shape`; side:
    longest side of the part in pixels; quality: of WebP.
    """
    changed = (np.abs(before.astype(np.int16) - after) > LEAST_CHANGE).any(axis=2)
    if not changed.any():
        return NOTHING
    box = mask_box(changed)
    rows, columns = (
        slice(math.floor(part.start * full / short), math.ceil(part.stop * full / short))
        for part, full, short in zip(box, shape, changed.shape, strict=True)
    )
    picture = shrink_levels(cut(rows, columns), side)
    alpha = cv2.resize(changed[box].astype(np.uint8) * 255, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    encoded = ScreenCopy(np.dstack([picture, alpha]), icc_profile).encode(quality)
    return json.dumps(
        {
            "picture": data_url("webp", encoded),
            # Left, top, width and height as shares of the whole picture.
            "box": [
                columns.start / shape[1],
                rows.start / shape[0],
                (columns.stop - columns.start) / shape[1],
                (rows.stop - rows.start) / shape[0],
            ],
            "is_result": is_result,
        }
    )


def make_live_preview() -> gr.HTML:
    """Make the component; its value is a text of `changed_part`. It lies on the canvas of the same tab."""
    return gr.HTML(
        NOTHING,
        html_template='<span class="live-said" role="status"></span>',
        js_on_load=early_script(read_script(PARTS / "live_preview.js")),
        apply_default_css=False,
        elem_classes="live bare",
    )

"""Reactions to the handles over a picture: previews of a motion, the motion of two frames, and the edit's config."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path

import gradio as gr
import numpy as np
import torch
from gradio.data_classes import FileData
from torch import Tensor

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.edit_configs import checked_settings, chosen_editor, painted_mask
from mimicbrush.demo.handlers import UNEXPECTED, EditHandlers
from mimicbrush.demo.motion.motion_handles import HandlesData
from mimicbrush.demo.motion.motion_preview import (
    PREVIEW_SIDE,
    FlowOfObject,
    preview_motion,
    preview_object,
    worded_flow_of,
)
from mimicbrush.demo.motion.two_frames import EstimatedMotion, TwoFrames, estimate, read_pair
from mimicbrush.demo.painter import PainterData, from_browser, to_browser
from mimicbrush.demo.result_panel import SAME, FinishedEdit, ResultPanel, layers_of
from mimicbrush.demo.shared_editor import SharedEditor
from mimicbrush.demo.strokes import PaintedPicture
from mimicbrush.demo.temporary_folders import TemporaryFolders
from mimicbrush.demo.uploads import PICTURE, accept, named, read
from mimicbrush.edit.kinds.motion_edit import MotionEditConfig
from mimicbrush.errors import Faults, UserError
from mimicbrush.files import sha256
from mimicbrush.flow.classical_flow import dis_flow
from mimicbrush.flow.config import MARGIN
from mimicbrush.flow.estimator import FlowEstimator
from mimicbrush.flow.flow_files import write_flow
from mimicbrush.flow.raft_weights import load_raft
from mimicbrush.pictures.edit_inputs import as_source
from mimicbrush.pictures.geometry import shrink_to
from mimicbrush.pictures.reading import read_mask
from mimicbrush.pictures.writing import write_image

TO_PAINT = "the object to move"
OF_FRAMES = ("frames", "times", "frames_error")
"""Fields of HandlesData that do not depend on the picture."""
SHOWN = {"warped": "moved alone", "mask": "repainted part"}
"""Captions of the layers of a result, by name."""

log = logging.getLogger(__name__)


def motion_edit_config(
    config: DemoConfig,
    folder: Path,
    source: PaintedPicture | None,
    motion: str | EstimatedMotion,
    **settings: object,
) -> MotionEditConfig:
    """Make the config of an edit that moves the painted object. The picture is copied to `folder`, byte for byte.

    motion: in words, or that of two frames, whose flow is written to `folder`; settings: fields of MotionEditConfig
    that the visitor set. Raises UserError if something is missing or beyond the page's limits.
    """
    faults = Faults()
    faults.check(bool(motion), "no motion yet; press Move, then drag the object")
    settings = checked_settings(config, folder, source, settings, faults, to_paint=TO_PAINT)
    if isinstance(motion, str):
        given = {"move": motion}
    else:
        given = {"flow": folder / "flow.npz"}
        write_flow(motion.flow_of(read_mask(settings["mask"])[None]).numpy(), given["flow"])
    return MotionEditConfig(**(chosen_editor(config, MotionEditConfig.kind) | given | settings))


class MotionHandlers(EditHandlers):
    """Handlers of the tab on which an object is moved.

    load_estimator: loads what estimates the motion of two frames, when it is first needed.
    """

    def __init__(
        self,
        editor: SharedEditor,
        config: DemoConfig,
        folders: TemporaryFolders,
        load_estimator: Callable[[], FlowEstimator] | None = None,
    ) -> None:
        super().__init__(editor, config, folders)
        self._load_estimator = cache(load_estimator or (lambda: _load_estimator(config)))
        self._estimating = threading.Lock()

    def make_config(
        self,
        source: PainterData | None,
        handles: HandlesData | None,
        estimated: EstimatedMotion | None = None,
        prompt: str | None = None,
        **settings: object,
    ) -> MotionEditConfig:
        motion = _motion_of(handles or HandlesData(), estimated)
        settings["prompt"] = prompt or ""  # None until the folded settings are opened
        return motion_edit_config(self.config, self.folders.new_folder(), from_browser(source), motion, **settings)

    def show_motion(
        self, source: PainterData | None, handles: HandlesData | None, estimated: EstimatedMotion | None
    ) -> HandlesData:
        """Show the object's handles, and the preview of its motion, if there is one."""
        handles, painting = handles or HandlesData(), from_browser(source)
        if painting is None:
            return HandlesData(**{name: getattr(handles, name) for name in OF_FRAMES})
        picture = sha256(painting.picture)  # its path changes when Gradio copies it
        is_another = handles.picture not in ("", picture)
        kept = OF_FRAMES if is_another else (*OF_FRAMES, "saved_frames", "motion", "is_active")
        shown = HandlesData(picture=picture, size=painting.size, **{name: getattr(handles, name) for name in kept})
        if not shown.is_active:
            return shown
        try:
            return shown.model_copy(update=self._preview(painting, _motion_of(shown, estimated)))
        except UserError as error:
            return shown.model_copy(update={"error": str(error)})
        except Exception:
            log.exception("a motion could not be shown")
            return shown.model_copy(update={"error": UNEXPECTED})

    def take_frames(
        self,
        request: gr.Request,
        source: PainterData | None,
        handles: HandlesData | None,
    ) -> tuple:
        """Estimate the motion of two frames; return source, handles, the motion, and the result panel.

        The first frame becomes the picture if there is none, or if the visitor asks for it.
        """
        handles, painting = handles or HandlesData(), from_browser(source)
        try:
            pair = read_pair([Path(file.path) for file in handles.new_frames], handles.times, self.config.limits)
            with self._estimating:
                estimated = estimate(pair, self._load_estimator(), side=self.config.flow_side)
            is_new = painting is None or handles.replaces_picture
            if is_new:
                painting = self._as_picture(pair)
            estimated.fitted(*painting.size)
        except UserError as error:
            return source, _without_new(handles, str(error)), SAME, *ResultPanel()
        except Exception:
            log.exception("two frames could not be used")
            return source, _without_new(handles, UNEXPECTED), SAME, *ResultPanel()
        taken = handles.model_copy(update={"frames": handles.new_frames, "times": list(pair.times or ()), "motion": ""})
        shown = to_browser(painting) if is_new else source
        panel = self.without_results(request) if is_new else ResultPanel()
        # Never SAME for a component with a data model: Gradio would make the component anew, without the model.
        return shown, self.show_motion(shown, taken, estimated), estimated, *panel

    def show_layers(self, results: FinishedEdit | None) -> object:
        """Show the layers of a new result."""
        return SAME if results is None else layers_of(results.config, SHOWN)

    def _preview(self, painting: PaintedPicture, motion: str | EstimatedMotion) -> dict[str, object]:
        """The fields of HandlesData that show the object, and the motion if there is one."""
        folder, drawn = self.folders.new_folder(), painted_mask(painting, self.config)
        if drawn is None:
            raise UserError(f"nothing is painted yet; paint {TO_PAINT}")
        with named(painting.picture):
            pixels = as_source(read(painting.picture, self.config.limits), name=PICTURE).pixels
            picture = shrink_to(pixels, PREVIEW_SIDE)
        mask = torch.from_numpy(np.asarray(drawn) > 127).float()[None]
        found = preview_object(picture, mask, folder)
        shown = {"box": tuple(found.box), "cutout": _file(found.cutout)}
        if motion:
            moved = preview_motion(picture, mask, _flow_of(motion, mask), folder, margin=self._margin_of(mask))
            shown |= {"warped": _file(moved.warped), "mask": _file(moved.mask), "arrows": moved.arrows}
        return shown | {"previewed": motion if isinstance(motion, str) else ""}

    def _margin_of(self, mask: Tensor) -> int:
        """The margin in the mask that the editor proposes, if it says so; mask: of the picture that is edited."""
        margin_of = getattr(self.editor.loaded, "margin_of", None)
        return MARGIN if margin_of is None else margin_of(*mask.shape[1:])

    def _as_picture(self, pair: TwoFrames) -> PaintedPicture:
        folder = self.folders.new_folder()
        write_image(pair.first, folder / "frame.png")
        return accept(PaintedPicture(picture=folder / "frame.png"), self.config.limits, folder)


def _load_estimator(config: DemoConfig) -> FlowEstimator:
    return dis_flow() if config.flow_network is None else load_raft(config.flow_network)


def _motion_of(handles: HandlesData, estimated: EstimatedMotion | None) -> str | EstimatedMotion:
    return estimated if handles.frames and estimated is not None else handles.motion


def _flow_of(motion: str | EstimatedMotion, mask: Tensor) -> FlowOfObject:
    return worded_flow_of(motion, mask) if isinstance(motion, str) else motion.flow_of


def _without_new(handles: HandlesData, error: str) -> HandlesData:
    return handles.model_copy(update={"new_frames": [], "replaces_picture": False, "frames_error": error})


def _file(path: Path) -> FileData:
    return FileData(path=str(path), orig_name=path.name)

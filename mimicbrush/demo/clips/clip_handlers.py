"""Reactions of the tab for clips: uploads, the edit, and the clips of a result."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from mimicbrush.demo.clips.clip_previews import write_mask_overlay, write_side_by_side
from mimicbrush.demo.clips.clip_uploads import check_clip, check_clip_mask
from mimicbrush.demo.edit_configs import chosen_editor, copy_picture, painted_mask
from mimicbrush.demo.edit_zip import write_zip
from mimicbrush.demo.handlers import EditHandlers
from mimicbrush.demo.number_fields import check_number_fields
from mimicbrush.demo.painter import PainterData, from_browser
from mimicbrush.demo.result_panel import (
    ABOUT_DOWNLOADS,
    SAME,
    FinishedEdit,
    Result,
    ResultPanel,
    as_sentence,
    idle,
    name_of,
    named_download,
    status_text,
)
from mimicbrush.demo.uploads import named
from mimicbrush.edit.clip_results import layer_path
from mimicbrush.edit.config import EditConfig
from mimicbrush.edit.kinds.video_edit import VideoEditConfig
from mimicbrush.errors import Faults, UserError
from mimicbrush.pictures.reading import read_mask_frames
from mimicbrush.pictures.writing import write_image
from mimicbrush.video.whole_clip import as_tensor, read_whole_clip

HIDDEN = gr.update(visible=False)
MASK = "mask"
"""Layer of a result that says where the clip was edited."""


class ClipPanel(NamedTuple):
    """Components for the clips of a result, or their new contents, in order."""

    side_by_side: object
    overlay: object
    mask: object


class ClipHandlers(EditHandlers):
    """Handlers of the tab on which the object of a target picture replaces that of a clip."""

    def make_config(
        self, source: PainterData | None, clip: str | None, mask: str | None, **settings: object
    ) -> VideoEditConfig:
        """source: the target picture, on which the object may be painted; clip, mask: paths of uploads."""
        faults, painting, folder = Faults(), from_browser(source), self.folders.new_folder()
        faults.check(clip is not None, "no clip yet; choose one")
        faults.check(painting is not None, "no target picture yet; choose one that shows the new object")
        for name, what in (("source_prompt", "the clip as it is"), ("target_prompt", "the clip after the edit")):
            settings[name] = (settings[name] or "").strip()
            faults.check(bool(settings[name]), f"no words yet for {what}; describe it")
        with faults.collect():
            settings = check_number_fields(settings, self.config.limits)
        faults.refuse()
        given: dict[str, Path] = {}
        with named(Path(clip)):
            check_clip(Path(clip), self.config.limits)
        given["source"] = Path(shutil.copyfile(clip, folder / f"source{Path(clip).suffix.lower()}"))
        given["target_image"] = copy_picture(painting, folder, "target")
        if (painted := painted_mask(painting, self.config)) is not None:
            given["target_mask"] = folder / "target-mask.png"
            write_image(painted, given["target_mask"])
        if mask is not None:
            with named(Path(mask)):
                check_clip_mask(Path(mask), self.config.limits)
            given["mask"] = Path(shutil.copyfile(mask, folder / "clip-mask.png"))
        return VideoEditConfig(
            **chosen_editor(self.config, VideoEditConfig.kind), **given, output=folder / "result.mp4", **settings
        )

    def check_clip(self, request: gr.Request, clip: str | None) -> tuple:
        """Check a new clip; it stops the running edit and clears the results."""
        try:
            if clip is not None:
                with named(Path(clip)):
                    check_clip(Path(clip), self.config.limits)
        except UserError as error:
            return None, *ResultPanel(status_text(as_sentence(str(error)), problem=True))
        return clip, *self.without_results(request)

    def panels(self, visitor: str, **given: object) -> Iterator[ResultPanel]:
        """Yield contents of the result panel; a clip has no slider between two pictures."""
        for panel in super().panels(visitor, **given):
            yield panel._replace(slider=HIDDEN, use=HIDDEN)

    def name_picture(self, *, clip: str, **_: object) -> str:
        return name_of(Path(clip))

    def show_finished(self, config: EditConfig, seconds: float, name: str, earlier: list[Result]) -> ResultPanel:
        about, edited = ABOUT_DOWNLOADS.replace("The picture", "The clip"), f"{name}-edited"
        clip, zip_file = named_download(config.output, edited), named_download(write_zip(config), edited)
        last_step = config.stop_after if config.keeps_stopped else None
        ended = f"Stopped after step {last_step}: the edit so far." if last_step else f"Done in {seconds:.1f} s."
        return idle(status_text(ended) + about)._replace(
            picture=gr.update(value=str(clip), label="Download clip", visible=True),
            zip_file=gr.update(value=str(zip_file), visible=True),
            further=gr.update(visible=True),
            results=FinishedEdit(config, name, [Result((config.source, clip), f"seed {config.seed}", clip, zip_file)]),
        )

    def show_clips(self, results: FinishedEdit | None) -> ClipPanel:
        """Write and show the clips of a new result: source and edit, and the mask over the source."""
        if results is None:
            return ClipPanel(SAME, SAME, SAME)
        config = results.config
        clip, edited = (read_whole_clip(path, max_frames=config.max_frames) for path in (config.source, config.output))
        source, folder = as_tensor(clip), config.output.parent
        both = write_side_by_side(folder / "side-by-side.mp4", source, as_tensor(edited), fps=clip.fps)
        mask = layer_path(config.output, MASK, has_alpha=False, layer_format=config.layer_format)
        if not mask.is_file():
            return ClipPanel(str(both), gr.update(visible=False), gr.update(visible=False))
        overlay = write_mask_overlay(folder / "mask-overlay.mp4", source, read_mask_frames(mask), fps=clip.fps)
        return ClipPanel(
            str(both),
            gr.update(value=str(overlay), visible=True),
            gr.update(value=str(named_download(mask, f"{results.name}-mask")), visible=True),
        )

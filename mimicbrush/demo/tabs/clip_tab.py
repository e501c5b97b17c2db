"""The tab for replacing an object in a clip: its controls, and the clips of its results."""

from __future__ import annotations

import gradio as gr

from mimicbrush.demo.clips.clip_handlers import ClipHandlers, ClipPanel
from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.controls import QUIET, Tab, connect, make_result_panel, make_seed
from mimicbrush.demo.painter import make_painter
from mimicbrush.demo.shared_editor import SharedEditor
from mimicbrush.demo.temporary_folders import TemporaryFolders
from mimicbrush.edit.kinds.video_edit import VideoEditConfig

PAINT = "Shows the new object. Paint over the object, unless it is alone in the picture."
SOURCE_PROMPT = "Describes the clip as it is, for instance: a red car on a road."
TARGET_PROMPT = "Describes it after the edit, for instance: a yellow bus on a road."
MASK = "Mask of the clip, an animated PNG"
PLAYER = {"interactive": False, "loop": True, "autoplay": True, "buttons": []}
"""Options of players of results."""


def clip_tab(editor: SharedEditor, config: DemoConfig, folders: TemporaryFolders) -> None:
    """The clip, the target picture and prompts on the left; the clips of the result on the right."""
    handlers = ClipHandlers(editor, config, folders)
    with gr.Row(elem_classes="columns"):
        with gr.Column(scale=2, min_width=320):
            clip = gr.Video(label="Clip", sources=["upload"], height=320, elem_classes="clip")
            target = make_painter(
                limits=config.limits, title="Target picture", hint=PAINT, elem_classes="source target bare"
            )
            with gr.Row():
                source_prompt = gr.Textbox(label="Clip as it is", info=SOURCE_PROMPT, max_lines=4, min_width=200)
                target_prompt = gr.Textbox(label="Clip after the edit", info=TARGET_PROMPT, max_lines=4, min_width=200)
            mask = gr.File(label=MASK, file_types=[".png"], height=120, elem_classes="clip-mask")
            with gr.Accordion("More settings", open=False):
                seed = make_seed(config)
        with gr.Column(scale=1, min_width=320):
            panel = make_result_panel()
            with panel.further:
                shown = _clip_panel()
    words = {"source_prompt": source_prompt, "target_prompt": target_prompt}
    connect(handlers, panel, target, {"clip": clip, "mask": mask, **seed, **words}, kind=VideoEditConfig.kind)
    clip.upload(handlers.check_clip, clip, [clip, *panel], **QUIET)
    panel.results.change(handlers.show_clips, panel.results, [*shown], **QUIET)


def _clip_panel() -> ClipPanel:
    return ClipPanel(
        gr.Video(label="Before and after", elem_classes="side-by-side", **PLAYER),
        gr.Video(label="Where the clip was edited", elem_classes="overlay", **PLAYER),
        gr.DownloadButton("Download mask (animated PNG)", elem_classes="download-mask", size="md"),
    )


INTRODUCTION = (
    "Choose a clip and a picture of another object, and that object takes the place of the one in the clip. Everything"
    " else stays as it is."
)
TAB = Tab("Clip", INTRODUCTION, VideoEditConfig, ClipHandlers, clip_tab)

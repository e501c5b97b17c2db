"""The tab for moving an object: its controls, and how the handles over the picture are connected."""

from __future__ import annotations

import gradio as gr

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.controls import (
    QUIET,
    Tab,
    common_settings,
    connect,
    make_gallery,
    make_result_panel,
    make_source_painter,
    settings_column,
)
from mimicbrush.demo.motion.motion_handlers import MotionHandlers
from mimicbrush.demo.motion.motion_handles import make_handles
from mimicbrush.demo.shared_editor import SharedEditor
from mimicbrush.demo.temporary_folders import TemporaryFolders
from mimicbrush.edit.kinds.motion_edit import MotionEditConfig

PAINT = "Paint the object to move, with a little of its border."
PROMPT = "Describes the picture; used by editors that need a text, such as Motion Guidance."


def motion_tab(editor: SharedEditor, config: DemoConfig, folders: TemporaryFolders) -> None:
    """The picture with handles on the object, the result on the right, settings below the picture."""
    handlers = MotionHandlers(editor, config, folders)
    with gr.Row(elem_classes="columns"):
        with gr.Column(scale=2, min_width=320):
            source = make_source_painter(config, PAINT, elem_classes="source moved bare")
            handles = make_handles(limits=config.limits, canvas="moved", elem_classes="motion bare")
        with gr.Column(scale=1, min_width=320):
            panel = make_result_panel()
            with panel.further:
                layers = make_gallery(columns=2, elem_classes="results layers")
        with settings_column(), gr.Accordion("More settings", open=False):
            prompt = gr.Textbox(label="Prompt", info=PROMPT, max_lines=4)
            with gr.Row():
                settings = common_settings(config)
    estimated = gr.State()
    motion = [source, handles, estimated]
    connect(
        handlers,
        panel,
        source,
        {"handles": handles, "estimated": estimated, "prompt": prompt, **settings},
        kind=MotionEditConfig.kind,
    )
    shown = {"trigger_mode": "always_last", **QUIET}
    gr.on([source.change, handles.input], handlers.show_motion, motion, handles, **shown)
    panel.results.change(handlers.show_layers, panel.results, layers, **QUIET)
    handles.upload(handlers.take_frames, [source, handles], [*motion, *panel], **QUIET)


INTRODUCTION = "Paint over an object and move it, and what was behind it is filled in. Everything else stays as it is."
TAB = Tab("Move", INTRODUCTION, MotionEditConfig, MotionHandlers, motion_tab, has_default=True)

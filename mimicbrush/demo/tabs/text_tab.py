"""The tab for edits from a text prompt: its controls, its handlers, and the config that they make."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.controls import (
    PAINT,
    Tab,
    common_settings,
    connect,
    make_result_panel,
    make_source_painter,
    settings_column,
)
from mimicbrush.demo.edit_configs import checked_settings, chosen_editor
from mimicbrush.demo.handlers import EditHandlers
from mimicbrush.demo.painter import PainterData, from_browser
from mimicbrush.demo.shared_editor import SharedEditor
from mimicbrush.demo.strokes import PaintedPicture
from mimicbrush.demo.temporary_folders import TemporaryFolders
from mimicbrush.edit.kinds.text_edit import TextEditConfig
from mimicbrush.errors import Faults

PROMPT = "Describes what should be there instead."


def text_edit_config(
    config: DemoConfig, folder: Path, source: PaintedPicture | None, **settings: object
) -> TextEditConfig:
    """Make the config of an edit from a text prompt. The uploaded picture is copied to `folder`, byte for byte.

    settings: fields of TextEditConfig that the visitor set. Raises UserError if something is missing or beyond the
    page's limits.
    """
    faults = Faults()
    # Browsers send None for a field that was never touched.
    faults.check(bool((settings["prompt"] or "").strip()), "no prompt yet; describe what should be there instead")
    settings = checked_settings(config, folder, source, settings, faults)
    return TextEditConfig(**(chosen_editor(config, "text") | settings))


class TextHandlers(EditHandlers):
    """Handlers of the tab on which a text prompt guides the edit."""

    def make_config(self, source: PainterData | None, **settings: object) -> TextEditConfig:
        return text_edit_config(self.config, self.folders.new_folder(), from_browser(source), **settings)


def text_tab(editor: SharedEditor, config: DemoConfig, folders: TemporaryFolders) -> None:
    """The picture on the left, prompt and result on the right, settings below the picture."""
    handlers = TextHandlers(editor, config, folders)
    with gr.Row(elem_classes="columns"):
        with gr.Column(scale=2, min_width=320):
            source = make_source_painter(config, PAINT, feathers=True)
        with gr.Column(scale=1, min_width=320):
            prompt = gr.Textbox(label="Prompt", info=PROMPT, max_lines=4)
            panel = make_result_panel()
        with settings_column(), gr.Row():
            settings = common_settings(config)
    connect(handlers, panel, source, {"prompt": prompt, **settings}, kind=TextEditConfig.kind)


INTRODUCTION = (
    "Paint over a part of a picture and describe it, and that part is repainted from the words. Everything else stays"
    " as it is."
)
TAB = Tab("From a text prompt", INTRODUCTION, TextEditConfig, TextHandlers, text_tab)

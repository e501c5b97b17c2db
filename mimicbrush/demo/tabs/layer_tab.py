"""The tab for layers from text prompts: its controls, its handlers, and the config that they make."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.controls import (
    QUIET,
    Controls,
    Tab,
    connect,
    make_gallery,
    make_result_panel,
    make_seed,
    make_source_painter,
    settings_column,
)
from mimicbrush.demo.edit_configs import checked_settings, chosen_editor, prompt_lines
from mimicbrush.demo.handlers import EditHandlers
from mimicbrush.demo.painter import PainterData, from_browser
from mimicbrush.demo.result_panel import SAME, FinishedEdit, finished, has_layer, layers_of, named_download
from mimicbrush.demo.shared_editor import SharedEditor
from mimicbrush.demo.strokes import PaintedPicture
from mimicbrush.demo.temporary_folders import TemporaryFolders
from mimicbrush.edit.editing import write_result
from mimicbrush.edit.inputs import read_inputs
from mimicbrush.edit.kinds.layer_edit import LayerEditConfig
from mimicbrush.edit.layer_opacity import fade
from mimicbrush.errors import Faults
from mimicbrush.pictures.reading import read_channels
from mimicbrush.requests import Edited

PAINT = "Paint roughly over the thing to edit. Without a mask, the layer may lie anywhere."
PROMPT = "Describes the edited picture, for instance: a golden ball. Several prompts, one a line, are used in turn."
SOURCE_PROMPT = "Describes the picture as it is, for instance: a ball."
SCREEN = "Describes the layer alone, as if over a green screen; empty: the prompt."
REGION = "Names the thing to edit, if nothing is painted, for instance: ball."
MASK_USE = "Where the layer may lie."
USES = [("Begin at the painted part", "guide"), ("Stay within the painted part", "limit")]
SHOWN = {"rgba": "layer", "opacity": "opacity", "on_green": "on green"}
"""Captions of the layers of a result, by name."""


def layer_edit_config(
    config: DemoConfig, folder: Path, source: PaintedPicture | None, **settings: object
) -> LayerEditConfig:
    """Make the config of an edit as a layer. The uploaded picture is copied to `folder`, byte for byte.

    settings: fields of LayerEditConfig that the visitor set; texts hold one prompt a line. Raises UserError if
    something is missing or beyond the page's limits.
    """
    prompts = {name: prompt_lines(settings[name]) for name in ("prompt", "source_prompt", "screen", "region")}
    faults = Faults()
    faults.check(prompts["prompt"] is not None, "no prompt yet; describe the edited picture")
    settings = checked_settings(config, folder, source, settings | prompts, faults, needs_mask=False)
    return LayerEditConfig(**(chosen_editor(config, "layer") | settings))


class LayerPanel(NamedTuple):
    """Components for the layers of a result, below the composite, or their new contents, in order."""

    layers: object
    opacity: object
    download: object


class LayerHandlers(EditHandlers):
    """Handlers of the tab on which text prompts guide a layer."""

    def make_config(self, source: PainterData | None, **settings: object) -> LayerEditConfig:
        return layer_edit_config(self.config, self.folders.new_folder(), from_browser(source), **settings)

    def show_layers(self, results: FinishedEdit | None) -> LayerPanel:
        """Show the layers of a new result, in full opacity."""
        if results is None:
            return LayerPanel(SAME, SAME, SAME)
        return LayerPanel(layers_of(results.config, SHOWN), 100, _layer_file(results.config, results.name))

    def fade(self, results: FinishedEdit, opacity: float) -> tuple:
        """Draw the layer with another opacity, in percent, and offer that for download."""
        config = results.config
        folder = config.output.parent / f"opacity-{opacity:.0f}"
        folder.mkdir(exist_ok=True)
        faded = replace(config, opacity=opacity / 100, output=folder / config.output.name, force=True)
        inputs = read_inputs(faded, portable=True)
        request = faded.request(inputs, 0)
        made = {name: read_channels(config.beside_output(name))[None] for name in SHOWN if has_layer(config, name)}
        # The composite in full opacity; `write_result` fades it.
        whole = fade(Edited(request.source, made), request.source, 1.0)
        write_result(whole, request, faded, inputs, portable=True)
        status = f"Opacity {opacity:.0f} %."
        shown = finished(faded, 0, name=results.name, earlier=results.earlier, status=status)._replace(results=SAME)
        return *shown, *LayerPanel(layers_of(faded, SHOWN), SAME, _layer_file(faded, results.name))


def _layer_file(config: LayerEditConfig, name: str) -> str:
    """The layer of a result, under the name that a visitor downloads."""
    return str(named_download(config.beside_output("rgba"), f"{name}-layer"))


def layer_tab(editor: SharedEditor, config: DemoConfig, folders: TemporaryFolders) -> None:
    """The picture on the left, other settings below it; on the right prompt, result, its layers and their opacity."""
    handlers = LayerHandlers(editor, config, folders)
    with gr.Row(elem_classes="columns"):
        with gr.Column(scale=2, min_width=320):
            source = make_source_painter(config, PAINT)
        with gr.Column(scale=1, min_width=320):
            prompt = gr.Textbox(label="Prompt", info=PROMPT, max_lines=4)
            panel = make_result_panel()
            with panel.further:
                shown = _layer_panel()
        with settings_column():
            further = _further_prompts(config)
    connect(handlers, panel, source, {"prompt": prompt, **further}, kind=LayerEditConfig.kind)
    panel.results.change(handlers.show_layers, panel.results, [*shown], **QUIET)
    shown.opacity.input(
        handlers.fade, [panel.results, shown.opacity], [*panel, *shown], trigger_mode="always_last", **QUIET
    )


def _further_prompts(config: DemoConfig) -> Controls:
    with gr.Row():
        source_prompt = gr.Textbox(label="Picture as it is", info=SOURCE_PROMPT, max_lines=4, min_width=200)
        region = gr.Textbox(label="Thing to edit", info=REGION, max_lines=4, min_width=200)
    with gr.Accordion("More settings", open=False):
        screen = gr.Textbox(label="Layer alone", info=SCREEN, max_lines=4)
        with gr.Row():
            mask_use = gr.Radio(USES, value="guide", label="Painted part", info=MASK_USE, min_width=240)
            seed = make_seed(config)
    return {
        "source_prompt": source_prompt,
        "region": region,
        "screen": screen,
        "mask_use": mask_use,
        **seed,
    }


def _layer_panel() -> LayerPanel:
    """Draw the components for the layers of a result."""
    opacity = gr.Slider(0, 100, 100, step=1, label="Opacity of the layer, %", elem_classes="opacity")
    layers = make_gallery(columns=len(SHOWN), elem_classes="results layers")
    download = gr.DownloadButton("Download layer (PNG with alpha)", elem_classes="download-layer", size="md")
    return LayerPanel(layers, opacity, download)


INTRODUCTION = "Describe a change in words, and a layer that shows it is drawn over the picture, which stays as it is."
TAB = Tab("As a layer", INTRODUCTION, LayerEditConfig, LayerHandlers, layer_tab)

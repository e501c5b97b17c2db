"""The tab for editing a clip through its atlas: its controls, and the clips of its results."""

from __future__ import annotations

import json
from typing import NamedTuple

import gradio as gr

from mimicbrush.demo.atlases.atlas_handlers import MAX_FRAMES, PROMPT, REFERENCE, AtlasHandlers, ChosenClip
from mimicbrush.demo.atlases.clip_editors import ClipEditors
from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.controls import (
    QUIET,
    Controls,
    Tab,
    connect,
    make_result_panel,
    make_seed,
    make_slider,
    settings_column,
)
from mimicbrush.demo.number_fields import number_fields
from mimicbrush.demo.painter import make_painter
from mimicbrush.demo.sampling_controls import make_quick
from mimicbrush.demo.tabs.clip_tab import PLAYER
from mimicbrush.demo.temporary_folders import TemporaryFolders
from mimicbrush.edit.kinds.reference_edit import ReferenceEditConfig

PAINT = "Paint over the part that should change, in this frame alone. The edit then moves with the clip."
FRAME = "The frame that is painted on and edited; another one begins with nothing painted."
SHOWS = "Shows what should be there instead. Drag a box around the part to use, or use the whole picture."
KEEP_SHAPE = "The painted part keeps its shape, and only takes the texture of the reference."
WITHIN = (
    "Only pixels of the object change. Without it, all that is painted moves along, for an object of another shape."
)
PROMPT_INFO = "Describes the edited clip, for instance: a golden ball. The painted area does not matter."
SOURCE_PROMPT = "Describes the clip as it is, for instance: a ball."
EDITED = "Layer of the atlas on which the prompt draws."
LOOKING = '<p class="hint" role="status">The clip is read, and its atlas looked for …</p>'
GUIDES = [("A reference, for the painted part", REFERENCE), ("A prompt, for the object or all around it", PROMPT)]
LAYERS = [("The object", "foreground"), ("All around it", "background")]


class GuideControls(NamedTuple):
    """Columns and controls of what guides an edit."""

    guide: gr.Radio
    by_reference: gr.Column
    by_prompt: gr.Column
    controls: Controls


def atlas_tab(editor: ClipEditors, config: DemoConfig, folders: TemporaryFolders) -> None:
    """The clip and one of its frames on the left; what guides the edit, and the clips of the result, on the right."""
    handlers = AtlasHandlers(editor, config, folders)
    with gr.Row(elem_classes="columns"):
        with gr.Column(scale=2, min_width=320):
            chosen = _clip_and_frame(config)
        with gr.Column(scale=1, min_width=320):
            guide = _guide(config)
            panel = make_result_panel()
            with panel.further:
                shown = _clips_of_result()
        with settings_column():
            settings, only_by_reference = _settings(editor, config)
    controls = {"clip": chosen.clip, "number": chosen.frame, "guide": guide.guide, **guide.controls, **settings}
    about_atlas = [chosen.note, chosen.canvas, chosen.frame]
    for all_set in connect(handlers, panel, chosen.source, controls, kind="atlas"):
        all_set.then(handlers.show_atlas, chosen.clip, about_atlas, **QUIET)
    chosen.clip.upload(None, None, chosen.note, js=f"() => {json.dumps(LOOKING)}", **QUIET)
    gr.on([chosen.clip.upload, chosen.clip.clear], handlers.choose_clip, chosen.clip, [*chosen, *panel], **QUIET)
    shown_frame = [chosen.clip, chosen.frame]
    chosen.frame.input(handlers.show_frame, shown_frame, chosen.source, trigger_mode="always_last", **QUIET)
    reference = guide.controls["reference"]
    reference.upload(handlers.check_reference, reference, reference, **QUIET)
    columns = [guide.by_reference, only_by_reference, guide.by_prompt]
    guide.guide.change(handlers.show_guide, guide.guide, columns, **QUIET)
    panel.results.change(handlers.show_all, panel.results, shown, **QUIET)


def _clip_and_frame(config: DemoConfig) -> ChosenClip:
    clip = gr.Video(label="Clip", sources=["upload"], height=280, elem_classes="clip")
    note = gr.HTML(elem_classes="atlas-note bare")
    with gr.Column(visible=False) as canvas:
        frame = gr.Slider(1, MAX_FRAMES, 1, step=1, label="Frame", info=FRAME, elem_classes="frame")
        source = make_painter(limits=config.limits, title="Frame", hint=PAINT, elem_classes="source atlas bare")
    return ChosenClip(clip, note, canvas, frame, source)


def _guide(config: DemoConfig) -> GuideControls:
    guide = gr.Radio(GUIDES, value=REFERENCE, label="Guided by", visible=config.layer_clip is not None)
    with gr.Column() as by_reference:
        reference = make_painter(
            limits=config.limits,
            title="Reference",
            hint=SHOWS,
            cropping=True,
            elem_classes="reference clip-reference bare",
        )
    with gr.Column(visible=False) as by_prompt:
        prompt = gr.Textbox(label="Prompt", info=PROMPT_INFO, max_lines=4)
        source_prompt = gr.Textbox(label="Clip as it is", info=SOURCE_PROMPT, max_lines=4)
        layer = gr.Radio(LAYERS, value="foreground", label="Edited part", info=EDITED)
    controls = {"reference": reference, "prompts": [prompt, source_prompt], "atlas_layer": layer}
    return GuideControls(guide, by_reference, by_prompt, controls)


def _settings(editor: ClipEditors, config: DemoConfig) -> tuple[Controls, gr.Column]:
    """Draw the other controls, and the column of those that only a reference has."""
    bounds, recommended = number_fields(config.limits), editor.references.recommended
    settings: Controls = {}
    with gr.Accordion("More settings", open=False):
        with gr.Column() as only_by_reference, gr.Row():
            settings["within_layer"] = gr.Checkbox(True, label="Keep to the object", info=WITHIN)
            settings["keep_shape"] = gr.Checkbox(False, label="Keep the shape", info=KEEP_SHAPE)
            if recommended is not None:  # editors other than MimicBrush have no such settings
                proposed = config.settings.resolved(recommended)
                numbers = {
                    name: make_slider(bounds[name], getattr(proposed, name), min_width=200)
                    for name in ("num_inference_steps", "guidance_scale")
                }
                settings |= numbers | make_quick(config, editor.references, *numbers.values())
        seed = make_seed(config)
    return settings | seed, only_by_reference


def _clips_of_result() -> list:
    """Draw the players of a result, and its downloads, in the order of `AtlasHandlers.show_all`."""
    return [
        gr.Video(label="Before and after", elem_classes="side-by-side", **PLAYER),
        gr.Video(label="Where the clip was edited", elem_classes="overlay", **PLAYER),
        gr.DownloadButton("Download mask (animated PNG)", elem_classes="download-mask", size="md"),
        gr.DownloadButton("Download layer (WebM with alpha)", elem_classes="download-layer", size="md"),
    ]


INTRODUCTION = (
    "Paint over one frame of a clip that has an atlas, and the edit of that frame moves with the clip. Everything else"
    " stays as it is."
)
TAB = Tab("Clip with its atlas", INTRODUCTION, ReferenceEditConfig, AtlasHandlers, atlas_tab)

"""The tab for edits from reference pictures: its controls, its handlers, and the config that they make."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gradio as gr
import numpy as np
from PIL import Image

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.controls import (
    PAINT,
    PLAIN,
    QUIET,
    Controls,
    Tab,
    common_settings,
    connect,
    make_result_panel,
    make_seed,
    make_slider,
    make_source_painter,
    settings_column,
)
from mimicbrush.demo.edit_configs import checked_settings, copy_picture, painted_mask
from mimicbrush.demo.handlers import EditHandlers
from mimicbrush.demo.number_fields import number_fields
from mimicbrush.demo.painter import PainterData, from_browser, make_painter
from mimicbrush.demo.result_panel import SAME
from mimicbrush.demo.sampling_controls import make_quick, reference_fields, used_settings
from mimicbrush.demo.shared_editor import SharedEditor
from mimicbrush.demo.strokes import PaintedPicture, crop_box
from mimicbrush.demo.temporary_folders import TemporaryFolders
from mimicbrush.demo.uploads import read
from mimicbrush.edit.kinds.reference_edit import ReferenceEditConfig
from mimicbrush.editors.mimicbrush.settings import Regions
from mimicbrush.errors import Faults, UserError
from mimicbrush.pictures.conversion import to_pil

FURTHER = (
    "For example the same object from other sides. All references are arranged on one canvas, each cropped to its box."
)
KEEP_SHAPE = "The painted part keeps its shape, which a map shows, and only takes the texture of the reference."
CLOSE_UP = (
    "Only a square around the painted part is edited, which stays sharp. Use it for small parts of large pictures."
)
GUIDANCE = "How closely the result follows the reference: from 1, freely, to 20."
STEPS = "More of them take longer, and show finer detail."
REGIONS = "One after the other, each part sees the results of those before it."
REGION_NAMES = [("Together", "together"), ("Each by itself", "separate"), ("One after the other", "in_turn")]
MATCH_COLOUR = "Shift the colours of the edit to match its surroundings."

MAP_HEIGHT = 320


def reference_edit_config(
    config: DemoConfig,
    folder: Path,
    source: PaintedPicture | None,
    references: Sequence[PaintedPicture],
    **settings: object,
) -> ReferenceEditConfig:
    """Make the config of an edit from references. Uploaded pictures are copied to `folder`, byte for byte.

    settings: fields of ReferenceEditConfig that the visitor set; the others come from the page's config. Raises
    UserError if something is missing or beyond the page's limits.
    """
    faults = Faults()
    faults.check(bool(references), "no reference yet; choose a picture that shows what should be there instead")
    settings = checked_settings(config, folder, source, used_settings(settings), faults)
    return ReferenceEditConfig(**(reference_fields(config, settings) | _copied(references, folder)))


def _copied(references: Sequence[PaintedPicture], folder: Path) -> dict:
    """Copy the references; return fields for pictures and boxes, which for one reference are not lists."""
    names = ["reference", *(f"reference-{number}" for number in range(2, len(references) + 1))]
    paths = [copy_picture(reference, folder, name) for reference, name in zip(references, names, strict=True)]
    boxes = [crop_box(reference.strokes, reference.size) if reference.size else None for reference in references]
    if len(paths) == 1:
        return {"reference": paths[0], "reference_box": boxes[0]}
    return {"reference": paths, "reference_box": boxes if any(boxes) else None}


class ReferenceHandlers(EditHandlers):
    """Handlers of the tab on which references guide the edit."""

    def make_config(
        self, source: PainterData | None, references: list[PainterData | None], **settings: object
    ) -> ReferenceEditConfig:
        shown = [reference for reference in map(from_browser, references) if reference is not None]
        return reference_edit_config(self.config, self.folders.new_folder(), from_browser(source), shown, **settings)

    def check_reference(self, reference: PainterData | None) -> PainterData:
        """Check a new reference."""
        return self.check_upload(reference, is_reference=True)

    def show_shape(self, source: PainterData | None, keep_shape: bool, crop_to_mask: bool, regions: Regions) -> dict:
        """Show the shape map that an edit would follow; hide it if the shape is not to be kept."""
        painting = from_browser(source)
        if not keep_shape or painting is None:
            return gr.update(visible=False)
        settings = vars(self.config.settings) | {"crop_to_mask": crop_to_mask, "regions": regions}
        try:
            image, mask = read(painting.picture, self.config.limits), painted_mask(painting, self.config)
            maps = self.editor.shape_maps(image, mask, **settings)
        except UserError:  # reported when the edit is started
            return gr.update(visible=False)
        return gr.update(value=_side_by_side(maps), visible=True)

    def follow_strokes(
        self, source: PainterData | None, keep_shape: bool, crop_to_mask: bool, regions: Regions
    ) -> dict:
        """Update the shape map after a stroke, if it depends on the mask."""
        if not (crop_to_mask or regions != "together"):
            return SAME
        return self.show_shape(source, keep_shape, crop_to_mask, regions)


def reference_tab(editor: SharedEditor, config: DemoConfig, folders: TemporaryFolders) -> None:
    """The picture on the left, references and result on the right, settings below the picture."""
    handlers = ReferenceHandlers(editor, config, folders)
    with gr.Row(elem_classes="columns"):
        with gr.Column(scale=2, min_width=320):
            source = make_source_painter(config, PAINT, feathers=True)
        with gr.Column(scale=1, min_width=320):
            references = [_first_reference(config), *_further_references(config)]
            panel = make_result_panel()
        with settings_column():
            settings, shape = _reference_settings(config, editor)
    for each in references:
        each.upload(handlers.check_reference, each, each, **QUIET)
    connect(handlers, panel, source, {"references": references, **settings}, kind=ReferenceEditConfig.kind)
    if editor.recommended is None:  # editors other than MimicBrush have no shape maps and no crops
        return
    shaped = [source, *(settings[name] for name in ("keep_shape", "crop_to_mask", "regions"))]
    changes = [control.change for control in shaped]
    gr.on(changes, handlers.show_shape, shaped, shape, trigger_mode="always_last", **QUIET)
    source.input(handlers.follow_strokes, shaped, shape, trigger_mode="always_last", **QUIET)


def _first_reference(config: DemoConfig) -> gr.HTML:
    return make_painter(
        limits=config.limits,
        title="Reference",
        hint="Shows what should be there instead. Drag a box around the part to use, or use the whole picture.",
        cropping=True,
        elem_classes="reference bare",
    )


def _further_references(config: DemoConfig) -> list[gr.HTML]:
    if config.limits.references == 1:
        return []
    with gr.Accordion("Further references", open=False, elem_classes="further"):
        gr.HTML(f'<p class="hint">{FURTHER}</p>', elem_classes="bare")
        with gr.Row():
            return [_further_reference(config, number) for number in range(2, config.limits.references + 1)]


def _further_reference(config: DemoConfig, number: int) -> gr.HTML:
    # A row only breaks between columns.
    with gr.Column(min_width=180):
        return make_painter(
            limits=config.limits,
            title=f"Reference {number}",
            hint="",
            cropping=True,
            removable=True,
            elem_classes=f"reference-{number} bare",
        )


def _reference_settings(config: DemoConfig, editor: SharedEditor) -> tuple[Controls, gr.Image | None]:
    """Draw controls for fields of ReferenceEditConfig, and the image of shape maps.

    Editors other than MimicBrush only get the controls of all editors.
    """
    if editor.recommended is None:
        keep_shape = gr.Checkbox(label="Keep the shape", info=KEEP_SHAPE)
        with gr.Row():
            return {"keep_shape": keep_shape, **common_settings(config)}, None
    bounds, proposed = number_fields(config.limits), config.settings.resolved(editor.recommended)
    with gr.Row():
        with gr.Column(min_width=280):
            keep_shape = gr.Checkbox(label="Keep the shape", info=KEEP_SHAPE)
            crop_to_mask = gr.Checkbox(proposed.crop_to_mask, label="Work close up", info=CLOSE_UP)
        shape = gr.Image(visible=False, height=200, min_width=280, elem_classes="shape", **PLAIN)
    with gr.Row():
        num_images = make_slider(bounds["num_images"], 1, min_width=200)
        steps = make_slider(bounds["num_inference_steps"], proposed.num_inference_steps, info=STEPS, min_width=200)
        guidance = make_slider(
            bounds["guidance_scale"], proposed.guidance_scale, info=GUIDANCE, min_width=240, render=False
        )
    quick = make_quick(config, editor, steps, guidance)
    with gr.Accordion("More settings", open=False):
        with gr.Row():
            guidance.render()
            seed = make_seed(config)
        regions = gr.Radio(REGION_NAMES, value=proposed.regions, label="Several painted parts", info=REGIONS)
        match_colour = gr.Checkbox(proposed.match_colour, label="Match colours", info=MATCH_COLOUR)
    settings = {
        "keep_shape": keep_shape,
        "crop_to_mask": crop_to_mask,
        "regions": regions,
        "match_colour": match_colour,
        "num_images": num_images,
        "num_inference_steps": steps,
        "guidance_scale": guidance,
        **quick,
        **seed,
    }
    return settings, shape


def _side_by_side(maps: list[Image.Image]) -> Image.Image:
    """Join the maps to one picture, scaled to the same height."""
    scaled = [each.resize((max(1, each.width * MAP_HEIGHT // each.height), MAP_HEIGHT)) for each in maps]
    return to_pil(np.hstack([np.asarray(each) for each in scaled]))


INTRODUCTION = (
    "Paint over a part of a picture and show a reference, and that part is repainted so that it imitates what matches"
    " it there. Everything else stays as it is."
)
TAB = Tab("From a reference", INTRODUCTION, ReferenceEditConfig, ReferenceHandlers, reference_tab)

"""The tabs of the page: one for each kind of request, with its controls.

A new kind needs a function like `text_tab`, handlers that make a config from its controls, and an entry in TABS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, get_args

import gradio as gr
from gradio.components import Component

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.examples import EXAMPLES
from mimicbrush.demo.handlers import EditHandlers, ReferenceHandlers, TextHandlers, thumbnails
from mimicbrush.demo.number_fields import NumberField, number_fields
from mimicbrush.demo.painter import make_painter
from mimicbrush.demo.result_panel import NOTHING_YET, ResultPanel
from mimicbrush.demo.shared_editor import SharedEditor
from mimicbrush.demo.temporary_folders import TemporaryFolders
from mimicbrush.edit.common_config import MaskedEditConfig
from mimicbrush.edit.config import EditConfig, TextEditConfig
from mimicbrush.editors.mimicbrush.settings import Regions
from mimicbrush.model.config import RecommendedSettings
from mimicbrush.requests import EditRequest, ReferenceRequest, TextRequest

FURTHER = (
    "For example the same object from other sides. All references are arranged on one canvas, each cropped to its box."
)
KEEP_SHAPE = "The painted part keeps its shape, which a map shows, and only takes the texture of the reference."
PAINT = (
    "Paint over the part that should change. The result blends in over about 6 pixels around it, and over more in"
    " pictures larger than 512 pixels."
)
CLOSE_UP = (
    "Only a square around the painted part is edited, and stays sharp. Use it if that square is less than half as wide"
    " and high as the picture."
)
PROMPT = "Describes what should be there instead."
GUIDANCE = "How closely the result follows the reference."
SEED = "The same seed gives the same result."
REGIONS = "Edit them together, or each separately."
MATCH_COLOUR = "Shift the colours of the edit to match its surroundings."

FORGET_PROBLEM = """(status) => status.replace(/<p class="problem".*?<\\/p>/s, "")"""
"""Removes an error from the status when a control is changed, which may solve it."""
SHOW_PICTURE = """() => document.querySelector(".source").scrollIntoView({ behavior: "smooth", block: "nearest" })"""
"""On a phone, the picture is far above the examples."""
PLAIN = {"show_label": False, "interactive": False, "buttons": []}
"""Options of components that only show pictures."""
QUIET = {"api_visibility": "private", "show_progress": "hidden"}
"""Options of events that are not part of the public API."""

Controls = dict[str, Component | list[Component]]
"""Components whose values describe an edit, by name."""


class Tab(NamedTuple):
    """One tab of the page."""

    title: str
    config_class: type[MaskedEditConfig]
    """Config of the edit that the controls describe."""
    build: Callable[[SharedEditor, DemoConfig, TemporaryFolders], None]
    """Function that draws the controls and connects them, within a gr.Blocks."""


def reference_tab(editor: SharedEditor, config: DemoConfig, folders: TemporaryFolders) -> None:
    """Picture and reference beside each other, settings below them, the result on the right."""
    handlers = ReferenceHandlers(editor, config, folders)
    with gr.Row(elem_classes="columns"):
        with gr.Column(scale=2, min_width=320):
            with gr.Row():
                source, reference = _pictures(config)
            references = [reference, *_further_references(config)]
            settings, shape = _reference_settings(config, editor.recommended)
        with gr.Column(scale=1, min_width=320):
            panel = _result_panel()
    for each in references:
        each.upload(handlers.check_reference, each, each, **QUIET)
    _connect(handlers, panel, source, {"references": references, **settings})
    if editor.recommended is None:  # editors other than MimicBrush have no shape maps and no crops
        return
    examples = _examples()
    shaped = [source, *(settings[name] for name in ("keep_shape", "crop_to_mask", "regions"))]
    filled = [source, *references, settings["keep_shape"], settings["crop_to_mask"], *panel]
    examples.select(handlers.load_example, None, filled, **QUIET).then(None, js=SHOW_PICTURE)
    changes = [control.change for control in shaped]
    gr.on(changes, handlers.show_shape, shaped, shape, trigger_mode="always_last", **QUIET)
    source.input(handlers.follow_strokes, shaped, shape, trigger_mode="always_last", **QUIET)


def text_tab(editor: SharedEditor, config: DemoConfig, folders: TemporaryFolders) -> None:
    """The picture with a prompt and settings below it, the result on the right."""
    handlers = TextHandlers(editor, config, folders)
    with gr.Row(elem_classes="columns"):
        with gr.Column(scale=2, min_width=320):
            source = make_painter(limits=config.limits, title="Picture", hint=PAINT, elem_classes="source bare")
            prompt = gr.Textbox(label="Prompt", info=PROMPT, max_lines=4)
            with gr.Row():
                settings = _common_settings(config)
        with gr.Column(scale=1, min_width=320):
            panel = _result_panel()
    _connect(handlers, panel, source, {"prompt": prompt, **settings})


TABS: dict[type[EditRequest], Tab] = {
    ReferenceRequest: Tab("From a reference", EditConfig, reference_tab),
    TextRequest: Tab("From a text prompt", TextEditConfig, text_tab),
}


def _connect(handlers: EditHandlers, panel: ResultPanel, source: gr.HTML, controls: Controls) -> None:
    """Connect the parts of every tab: picture, Edit, Stop and results. controls: by parameters of `make_config`."""
    given = {"source": source, **controls}
    components = _flat(given)
    source.upload(handlers.check_source, source, [source, *panel], **QUIET)
    touched = [control.input for control in components if hasattr(control, "input")]
    touched += [control.upload for control in components if hasattr(control, "upload")]
    gr.on(touched, None, panel.status, panel.status, js=FORGET_PROBLEM, **QUIET)
    edit, inputs = by_name(handlers.edit, given | {"results": panel.results})
    panel.edit.click(edit, inputs, [*panel], concurrency_limit=None, **QUIET)
    panel.stop.click(handlers.stop, queue=False, **QUIET)
    panel.gallery.select(handlers.choose, panel.results, [panel.slider, panel.picture], **QUIET)


def by_name(
    handler: Callable[..., Iterator[ResultPanel]], controls: Controls
) -> tuple[Callable[..., Iterator[ResultPanel]], set[Component]]:
    """Make a function for Gradio that calls `handler` with the controls' values by name; return it and its inputs.

    Gradio passes the values of a set of inputs as one dict. A list of controls becomes a list of their values.
    """

    def call(request: gr.Request, values: dict[Component, object]) -> Iterator[ResultPanel]:
        yield from handler(
            request,
            **{
                name: [values[each] for each in control] if isinstance(control, list) else values[control]
                for name, control in controls.items()
            },
        )

    call.__name__ = handler.__name__  # the name that Gradio shows
    return call, set(_flat(controls))


def _flat(controls: Controls) -> list[Component]:
    return [each for control in controls.values() for each in (control if isinstance(control, list) else [control])]


def _pictures(config: DemoConfig) -> tuple[gr.HTML, gr.HTML]:
    with gr.Column(min_width=280):
        source = make_painter(limits=config.limits, title="Picture", hint=PAINT, elem_classes="source bare")
    with gr.Column(min_width=280):
        reference = make_painter(
            limits=config.limits,
            title="Reference",
            hint="Shows what should be there instead. Drag a box around the part to use, or use the whole picture.",
            cropping=True,
            elem_classes="reference bare",
        )
    return source, reference


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


def _reference_settings(
    config: DemoConfig, recommended: RecommendedSettings | None
) -> tuple[Controls, gr.Image | None]:
    """Draw controls for fields of EditConfig, and the image of shape maps.

    recommended: None for editors other than MimicBrush, which only get the controls of all editors.
    """
    if recommended is None:
        keep_shape = gr.Checkbox(label="Keep the shape", info=KEEP_SHAPE)
        with gr.Row():
            return {"keep_shape": keep_shape, **_common_settings(config)}, None
    bounds, proposed = number_fields(config.limits), config.settings.resolved(recommended)
    with gr.Row():
        with gr.Column(min_width=280):
            keep_shape = gr.Checkbox(label="Keep the shape", info=KEEP_SHAPE)
            crop_to_mask = gr.Checkbox(proposed.crop_to_mask, label="Work close up", info=CLOSE_UP)
        shape = gr.Image(visible=False, height=200, min_width=280, elem_classes="shape", **PLAIN)
    with gr.Row():
        num_images = _slider(bounds["num_images"], 1, min_width=200)
        steps = _slider(bounds["num_inference_steps"], proposed.num_inference_steps, min_width=200)
    with gr.Accordion("More settings", open=False):
        with gr.Row():
            guidance = _slider(bounds["guidance_scale"], proposed.guidance_scale, info=GUIDANCE, min_width=240)
            seed = gr.Number(0, label=bounds["seed"].label, info=SEED, min_width=240)
        regions = gr.Radio(list(get_args(Regions)), value=proposed.regions, label="Several painted parts", info=REGIONS)
        match_colour = gr.Checkbox(proposed.match_colour, label="Match colours", info=MATCH_COLOUR)
    settings = {
        "keep_shape": keep_shape,
        "crop_to_mask": crop_to_mask,
        "regions": regions,
        "match_colour": match_colour,
        "num_images": num_images,
        "num_inference_steps": steps,
        "guidance_scale": guidance,
        "seed": seed,
    }
    return settings, shape


def _common_settings(config: DemoConfig) -> Controls:
    """Draw controls of every kind of edit: the number of results and the seed."""
    bounds = number_fields(config.limits)
    num_images = _slider(bounds["num_images"], 1, min_width=200)
    return {"num_images": num_images, "seed": gr.Number(0, label=bounds["seed"].label, info=SEED, min_width=240)}


def _slider(number: NumberField, value: float, **options: object) -> gr.Slider:
    step = 1 if number.is_whole else 0.1
    slider = gr.Slider(number.least, number.most, number.nearest(value), step=step, label=number.label, **options)
    # Gradio would refuse numbers beyond the bounds without the field's name; `NumberField.check` gives the name.
    slider.preprocess = lambda typed: typed
    return slider


def _result_panel() -> ResultPanel:
    """Draw the components of the result panel."""
    with gr.Row():
        edit = gr.Button("Edit", variant="primary", elem_classes="edit-button", scale=2, min_width=120)
        stop = gr.Button("Stop", variant="stop", interactive=False, elem_classes="stop-button", scale=1, min_width=80)
    status = gr.HTML(NOTHING_YET, elem_classes="status bare")
    preview = gr.Image(visible=False, elem_classes="preview", **PLAIN)
    slider = gr.ImageSlider(
        visible=False, show_label=False, interactive=False, buttons=["fullscreen"], elem_classes="slider"
    )
    gallery = _gallery(columns=4, visible=False, elem_classes="results")
    with gr.Row():
        button = {"visible": False, "size": "md", "min_width": 140}
        picture = gr.DownloadButton("Download picture", elem_classes="download-picture", **button)
        zip_file = gr.DownloadButton("Download all (zip)", elem_classes="download-all", **button)
    return ResultPanel(status, edit, stop, preview, slider, gallery, picture, zip_file, results=gr.State())


def _examples() -> gr.Gallery:
    gr.Markdown("**Examples**: choose one, then press Edit.", elem_classes="heading")
    return _gallery(thumbnails(), columns=len(EXAMPLES), elem_classes="examples")


def _gallery(pictures: list | None = None, **options: object) -> gr.Gallery:
    """A gallery in which one picture can be chosen."""
    return gr.Gallery(pictures, height="auto", object_fit="cover", allow_preview=False, **PLAIN, **options)

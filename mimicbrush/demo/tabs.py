"""Which controls an editor gets, by what it is guided by: one tab for each class of requests.

An editor that takes text or motion gets a page by a function like `reference_tab` and a line in TABS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, get_args

import gradio as gr

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.examples import EXAMPLES
from mimicbrush.demo.handlers import NOTHING_YET, ReferenceHandlers, Settings, View, thumbnails
from mimicbrush.demo.numbers import Number, numbers
from mimicbrush.demo.painter import make_painter
from mimicbrush.demo.studio import Studio
from mimicbrush.demo.workspace import Workspace
from mimicbrush.editors.mimicbrush.settings import Regions
from mimicbrush.model.config import RecommendedSettings
from mimicbrush.requests import EditRequest, ReferenceRequest

FURTHER = "The same thing from other sides, say: all are put side by side on one canvas, each cut to its box."
KEEP_SHAPE = "What is painted over keeps its shape, as a map shows it, and takes only the reference's texture."
PAINT = (
    "Paint over what should change. The result blends in over about 6 pixels around it, over more in pictures larger"
    " than 512."
)
CLOSE_UP = (
    "Only a square around what is painted is worked on, and stays sharp: choose it where that is less than half as wide"
    " and high as the picture."
)
GUIDANCE = "How strongly the reference is followed."
SEED = "The same seed gives the same result."
REGIONS = "Edited in one go, or each on its own."
MATCH_COLOUR = "Shift them until they agree with the surroundings."

FORGET_PROBLEM = """(told) => told.replace(/<p class="problem".*?<\\/p>/s, "")"""
"""Of the status, once something was changed that may mend it."""
SHOW_PICTURE = """() => document.querySelector(".source").scrollIntoView({ behavior: "smooth", block: "nearest" })"""
"""On a phone, the picture is far above the examples."""
PLAIN = {"show_label": False, "interactive": False, "buttons": []}
"""Of what only shows pictures."""


class Tab(NamedTuple):
    title: str
    build: Callable[[Studio, DemoConfig, Workspace], None]
    """Draws the controls and connects them, within a gr.Blocks."""


def reference_tab(studio: Studio, config: DemoConfig, workspace: Workspace) -> None:
    """Picture and reference beside each other, settings below them, the result on the right."""
    handlers = ReferenceHandlers(studio, config, workspace)
    with gr.Row(elem_classes="columns"):
        with gr.Column(scale=2, min_width=320):
            with gr.Row():
                source, reference = _pictures(config)
            references = [reference, *_further_references(config)]
            settings, shape = _settings(config, studio.recommended)
        with gr.Column(scale=1, min_width=320):
            view = _results()
    examples = _examples()
    pictures, shaped = [source, *references], [source, settings.keep_shape, settings.crop_to_mask, settings.regions]
    quiet = {"api_visibility": "private", "show_progress": "hidden"}

    source.upload(handlers.look_at_source, source, [source, *view], **quiet)
    for reference in references:
        reference.upload(handlers.look_at_reference, reference, reference, **quiet)
    example = [*pictures, settings.keep_shape, settings.crop_to_mask, *view]
    examples.select(handlers.load_example, None, example, **quiet).then(None, js=SHOW_PICTURE)
    touched = [control.input for control in (*pictures, *settings)] + [picture.upload for picture in pictures]
    gr.on(touched, None, view.status, view.status, js=FORGET_PROBLEM, **quiet)
    changes = [control.change for control in shaped]
    gr.on(changes, handlers.show_shape, shaped, shape, trigger_mode="always_last", **quiet)
    source.input(handlers.follow_strokes, shaped, shape, trigger_mode="always_last", **quiet)
    given = [view.results, *pictures, *settings]
    view.edit.click(handlers.edit, given, [*view], concurrency_limit=None, **quiet)
    view.stop.click(handlers.stop, queue=False, **quiet)
    view.gallery.select(handlers.choose, view.results, [view.slider, view.picture], **quiet)


TABS: dict[type[EditRequest], Tab] = {ReferenceRequest: Tab("After a reference", reference_tab)}


def _pictures(config: DemoConfig) -> tuple[gr.HTML, gr.HTML]:
    with gr.Column(min_width=280):
        source = make_painter(limits=config.limits, title="Picture", hint=PAINT, elem_classes="source bare")
    with gr.Column(min_width=280):
        reference = make_painter(
            limits=config.limits,
            title="Reference",
            hint="Shows what should be there instead. Drag a box around the part that is meant, or leave it whole.",
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
    # A row breaks between columns alone.
    with gr.Column(min_width=180):
        return make_painter(
            limits=config.limits,
            title=f"Reference {number}",
            hint="",
            cropping=True,
            removable=True,
            elem_classes=f"reference-{number} bare",
        )


def _settings(config: DemoConfig, recommended: RecommendedSettings) -> tuple[Settings, gr.Image]:
    """Controls named and ordered as the fields of Settings, and where shape maps are shown."""
    bounds, proposed = numbers(config.limits), config.settings.resolved(recommended)
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
    return Settings(keep_shape, crop_to_mask, regions, match_colour, num_images, steps, guidance, seed), shape


def _slider(number: Number, value: float, **options: object) -> gr.Slider:
    step = 1 if number.is_whole else 0.1
    slider = gr.Slider(number.least, number.most, number.nearest(value), step=step, label=number.label, **options)
    # Gradio would refuse what is typed beyond the bounds itself, without the field's name; `Number.check` names it.
    slider.preprocess = lambda typed: typed
    return slider


def _results() -> View:
    """Components named and ordered as the fields of View."""
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
        bundle = gr.DownloadButton("Download all (zip)", elem_classes="download-all", **button)
    return View(status, edit, stop, preview, slider, gallery, picture, bundle, results=gr.State())


def _examples() -> gr.Gallery:
    gr.Markdown("**Examples**: choose one, then press Edit.", elem_classes="heading")
    return _gallery(thumbnails(), columns=len(EXAMPLES), elem_classes="examples")


def _gallery(pictures: list | None = None, **options: object) -> gr.Gallery:
    """Pictures of which one is chosen."""
    return gr.Gallery(pictures, height="auto", object_fit="cover", allow_preview=False, **PLAIN, **options)

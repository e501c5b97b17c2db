"""Controls that the tabs of the page share, and how they are connected."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import NamedTuple

import gradio as gr
from gradio.components import Component
from gradio.context import Context
from gradio.events import Dependency

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.examples.example import TabExamples
from mimicbrush.demo.examples.examples_by_tab import EXAMPLES
from mimicbrush.demo.examples.gallery import filled, gallery_items, heading
from mimicbrush.demo.handlers import EditHandlers, chosen_number
from mimicbrush.demo.live_preview import make_live_preview
from mimicbrush.demo.number_fields import NumberField, number_fields
from mimicbrush.demo.painter import PainterData, make_painter
from mimicbrush.demo.result_panel import NOTHING_YET, ResultPanel, status_text
from mimicbrush.demo.saving.saved_tabs import (
    SavedTab,
    kept_results,
    make_kept_results,
    make_saved_tab,
    named_controls,
)
from mimicbrush.demo.shared_editor import SharedEditor
from mimicbrush.demo.temporary_folders import TemporaryFolders
from mimicbrush.edit.config import EditConfig

PAINT = "Paint over the part that should change. Within the soft border around it, the result blends into the picture."
DRAWN_SEEDS = 1_000_000
"""Number of seeds from which one is drawn: few enough to be read and typed."""
SEED = "The same seed gives the same result. The next edit uses another one, unless it is pinned."
SHOW_PICTURE = """() => [...document.querySelectorAll(".columns")].find((each) => each.checkVisibility())
  ?.scrollIntoView({ behavior: "smooth", block: "start" })"""
"""The picture is far above the results."""
WILL_BE_USED = "This result becomes the picture ..."
IS_USED = "This result is now the picture: paint what should change next. Undo brings the former picture back."
SHOW_EXAMPLE = f"() => innerWidth > 640 && ({SHOW_PICTURE})()"
"""On a phone, one would lose the example that one has chosen; there, Edit is always in reach."""

FORGET_PROBLEM = """(status) => status.replace(/<p class="(problem|passing)".*?<\\/p>/s, "")"""
"""Removes from the status, when a control is changed, an error, which this may solve, and what is over."""
PLAIN = {"show_label": False, "interactive": False, "buttons": []}
"""Options of components that only show pictures."""
WHOLE_ROW = 9999
"""Least width of a column that shares its row with no other; on a wide screen, `page.css` places it."""
QUIET = {"api_visibility": "private", "show_progress": "hidden"}
"""Options of events that are not part of the public API."""

AWAIT_SAVING = "while (!window.mimicbrushSaving) await new Promise((resolve) => setTimeout(resolve, 50));"
KEPT_TAB = f"async () => {{ {AWAIT_SAVING} return window.mimicbrushSaving.keptTab(%s); }}"
RESTORE = "(kept, ...values) => window.mimicbrushSaving.restoreTab(%s, %s, kept, values)"
NAME_PAGE = f"async () => {{ {AWAIT_SAVING} return {{ page: window.mimicbrushSaving.page, values: {{}} }}; }}"
"""Scripts for a page that is loaded: they give the server what the browser kept, and take what it has checked."""

Controls = dict[str, Component | list[Component]]
"""Components whose values describe an edit, by name."""


class Tab(NamedTuple):
    """One tab of the page."""

    title: str
    introduction: str
    """Tells a visitor what such an edit does; shown above the tab's controls."""
    config_class: type[EditConfig]
    """Config of the edit that the controls describe."""
    handlers: type[EditHandlers]
    """Class of its reactions to what a visitor does."""
    build: Callable[[SharedEditor, DemoConfig, TemporaryFolders], None]
    """Function that draws the controls and connects them, within a gr.Blocks."""
    has_default: bool = False
    """Whether the tab appears without being named in `--editors`, with the default editor of its config."""


def connect(
    handlers: EditHandlers,
    panel: ResultPanel,
    source: gr.HTML,
    controls: Controls,
    *,
    kind: str,
) -> tuple[Dependency, Dependency]:
    """Connect the parts of every tab: picture, Edit, Stop and results, what the browser keeps of them, and examples.

    controls: by parameters of `make_config`; besides, `pinned` says whether the seed stays; kind: names the tab in the
    browser's store, and its examples. Returns the events after which all controls have other values: those that the
    browser kept, and those of an example.
    """
    controls = dict(controls)
    pinned = controls.pop("pinned")
    given = {"source": source, **controls}
    components = _flat(given)
    source.upload(handlers.check_source, source, [source, *panel], **QUIET)
    source.select(handlers.select_object, source, source, **QUIET)
    touched = [control.input for control in components if hasattr(control, "input")]
    touched += [control.upload for control in components if hasattr(control, "upload")]
    gr.on(touched, None, panel.status, panel.status, js=FORGET_PROBLEM, **QUIET)
    edit, inputs = by_name(handlers.edit, given | {"results": panel.results})
    panel.edit.click(edit, inputs, [*panel], concurrency_limit=None, **QUIET)
    panel.stop.click(handlers.stop, queue=False, **QUIET)
    panel.gallery.select(
        handlers.choose, panel.results, [panel.slider, panel.picture, panel.zip_file, panel.live], **QUIET
    )
    used = panel.use.click(handlers.use_result, [source, panel.picture], source, **QUIET)
    panel.use.click(None, js=SHOW_PICTURE)
    panel.use.click(None, None, panel.status, js=f"() => {json.dumps(status_text(WILL_BE_USED))}", **QUIET)
    used.success(tell_used, source, panel.status, **QUIET)
    seed = controls["seed"]
    panel.results.change(handlers.next_seed, [panel.results, seed, pinned], seed, **QUIET)
    restored = _save(handlers, panel, named_controls(given | {"pinned": pinned}), kind)
    if kind in EXAMPLES:
        return restored, _offer_examples(handlers, panel, given, EXAMPLES[kind])
    return restored, restored


def tell_used(source: PainterData) -> str:
    """Say that the result is the picture now, unless it was refused, for which the canvas gives the reason."""
    return "" if source.error else status_text(IS_USED, passing=True)


def _offer_examples(
    handlers: EditHandlers, panel: ResultPanel, controls: Controls, examples: TabExamples
) -> Dependency:
    """Draw the examples of a tab; choosing one sets its controls. Returns the event after which they are set."""
    gr.HTML(heading(examples), elem_classes="heading bare")
    items = gallery_items(examples, handlers.folders)
    gallery = make_gallery(items, columns=2, object_fit="contain", elem_classes="examples")

    def load_example(request: gr.Request, event: gr.SelectData) -> tuple:
        example = examples.examples[chosen_number(event, len(examples.examples))]
        values = filled(example, controls, handlers.config.limits, handlers.folders)
        ready = status_text("The example is there; press Edit.") + NOTHING_YET
        return *values, *handlers.without_results(request)._replace(status=ready)

    loaded = gallery.select(load_example, None, [*_flat(controls), *panel], **QUIET)
    loaded.then(None, js=SHOW_EXAMPLE)
    return loaded


def _save(handlers: EditHandlers, panel: ResultPanel, controls: dict[str, Component], kind: str) -> Dependency:
    """Let the browser keep controls and results; a page that comes back finds them again, and its running edit.

    Returns the event after which they are there.
    """
    page, components = Context.root_block, list(controls.values())
    kept, saved = make_kept_results(kind), make_saved_tab()
    panel.results.change(kept_results, panel.results, kept, **QUIET)
    changes = [getattr(each, name) for each in components for name in ("change", "input") if hasattr(each, name)]
    names = f"{json.dumps(kind)}, {json.dumps(list(controls))}"
    gr.on(changes, None, components, js=f"(...values) => window.mimicbrushSaving?.saveTab({names}, values)", **QUIET)
    panel.edit.click(None, js=f"() => window.mimicbrushSaving?.markUsed({json.dumps(kind)})", **QUIET)

    def come_back(request: gr.Request, state: SavedTab | None) -> SavedTab:
        return handlers.come_back(request, state, controls)

    came_back = page.load(come_back, saved, saved, js=KEPT_TAB % json.dumps(kind), **QUIET)
    initial = json.dumps({name: each.get_config().get("value") for name, each in controls.items()})
    restore = RESTORE % (json.dumps(kind), initial)
    restored = came_back.then(None, [saved, *components], components, js=restore, **QUIET)
    page.load(handlers.follow, saved, [*panel], js=NAME_PAGE, concurrency_limit=None, **QUIET)
    page.unload(handlers.jobs.leave)
    return restored


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


def make_source_painter(config: DemoConfig, hint: str, **options: object) -> gr.HTML:
    """Draw the canvas for the picture to edit. hint: says what to paint; options: of `make_painter`."""
    return make_painter(
        limits=config.limits,
        title="Picture",
        hint=hint,
        clicks=config.segmenter is not None,
        megapixels=config.limits.megapixels,
        **({"elem_classes": "source bare"} | options),
    )


def settings_column() -> gr.Column:
    """A column for settings, after those of picture and result: below the picture, or on a phone below both."""
    return gr.Column(min_width=WHOLE_ROW, elem_classes="settings")


def common_settings(config: DemoConfig) -> Controls:
    """Draw controls of every kind of edit: the number of results and the seed."""
    bounds = number_fields(config.limits)
    return {"num_images": make_slider(bounds["num_images"], 1, min_width=200), **make_seed(config)}


def make_seed(config: DemoConfig) -> Controls:
    """Draw the seed, a button that draws another one, and the choice whether it stays after an edit."""
    with gr.Column(min_width=240):
        seed = gr.Number(0, label=number_fields(config.limits)["seed"].label, info=SEED)
        with gr.Row(equal_height=True):
            pinned = gr.Checkbox(False, label="Pinned", container=False, min_width=90)
            draw = gr.Button("Draw another", size="sm", min_width=120)
    draw.click(None, None, seed, js=f"() => Math.floor(Math.random() * {DRAWN_SEEDS})", **QUIET)
    return {"seed": seed, "pinned": pinned}


def make_slider(number: NumberField, value: float, **options: object) -> gr.Slider:
    step = 1 if number.is_whole else 0.1
    slider = gr.Slider(number.least, number.most, number.nearest(value), step=step, label=number.label, **options)
    # Gradio would refuse numbers beyond the bounds without the field's name; `NumberField.check` gives the name.
    slider.preprocess = lambda typed: typed
    return slider


def make_result_panel() -> ResultPanel:
    """Draw the components of the result panel."""
    with gr.Column(elem_classes="edit-bar", min_width=0):
        with gr.Row():
            edit = gr.Button("Edit", variant="primary", elem_classes="edit-button", scale=2, min_width=120)
            stop = gr.Button("Stop", interactive=False, elem_classes="stop-button", scale=1, min_width=80)
        status = gr.HTML(NOTHING_YET, elem_classes="status bare")
    preview = gr.Image(visible=False, elem_classes="preview", **PLAIN)
    live = make_live_preview()
    slider = gr.ImageSlider(
        visible=False, show_label=False, interactive=False, buttons=["fullscreen"], elem_classes="slider"
    )
    gallery = make_gallery(columns=4, visible=False, elem_classes="results")
    with gr.Row(equal_height=True):
        button = {"visible": False, "size": "md", "min_width": 140}
        picture = gr.DownloadButton("Download picture", elem_classes="download-picture", **button)
        zip_file = gr.DownloadButton("Download all (zip)", elem_classes="download-all", **button)
    use = gr.Button("Use this result as the picture", elem_classes="use-result", visible=False, size="md")
    further = gr.Column(visible=False)
    results = gr.State()
    return ResultPanel(status, edit, stop, preview, live, slider, gallery, picture, zip_file, use, further, results)


def make_gallery(pictures: list | None = None, *, object_fit: str = "cover", **options: object) -> gr.Gallery:
    """A gallery in which one picture can be chosen."""
    return gr.Gallery(pictures, height="auto", object_fit=object_fit, allow_preview=False, **PLAIN, **options)

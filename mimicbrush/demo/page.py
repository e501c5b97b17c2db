"""The page: title, tabs, theme; nothing in it comes from another machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import resources

import gradio as gr

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.studio import Studio
from mimicbrush.demo.tabs import TABS
from mimicbrush.demo.workspace import KEPT_SECONDS, Workspace
from mimicbrush.requests import EditRequest

TITLE = "MimicBrush"
INTRODUCTION = (
    "# MimicBrush\nPaint over a part of a picture and show a reference: that part is repainted so that it imitates"
    " what matches it there. Everything else stays as it is."
)
ABOUT_SHIPPED_WEIGHTS = (
    "These are the small weights that come with the package: a demonstration that sees 64 x 64 pixels, so results are"
    " blurred, and colours far from those that it was trained on are missed. Start the page with `--weights` for"
    " others."
)
STYLE = (resources.files("mimicbrush") / "demo" / "page.css").read_text(encoding="utf-8")
FONTS = ("system-ui", "sans-serif")
THEME = gr.themes.Default(primary_hue="indigo", font=FONTS, font_mono=("ui-monospace", "monospace")).set(
    block_info_text_color="*neutral_600", block_info_text_color_dark="*neutral_300"
)


def build_page(studios: dict[type[EditRequest], Studio], config: DemoConfig, workspace: Workspace) -> gr.Blocks:
    """A tab for each editor, named by the class of requests that it answers; a single one needs no tab."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(3600, KEPT_SECONDS), fill_width=False) as page:
        gr.Markdown(INTRODUCTION)
        if config.loads_weights and config.weights == "asset:tiny":
            gr.Markdown(ABOUT_SHIPPED_WEIGHTS, elem_classes="notice")
        if len(studios) == 1:
            ((kind, studio),) = studios.items()
            TABS[kind].build(studio, config, workspace)
        else:
            for kind, studio in studios.items():
                with gr.Tab(TABS[kind].title):
                    TABS[kind].build(studio, config, workspace)
        page.unload(_leave(studios.values()))
    return page


def _leave(studios: Iterable[Studio]) -> Callable[[gr.Request], None]:
    """Nobody is there to see the edits of a visitor who closed the page."""

    def leave(request: gr.Request) -> None:
        for studio in studios:
            studio.stop(request.session_hash)

    return leave

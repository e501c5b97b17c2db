"""The page: title, tabs, theme; it loads nothing from other machines."""

from __future__ import annotations

from importlib import resources

import gradio as gr

from mimicbrush.demo import painter
from mimicbrush.demo.atlases.clip_editors import ClipEditors
from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.controls import Tab
from mimicbrush.demo.motion import motion_handles
from mimicbrush.demo.saving import saved_tabs
from mimicbrush.demo.shared_editor import SharedEditor
from mimicbrush.demo.tabs import TABS, atlas_tab
from mimicbrush.demo.temporary_folders import KEPT_SECONDS, TemporaryFolders
from mimicbrush.requests import EditRequest, ReferenceRequest

TITLE = "MimicBrush"
ABOUT_SHIPPED_WEIGHTS = (
    "These are the small weights that come with the package: a demonstration that sees 64 x 64 pixels and knows simple"
    " rendered things, such as those of the examples. Photographs become blurred. Start the page with"
    " <code>--weights</code> for others."
)
STYLE = (
    (resources.files("mimicbrush") / "demo" / "page.css").read_text(encoding="utf-8")
    + painter.STYLE
    + motion_handles.STYLE
    + saved_tabs.STYLE
)
FONTS = ("system-ui", "sans-serif")
THEME = gr.themes.Default(primary_hue="indigo", font=FONTS, font_mono=("ui-monospace", "monospace")).set(
    block_info_text_color="*neutral_600",
    block_info_text_color_dark="*neutral_300",
    checkbox_border_color="*neutral_500",  # seen against what is behind it, also without a tick
    checkbox_border_color_dark="*neutral_400",
    button_primary_background_fill="*primary_600",  # white on 500 has too little contrast
    button_primary_background_fill_hover="*primary_700",
)


def build_page(
    editors: dict[type[EditRequest], SharedEditor], config: DemoConfig, folders: TemporaryFolders
) -> gr.Blocks:
    """Build a page with a tab for each editor; a single editor needs no tabs. editors: by class of requests."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(3600, KEPT_SECONDS), fill_width=True) as page:
        tabs = [(TABS[kind], editor) for kind, editor in editors.items()]
        if config.atlases is not None:
            tabs.append((atlas_tab.TAB, ClipEditors(editors[ReferenceRequest])))
        gr.HTML(f"<h1>{TITLE}</h1>", elem_classes="bare")
        if config.loads_weights and config.weights == "asset:tiny":
            gr.HTML(ABOUT_SHIPPED_WEIGHTS, elem_classes="notice bare")
        if len(tabs) == 1:
            ((tab, editor),) = tabs
            _build_tab(tab, editor, config, folders)
        else:
            with gr.Tabs(overflow_behavior="wrap"):
                for tab, editor in tabs:
                    with gr.Tab(tab.title, id=tab.title):  # by which the browser remembers the open tab
                        _build_tab(tab, editor, config, folders)
        saved_tabs.make_saving()
    return page


def _build_tab(tab: Tab, editor: SharedEditor, config: DemoConfig, folders: TemporaryFolders) -> None:
    """Draw a tab below a sentence about its kind of edit.

    In HTML, because Gradio's component for Markdown is 27 kB, more than half a second on a slow line.
    """
    gr.HTML(f"<p>{tab.introduction}</p>", elem_classes="bare")
    tab.build(editor, config, folders)

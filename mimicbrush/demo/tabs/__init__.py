"""The tabs of the page: one module for each kind of request, with its controls and its handlers."""

from mimicbrush.demo.controls import Tab
from mimicbrush.demo.tabs import clip_tab, layer_tab, motion_tab, reference_tab, text_tab
from mimicbrush.requests import EditRequest

TABS: dict[type[EditRequest], Tab] = {
    tab.config_class.request_class: tab
    for tab in (reference_tab.TAB, text_tab.TAB, layer_tab.TAB, motion_tab.TAB, clip_tab.TAB)
}
"""The tabs by the class of their requests, in the order of the page; a new kind of request adds its tab here."""

"""A page with all kinds of tabs: on a phone, and after a reload."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.page import build_page
from mimicbrush.demo.server import launch
from mimicbrush.demo.shared_editor import SharedEditor
from mimicbrush.demo.tabs import TABS
from mimicbrush.editors.baselines import NamedColours, PlainWarp
from mimicbrush.requests import LayerRequest, MotionRequest, TextRequest, VideoRequest
from tests.demo.browsing import PHONE, serious_findings
from tests.demo.conftest import free_port, make_folders, write_picture
from tests.demo.test_clip_tab import PaintsLeft
from tests.editors.example_layer_editor import RedLayer

pytestmark = pytest.mark.browser

EDITORS = {TextRequest: NamedColours, LayerRequest: RedLayer, MotionRequest: PlainWarp, VideoRequest: PaintsLeft}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a page with four kinds of edits."""
    kinds = {TABS[kind].config_class.kind: f"{each.__module__}.{each.__name__}" for kind, each in EDITORS.items()}
    editors = {kind: {"class_path": path} for kind, path in kinds.items()}
    config = DemoConfig(device="cpu", port=free_port(), editors=editors | {"reference": editors["text"]})
    with make_folders(tmp_path_factory.mktemp("folders")) as folders:
        shared = {kind: SharedEditor(each(), config.limits) for kind, each in EDITORS.items()}
        page = build_page(shared, config, folders)
        yield launch(page, config, folders)
        page.close()


def test_all_tabs_are_in_reach_on_a_phone_and_the_open_one_comes_back(visit):
    page = visit(PHONE, has_touch=True, is_mobile=True)
    problems = []
    page.on("pageerror", lambda problem: problems.append(str(problem)))
    tabs = page.get_by_role("tab")
    names = [TABS[kind].title for kind in EDITORS]
    assert tabs.all_inner_texts() == names
    for name in names:
        tab = page.get_by_role("tab", name=name, exact=True)
        box = tab.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"]
        tab.tap()
        page.locator(".painter-drop >> visible=true").first.wait_for()
    assert not page.locator(".painter-drop-how >> visible=true").count()  # nothing can be dropped on a phone
    page.reload()
    opened = page.locator("[role=tab][aria-selected=true]", has_text=names[-1])
    opened.wait_for()
    later = page.context.new_page()
    later.goto(page.url)
    later.locator("[role=tab][aria-selected=true]", has_text=names[-1]).wait_for()
    assert not problems


def test_a_tab_takes_the_picture_of_another(visit, tmp_path):
    page = visit()
    place = ".source:visible"
    page.locator(f"{place} .painter-drop input").set_input_files(write_picture(tmp_path / "cat.png", size=(120, 90)))
    page.locator(f"{place} .painter-mask[width='120']").wait_for(state="attached")
    tools = page.locator(f"{place} .painter-tools").bounding_box()
    assert tools["y"] + tools["height"] <= page.viewport_size["height"]  # the page has scrolled to them
    page.get_by_role("tab", name="Move", exact=True).click()
    page.get_by_role("button", name="Use the picture of another tab").click()
    page.locator(f"{place} .painter-mask[width='120']").wait_for(state="attached")
    assert not page.locator(".painter-other:visible").count()


def test_axe_finds_nothing_serious_on_any_tab(visit):
    page = visit()
    for kind in EDITORS:
        page.get_by_role("tab", name=TABS[kind].title, exact=True).click()
        page.locator(".painter-drop >> visible=true").first.wait_for()
        assert not serious_findings(page), kind

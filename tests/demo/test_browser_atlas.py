"""Editing a clip with its atlas in the browser: upload, frame, painting, edit, and the players of the result."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.page import build_page
from mimicbrush.demo.server import launch
from mimicbrush.demo.shared_editor import SharedEditor
from mimicbrush.requests import ReferenceRequest
from tests.demo.browsing import coverage, drag, press_edit, upload, wait_for_coverage, wait_for_value
from tests.demo.conftest import free_port, make_folders, write_picture
from tests.demo.test_atlas_tab import NUM_FRAMES, PaintsGreen, write_clip_and_atlas
from tests.demo.test_browser_clip import PLAYS
from tests.demo.test_browser_saving import reload, wait_until_saved

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip_and_atlas(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def url(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a page with a tab for references and one for clips with an atlas."""
    spec = {"class_path": "tests.demo.test_atlas_tab.PaintsGreen"}
    config = DemoConfig(
        device="cpu",
        port=free_port(),
        editors={"reference": spec},
        atlases=clip.with_name("atlases"),
        layer_clip="asset:clip",
    )
    with make_folders(tmp_path_factory.mktemp("folders")) as folders:
        page = build_page({ReferenceRequest: SharedEditor(PaintsGreen(), config.limits)}, config, folders)
        yield launch(page, config, folders)
        page.close()


def test_a_frame_is_painted_and_the_edit_is_played(visit, clip, tmp_path):
    page = visit()
    page.get_by_role("tab", name="Clip with its atlas").click()
    page.locator(".clip input[type=file]").set_input_files(clip)
    page.get_by_text("Its atlas was found: square").wait_for()
    page.locator(".atlas .painter-canvas").wait_for()
    first = page.locator(".atlas img").first.get_attribute("src")
    page.get_by_label("number input for Frame").fill(str(NUM_FRAMES))
    page.wait_for_function("(first) => document.querySelector('.atlas img').src !== first", arg=first)
    page.get_by_text("A prompt, for the object").click()
    page.get_by_role("textbox", name="Prompt").wait_for()
    page.get_by_text("A reference, for the painted part").click()
    upload(page, "clip-reference", write_picture(tmp_path / "r.png"))
    drag(page, "atlas", (0.4, 0.5), (0.6, 0.5))
    press_edit(page)
    video = page.locator(".side-by-side video")
    video.wait_for()
    assert video.evaluate(PLAYS) == 776
    painted = coverage(page, "atlas")
    wait_until_saved(page, f'"number":{NUM_FRAMES}')
    reload(page)
    page.get_by_role("tab", name="Clip with its atlas").click()
    page.get_by_text("Its atlas was found: square").wait_for()
    page.locator(".atlas .painter-canvas").wait_for()
    assert painted > 0
    wait_for_coverage(page, painted, "atlas")
    wait_for_value(page, "number input for Frame", str(NUM_FRAMES))
    page.locator(".examples img >> visible=true").first.click()
    page.get_by_text("Its atlas was found: fish").wait_for()
    page.locator(".atlas .painter-mask[width='64']").wait_for(state="attached")
    wait_until_saved(page, '"number":4')
    press_edit(page)

"""Replacing an object in a clip in the browser: upload, edit, and the players of the result."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.page import build_page
from mimicbrush.demo.server import launch
from mimicbrush.demo.shared_editor import SharedEditor
from mimicbrush.requests import VideoRequest
from mimicbrush.video.clip_writer import write_h264
from tests.demo.browsing import press_edit, upload
from tests.demo.conftest import free_port, make_folders, write_picture
from tests.demo.test_clip_tab import PaintsLeft

pytestmark = pytest.mark.browser

PLAYS = "(video) => new Promise((done) => { if (video.readyState > 0) done(video.videoWidth);"
PLAYS += " video.onloadedmetadata = () => done(video.videoWidth); video.onerror = () => done(0); })"
"""Width of a video's frames once the browser has read them; 0 where it cannot play it."""

DURATION = PLAYS.replace("videoWidth", "duration")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a page that only edits clips."""
    spec = {"class_path": "tests.demo.test_clip_tab.PaintsLeft"}
    config = DemoConfig(device="cpu", port=free_port(), editors={"video": spec})
    with make_folders(tmp_path_factory.mktemp("folders")) as folders:
        page = build_page({VideoRequest: SharedEditor(PaintsLeft(), config.limits)}, config, folders)
        yield launch(page, config, folders)
        page.close()


def test_a_clip_is_uploaded_trimmed_edited_and_played(visit, tmp_path):
    write_h264(tmp_path / "clip.mp4", [np.full((96, 128, 3), 20 * number, np.uint8) for number in range(8)], fps=8)
    page = visit()
    fetched = []
    page.on("request", lambda request: fetched.append(request.url))
    page.locator(".clip input[type=file]").set_input_files(tmp_path / "clip.mp4")
    clip = page.locator(".clip video")
    assert clip.evaluate(DURATION) == pytest.approx(1, abs=0.1)
    assert not any("ffmpeg" in address for address in fetched)
    _trim(page)
    assert any("ffmpeg-core.wasm" in address for address in fetched)
    assert clip.evaluate(DURATION) == pytest.approx(0.5, abs=0.15)
    upload(page, "source", write_picture(tmp_path / "target.png"))
    page.get_by_label("Clip as it is").fill("grey")
    page.get_by_label("Clip after the edit").fill("a hat")
    press_edit(page)
    for place, width in (("side-by-side", 776), ("overlay", 384)):
        video = page.locator(f".{place} video")
        video.wait_for()
        assert video.evaluate(PLAYS) == width
    assert page.locator(".slider").is_hidden()


def _trim(page):
    """Cut the second half of the clip off, in the browser."""
    before = page.locator(".clip video").get_attribute("src")
    page.get_by_label("Trim video to selection").click()
    end, timeline = page.get_by_label("end drag handle"), page.locator("#timeline")
    end.hover()
    page.mouse.down()
    box = timeline.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    page.get_by_role("button", name="Trim", exact=True).click()
    page.wait_for_function("(before) => document.querySelector('.clip video').src !== before", arg=before)

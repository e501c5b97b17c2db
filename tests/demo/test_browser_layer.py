"""A layer from prompts in the browser: seen while it is drawn, stopped, faded and downloaded."""

from __future__ import annotations

import io
import json
import zipfile
from time import sleep

import numpy as np
import pytest
from PIL import Image

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.page import build_page
from mimicbrush.demo.server import launch
from mimicbrush.demo.shared_editor import SharedEditor
from mimicbrush.requests import LayerRequest
from tests.demo.browsing import STATUS, download, drag, press_edit, upload
from tests.demo.conftest import free_port, make_folders
from tests.editors.example_layer_editor import RedLayer

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """Address of a page that only draws layers."""
    editors = {"layer": {"class_path": "tests.editors.example_layer_editor.RedLayer"}}
    with make_folders(tmp_path_factory.mktemp("folders")) as folders, pytest.MonkeyPatch.context() as patch:
        config = DemoConfig(editors=editors, port=free_port())
        patch.setattr(RedLayer, "before_step", staticmethod(lambda step: sleep(0.1)))
        page = build_page({LayerRequest: SharedEditor(RedLayer(num_steps=100), config.limits)}, config, folders)
        yield launch(page, config, folders)
        page.close()


def test_a_layer_is_watched_stopped_faded_and_downloaded(visit, pictures):
    page = visit()
    upload(page, "source", pictures[0])
    press_edit(page, "No prompt yet; describe the edited picture.")
    page.get_by_label("Prompt").first.fill("a red ball")
    press_edit(page, "of 100")
    # The composite is seen in its place on the canvas, and the layer beside it.
    page.locator(".source .live-picture").wait_for()
    layer = page.locator(".preview img")
    layer.wait_for()
    assert layer.evaluate("(picture) => picture.naturalWidth / picture.naturalHeight") == pytest.approx(4 / 3, rel=0.01)
    page.locator("button.stop-button").click()
    page.locator(STATUS, has_text="Stopped after step").wait_for()
    page.locator(".layers img").nth(1).wait_for()
    picture = Image.open(io.BytesIO(download(page, "download-picture")))
    step = json.loads(picture.text["mimicbrush"])["stop_after"]
    source, opacity = np.asarray(Image.open(pictures[0])), step / 100
    assert 1 <= step < 100
    assert np.abs(np.asarray(picture) - ((1 - opacity) * source + opacity * np.array([255, 0, 0]))).max() <= 1

    page.get_by_label("number input for Opacity of the layer, %").fill("50")
    page.locator(STATUS, has_text="Opacity 50 %.").wait_for()
    layer = Image.open(io.BytesIO(download(page, "download-layer")))
    assert layer.mode == "RGBA" and np.abs(np.asarray(layer)[..., 3] - 255 * opacity / 2).max() <= 1
    with zipfile.ZipFile(io.BytesIO(download(page, "download-all"))) as archive:
        faded = np.asarray(Image.open(io.BytesIO(archive.read("edit/result.png"))))
        assert "--replay result.png" in archive.read("edit/replay.txt").decode()
    assert np.abs(faded - ((1 - opacity / 2) * source + opacity / 2 * np.array([255, 0, 0]))).max() <= 1

    drag(page, "source", (0.25, 0.5), (0.45, 0.5))
    press_edit(page)
    after = np.asarray(Image.open(io.BytesIO(download(page, "download-picture"))))
    assert (after[120, 85:140] == (255, 0, 0)).all() and np.array_equal(after[:, 200:], source[:, 200:])

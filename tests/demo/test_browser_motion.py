"""Moving an object in the browser: by mouse, touch and keyboard, and as in two frames."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from time import sleep

import numpy as np
import pytest
from PIL import Image

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.page import build_page
from mimicbrush.demo.server import launch
from mimicbrush.demo.shared_editor import SharedEditor
from mimicbrush.editors.baselines import PlainWarp
from mimicbrush.requests import Edited, MotionRequest, OnProgress
from tests.demo.browsing import HEIGHT, PHONE, STATUS, WIDTH, download, drag, press_edit, upload, wait_for_width
from tests.demo.conftest import free_port, make_folders, write_picture
from tests.demo.test_browser_saving import reload, wait_until_saved
from tests.demo.test_two_frames import STEP, phase_correlation, write_clip

pytestmark = pytest.mark.browser

OBJECT = (80, 60, 160, 120)
"""Left, top, right, bottom of the painted box."""
NUM_STEPS = 20


class SteppedWarp(PlainWarp):
    """A warp in steps, which leave time for pressing a button; each preview is darker than the last one."""

    seconds = 0.0

    def edit(self, request: MotionRequest, *, on_progress: OnProgress | None = None) -> Edited:
        edited = super().edit(request)
        for step in range(1, NUM_STEPS + 1):
            sleep(self.seconds)
            if on_progress is not None:
                on_progress(step / NUM_STEPS, lambda step=step: Edited(edited.frames / step))
        return edited


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a page that only moves objects."""
    spec = {"class_path": "tests.demo.test_browser_motion.SteppedWarp"}
    config = DemoConfig(device="cpu", port=free_port(), editors={"motion": spec})
    with make_folders(tmp_path_factory.mktemp("folders")) as folders, pytest.MonkeyPatch.context() as patch:
        patch.setattr("mimicbrush.demo.motion.motion_handlers.dis_flow", lambda: phase_correlation)
        page = build_page({MotionRequest: SharedEditor(SteppedWarp(), config.limits)}, config, folders)
        yield launch(page, config, folders)
        page.close()


@pytest.fixture
def source(tmp_path):
    return write_picture(tmp_path / "photo.png", size=(WIDTH, HEIGHT))


def paint_and_show(page, mode: str = "move") -> None:
    """Paint the object, and show its handles."""
    page.locator(".source [data-tool=box]").click()
    left, top, right, bottom = OBJECT
    drag(page, "source", (left / WIDTH, top / HEIGHT), (right / WIDTH, bottom / HEIGHT))
    page.locator(f"[data-mode={mode}]").click()
    page.locator(".handles-body").wait_for()
    page.locator(".handles-layer").scroll_into_view_if_needed()


def pull(page, handle: str, right: float, down: float, *, drop: bool = True) -> None:
    """Drag a handle by pixels of the picture."""
    scale = page.locator(".handles-layer").bounding_box()["width"] / WIDTH
    box = page.get_by_role("slider", name=handle, exact=True).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + right * scale, y + down * scale, steps=3)
    if drop:
        page.mouse.up()


def words(page) -> str:
    return page.locator(".handles-words").inner_text()


def numbers(page) -> dict[str, list[float]]:
    """The numbers that follow each word of the motion."""
    return {step.split()[0]: list(map(float, step.split()[1:])) for step in words(page).split(";")}


def settings_of(picture: bytes) -> dict:
    return json.loads(Image.open(io.BytesIO(picture)).text["mimicbrush"])


def pixels(encoded: object) -> np.ndarray:
    return np.asarray(Image.open(encoded).convert("RGB")).astype(int)


def test_the_mouse_moves_the_object_and_the_edit_shows_it_there(visit, source):
    page = visit()
    upload(page, "source", source)
    page.locator("[data-mode=move]").click()
    page.locator(".handles .painter-error", has_text="nothing is painted yet").wait_for()
    paint_and_show(page)
    pull(page, "Move", 100, 50, drop=False)
    assert words(page) == "translate 100 50" and page.locator(".handles-object").is_visible()
    assert page.locator(".handles-arrows").get_attribute("d").count("M") > 40
    assert not page.locator(".handles-warped").is_visible()
    page.mouse.up()
    page.locator(".handles-warped").wait_for()
    assert page.locator(".handles-mask").is_visible() and not page.locator(".handles-object").is_visible()
    page.locator(".handles-shows-mask").uncheck()
    assert not page.locator(".handles-mask").is_visible()
    press_edit(page)
    page.locator(".source").get_by_role("button", name="Eraser").click()
    assert page.locator("[data-mode=paint]").get_attribute("aria-pressed") == "true"
    result = download(page, "download-picture")
    assert settings_of(result)["move"] == "translate 100 50" and settings_of(result)["kind"] == "motion"
    before, after = pixels(source), pixels(io.BytesIO(result))
    left, top, right, bottom = OBJECT
    assert np.array_equal(after[top + 50 : bottom + 50, left + 100 : right + 100], before[top:bottom, left:right])
    with zipfile.ZipFile(io.BytesIO(download(page, "download-all"))) as archive:
        assert {"edit/source.png", "edit/mask.png", "edit/result.png", "edit/result-mask.png"} <= set(
            archive.namelist()
        )


def test_handles_turn_scale_stretch_and_bend_the_object(visit, source):
    page = visit()
    upload(page, "source", source)
    paint_and_show(page)
    pull(page, "Scale at the bottom right", 40, 30)
    assert words(page) == "scale 1.5; translate 20 15"
    pull(page, "Stretch at the left", 60, 40)
    assert words(page) == "stretch 0.75 1.5; translate 50 15"
    middle = (OBJECT[0] + OBJECT[2]) / 2 + 50, (OBJECT[1] + OBJECT[3]) / 2 + 15
    turn = page.get_by_role("slider", name="Turn").bounding_box()
    layer = page.locator(".handles-layer").bounding_box()
    radius = middle[1] - (turn["y"] + turn["height"] / 2 - layer["y"]) / layer["width"] * WIDTH
    pull(page, "Turn", radius, radius)
    assert numbers(page)["rotate"] == pytest.approx([90], abs=0.5)
    for _ in range(3):
        page.get_by_text("Undo move").click()
    assert not page.locator(".handles-words").is_visible() and page.get_by_text("Undo move").is_disabled()
    pull(page, "Bend", 0, -10, drop=False)
    assert words(page) == "bend 57" and page.locator(".handles-arrows").get_attribute("d").count("M") > 40
    assert len(page.locator(".handles-body").get_attribute("points").split()) > 4
    page.mouse.up()
    page.locator(".handles-warped").wait_for()
    page.get_by_text("Undo move").click()
    page.locator("[data-mode=corners]").click()
    pull(page, "Corner at the top left", 20, 10)
    assert words(page) == "homography 20 10 0 0 0 0 0 0"
    pull(page, "Corner at the bottom right", -70, -50)  # beyond the diagonal, which would make a dent
    assert numbers(page)["homography"][:4] == [20, 10, 0, 0]
    last = numbers(page)["homography"][4]
    assert -70 < last < 0
    page.locator(".handles-warped").wait_for()
    assert not page.locator(".handles .painter-error").is_visible()


def test_the_keyboard_moves_the_object(visit, source):
    page = visit()
    upload(page, "source", source)
    paint_and_show(page)
    grips = page.locator(".handles-drawing [tabindex]")
    names = grips.evaluate_all("(grips) => grips.map((grip) => grip.getAttribute('aria-label'))")
    assert len(set(names)) == len(names) == 11 and all(names)
    page.locator(".handles-body").focus()
    for key in ("ArrowRight", "ArrowRight", "Shift+ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
    assert words(page) == "translate 2 9"
    assert page.get_by_role("slider", name="Move").get_attribute("aria-valuetext") == "2 pixels to the right, 9 down"
    page.locator(".handles-warped").wait_for()
    page.get_by_role("slider", name="Turn").focus()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert words(page) == "rotate 14; translate 2 9"
    page.get_by_role("slider", name="Stretch at the right").focus()
    page.keyboard.press("Shift+ArrowRight")
    assert numbers(page)["stretch"][0] == pytest.approx(1 + 10 / 80 * np.cos(np.radians(14)), abs=0.005)
    page.wait_for_function("document.querySelector('.handles-warped:not([hidden])') !== null")
    page.get_by_role("slider", name="Bend").focus()
    page.keyboard.press("Shift+ArrowUp")
    assert numbers(page)["bend"] == [15]
    page.wait_for_function("document.querySelector('.handles-warped:not([hidden])') !== null")
    while page.get_by_text("Undo move").is_enabled():  # on a busy machine, keys make more steps
        page.get_by_text("Undo move").press("Enter")
    assert not page.locator(".handles-words").is_visible()
    pull(page, "Move", 30, 0, drop=False)
    page.keyboard.press("Escape")
    page.mouse.up()
    assert not page.locator(".handles-words").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_finger_moves_the_object_on_a_phone(visit, source, scheme):
    page = visit(PHONE, has_touch=True, is_mobile=True, color_scheme=scheme)
    upload(page, "source", source)
    canvas = page.locator(".source .painter-canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.locator("[data-mode=move]").tap()
    body = page.locator(".handles-body")
    body.wait_for()
    page.locator(".handles-layer").scroll_into_view_if_needed()
    before, shown = page.evaluate("scrollY"), body.bounding_box()
    x, y = shown["x"] + shown["width"] / 2, shown["y"] + shown["height"] / 2
    scale = page.locator(".handles-layer").bounding_box()["width"] / WIDTH
    session = page.context.new_cdp_session(page)
    for kind, points in (
        ("touchStart", [{"x": x, "y": y}]),
        ("touchMove", [{"x": x + 20 * scale, "y": y - 20 * scale}]),
        ("touchMove", [{"x": x + 40 * scale, "y": y - 30 * scale}]),
        ("touchEnd", []),
    ):
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert words(page) == "translate 40 -30" and page.evaluate("scrollY") == before
    page.locator(".handles-warped").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    press_edit(page)
    assert settings_of(download(page, "download-picture"))["move"] == "translate 40 -30"


def test_an_edit_is_watched_and_stopped_and_another_picture_resets_the_handles(visit, source, tmp_path, monkeypatch):
    monkeypatch.setattr(SteppedWarp, "seconds", 1.5)
    page = visit()
    upload(page, "source", source)
    paint_and_show(page)
    pull(page, "Move", 30, 0)
    press_edit(page, f"of {NUM_STEPS}")
    page.locator(".source .live-picture").wait_for()
    page.locator("button.stop-button").click()
    page.locator(STATUS, has_text="Stopped.").wait_for()
    page.locator(".source .painter-change input").set_input_files(
        write_picture(tmp_path / "next.png", size=(100, 90), seed=3)
    )
    wait_for_width(page, 100)
    page.locator(".handles-layer").wait_for(state="hidden")
    assert not page.locator(".handles-words").is_visible()
    assert page.locator("[data-mode=paint]").get_attribute("aria-pressed") == "true"
    page.locator("button.edit-button").click()
    page.locator(STATUS, has_text="No motion yet; press Move").wait_for()


def test_the_motion_of_two_frames_moves_what_is_painted(visit, tmp_path):
    page = visit()
    page.get_by_text("Take the motion from two frames").click()
    (tmp_path / "list.mp4").write_text("#EXTM3U\nfile:///etc/hostname\n")
    page.locator(".handles-file").set_input_files(tmp_path / "list.mp4")
    page.locator(".handles .painter-error", has_text="list.mp4: cannot be read as a clip").wait_for()
    page.locator(".handles-file").set_input_files(write_clip(tmp_path / "clip.mp4"))
    wait_for_width(page, 128)
    page.locator(".handles-to").fill("0.2")
    page.locator(".handles-to").press("Tab")
    page.locator(".handles.painter-busy").wait_for(state="detached")
    drag(page, "source", (0.3, 0.5), (0.5, 0.5))
    page.locator("[data-mode=move]").click()
    page.locator(".handles-warped").wait_for()
    assert page.locator(".handles-arrows").get_attribute("d").count("M") > 3
    assert not page.locator(".handles-grips").is_visible()
    press_edit(page)
    result = download(page, "download-picture")
    assert settings_of(result)["flow"] == "flow.npz" and settings_of(result)["move"] is None
    with zipfile.ZipFile(io.BytesIO(download(page, "download-all"))) as archive:
        flow = np.load(io.BytesIO(archive.read("edit/flow.npz")))["flow"]
    assert flow.shape == (1, 2, 96, 128) and flow[0, :, 48, 50].tolist() == [2 * STEP, 0]
    wait_until_saved(page, '"saved_frames":[{')
    reload(page)
    page.locator(".handles-chosen:not([hidden])").wait_for(state="attached")
    page.locator("[data-mode=move]").click()
    page.locator(".handles-warped").wait_for()
    page.get_by_text("Take the motion from two frames").click()
    assert page.locator(".handles-to").input_value() == "0.2"
    press_edit(page)
    assert settings_of(download(page, "download-picture"))["flow"] == "flow.npz"


def test_the_motion_of_an_example_wins_over_the_restore(visit, source, comes_late):
    page = visit()
    upload(page, "source", source)
    paint_and_show(page)
    pull(page, "Move", 100, 50)
    wait_until_saved(page, "translate 100 50")
    reload(page)
    page.locator(".handles-words", has_text="translate 100 50").wait_for()
    with comes_late():
        reload(page)
        page.locator(".examples img").first.click()
        page.locator(".handles-words", has_text="translate 0 -90").wait_for()
    page.wait_for_timeout(1000)
    assert words(page) == "translate 0 -90"

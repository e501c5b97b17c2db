"""The page in Debian's Chromium: nothing is downloaded, and nothing but the page is asked for."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from time import sleep

import numpy as np
import pytest
from PIL import Image

from mimicbrush.demo.page import build_page
from mimicbrush.demo.server import launch
from mimicbrush.demo.studio import Studio
from mimicbrush.demo.workspace import Workspace
from mimicbrush.requests import ReferenceRequest
from tests.demo.conftest import free_port, write_picture

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
WIDTH, HEIGHT = 320, 240
STATUS = ".block.status"
MILLISECONDS = 60_000
"""A busy machine may take that long."""


@pytest.fixture(scope="module")
def browser():
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("needs chromium (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture
def url(pipe, config, workspace: Workspace) -> Iterator[str]:
    config = replace(config, port=free_port(), num_inference_steps=3)
    page = build_page({ReferenceRequest: Studio(pipe, config.limits)}, config, workspace)
    yield launch(page, config)
    page.close()


@pytest.fixture
def slowly(pipe) -> Iterator[None]:
    """Steps that leave time to press a button."""
    hook = pipe.unet.register_forward_pre_hook(lambda *_: sleep(0.3))
    yield
    hook.remove()


@pytest.fixture
def visit(browser, url: str) -> Iterator[Callable]:
    """Opens the page as another visitor; at the end no request may have left this machine."""
    contexts, asked = [], set()

    def visit(viewport: dict = DESKTOP, **options: object):
        contexts.append(browser.new_context(viewport=viewport, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(MILLISECONDS)
        page.on("request", lambda request: asked.add(request.url))
        page.goto(url)
        page.locator(".source .painter-drop").wait_for()
        return page

    yield visit
    for context in contexts:
        context.close()
    strangers = [address for address in asked if not address.startswith((url, "data:", "blob:"))]
    assert asked and not strangers


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[Path, Path]:
    return (
        write_picture(tmp_path / "photo.png", size=(WIDTH, HEIGHT)),
        write_picture(tmp_path / "other.png", size=(100, 80), seed=1),
    )


def upload(page, place: str, path: Path) -> None:
    page.locator(f".{place} .painter-drop input").set_input_files(path)
    page.locator(f".{place} .painter-canvas").wait_for()


def drag(page, place: str, *points: tuple[float, float]) -> None:
    """Draw with the mouse through points in fractions of the picture."""
    canvas = page.locator(f".{place} .painter-canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*at[0])
    page.mouse.down()
    for point in at:
        page.mouse.move(*point, steps=4)
    page.mouse.up()


def press_edit(page, expected: str = "Done in") -> None:
    page.locator("button.edit-button").click()
    page.locator(STATUS, has_text=expected).wait_for()


def download(page, button: str) -> bytes:
    with page.expect_download() as started:
        page.locator(f".{button}").click()
    return Path(started.value.path()).read_bytes()


def downloaded_mask(page) -> np.ndarray:
    with zipfile.ZipFile(io.BytesIO(download(page, "download-all"))) as archive:
        return np.asarray(Image.open(io.BytesIO(archive.read("edit/mask.png"))))


def test_what_is_painted_changes_and_nothing_else(visit, pictures):
    page = visit()
    upload(page, "source", pictures[0])
    upload(page, "reference", pictures[1])
    drag(page, "source", (0.25, 0.5), (0.45, 0.5))
    drag(page, "reference", (0.1, 0.1), (0.8, 0.9))
    press_edit(page)
    picture = Image.open(io.BytesIO(download(page, "download-picture")))
    settings = json.loads(picture.text["mimicbrush"])
    assert settings["source"] == "source.png" and settings["num_inference_steps"] == 3
    np.testing.assert_allclose(settings["reference_box"], [10, 8, 80, 72], atol=2)
    before, after, mask = np.asarray(Image.open(pictures[0])), np.asarray(picture), downloaded_mask(page)
    assert mask.shape == (HEIGHT, WIDTH) and mask[120, 80:145].all() and not mask[:, 200:].any() and not mask[:80].any()
    assert (before != after).any(axis=-1)[mask > 0].mean() > 0.9
    changed = np.argwhere((before != after).any(axis=-1))
    painted = np.argwhere(mask > 0)
    assert (changed.min(axis=0) >= painted.min(axis=0) - 12).all()
    assert (changed.max(axis=0) <= painted.max(axis=0) + 12).all()


def test_further_references_are_added_and_removed(visit, pictures, tmp_path):
    page = visit()
    upload(page, "source", pictures[0])
    upload(page, "reference", pictures[1])
    drag(page, "source", (0.25, 0.5), (0.45, 0.5))
    page.get_by_text("Further references").click()
    upload(page, "reference-2", write_picture(tmp_path / "side.png", size=(100, 80), seed=2))
    upload(page, "reference-3", write_picture(tmp_path / "back.png", size=(100, 80), seed=3))
    drag(page, "reference-3", (0.1, 0.1), (0.8, 0.9))
    page.locator(".reference-2").get_by_text("Remove").click()
    page.locator(".reference-2 .painter-drop").wait_for()
    press_edit(page)
    settings = json.loads(Image.open(io.BytesIO(download(page, "download-picture"))).text["mimicbrush"])
    assert settings["reference"] == ["reference.png", "reference-2.png"]
    assert settings["reference_box"][0] is None
    np.testing.assert_allclose(settings["reference_box"][1], [10, 8, 80, 72], atol=2)
    page.locator(".examples img").first.click()
    page.locator(".reference-3 .painter-drop").wait_for()


def test_box_eraser_undo_and_clear(visit, pictures):
    page = visit()
    upload(page, "source", pictures[0])
    upload(page, "reference", pictures[1])
    tools = page.locator(".source .painter-tools")
    drag(page, "source", (0.1, 0.1), (0.2, 0.1))
    tools.get_by_text("Clear").click()
    tools.get_by_text("Box").click()
    drag(page, "source", (0.75, 0.75), (0.25, 0.25))
    tools.get_by_text("Eraser").click()
    drag(page, "source", (0.5, 0.1), (0.5, 0.9))
    tools.get_by_text("Brush").click()
    drag(page, "source", (0.9, 0.9), (0.95, 0.9))
    tools.get_by_text("Undo").click()
    press_edit(page)
    mask = downloaded_mask(page)
    assert mask[120, 90] and mask[170, 230] and not mask[120, 160]
    assert not mask[20].any() and not mask[:, 270:].any()
    rows, columns = np.nonzero(mask)
    np.testing.assert_allclose([rows.min(), rows.max(), columns.min(), columns.max()], [60, 179, 80, 239], atol=2)


def test_a_mask_is_uploaded_or_refused(visit, pictures, tmp_path):
    page = visit()
    upload(page, "source", pictures[0])
    upload(page, "reference", pictures[1])
    field = page.locator(".source .painter-mask-file")
    field.set_input_files(write_picture(tmp_path / "small.png", size=(10, 10)))
    page.locator(".source .painter-error", has_text="small.png: mask_image is 10 x 10 pixels").wait_for()
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[100:140, 50:90] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    field.set_input_files(tmp_path / "mask.png")
    page.locator(".source .painter-busy").wait_for(state="detached")
    assert not page.locator(".source .painter-error").is_visible()
    press_edit(page)
    assert np.array_equal(downloaded_mask(page), mask)


def test_stop_ends_an_edit_and_the_next_one_runs(visit, pictures, slowly):
    page = visit()
    upload(page, "source", pictures[0])
    upload(page, "reference", pictures[1])
    drag(page, "source", (0.2, 0.5), (0.4, 0.5))
    page.get_by_label("number input for Steps").fill("100")
    press_edit(page, "of 100")
    page.locator("button.stop-button").click()
    page.locator(STATUS, has_text="Stopped.").wait_for()
    page.get_by_label("number input for Steps").fill("2")
    press_edit(page)


def test_bad_uploads_and_missing_parts_are_told_in_the_page(visit, pictures, tmp_path):
    page = visit()
    page.locator("button.edit-button").click()
    page.locator(f"{STATUS} [role=alert]", has_text="No picture yet; choose one").wait_for()
    (tmp_path / "notes.png").write_text("no picture")
    field, error = page.locator(".source .painter-drop input"), page.locator(".source .painter-error")
    field.set_input_files(tmp_path / "notes.png")
    page.locator(".source .painter-error", has_text="notes.png: not a readable picture").wait_for()
    upload(page, "source", pictures[0])
    assert not error.is_visible()
    upload(page, "reference", pictures[1])
    page.locator("button.edit-button").click()
    page.locator(STATUS, has_text="Nothing is painted yet").wait_for()


def test_a_bad_upload_leaves_what_was_painted(visit, pictures, tmp_path):
    page = visit()
    upload(page, "source", pictures[0])
    upload(page, "reference", pictures[1])
    drag(page, "source", (0.25, 0.5), (0.45, 0.5))
    (tmp_path / "half.png").write_bytes(pictures[0].read_bytes()[:3000])
    page.locator(".source .painter-change input").set_input_files(tmp_path / "half.png")
    page.locator(".source .painter-error", has_text="half.png: not a readable picture").wait_for()
    assert page.locator(".source .painter-canvas").is_visible()
    drag(page, "source", (0.25, 0.25), (0.45, 0.25))
    assert not page.locator(".source .painter-error").is_visible()
    press_edit(page)
    mask = downloaded_mask(page)
    assert mask[120, 110] and mask[60, 110] and not mask[200].any()


def test_a_second_visitor_waits_and_is_told(visit, pictures, slowly):
    pages = [visit(), visit()]
    for page in pages:
        upload(page, "source", pictures[0])
        upload(page, "reference", pictures[1])
        drag(page, "source", (0.2, 0.5), (0.4, 0.5))
    pages[0].get_by_label("number input for Steps").fill("20")
    press_edit(pages[0], "of 20")
    press_edit(pages[1], "One edit comes before yours.")
    for page in pages:
        page.locator(STATUS, has_text="Done in").wait_for()


def test_several_results_are_chosen_from(visit):
    page = visit()
    page.locator(".examples img").first.click()
    page.locator(".reference .painter-canvas").wait_for()
    page.get_by_label("number input for Results").fill("3")
    press_edit(page)
    first = download(page, "download-picture")
    page.locator(".results img").nth(2).click()
    page.wait_for_timeout(1000)
    assert json.loads(Image.open(io.BytesIO(first)).text["mimicbrush"])["seed"] == 0
    third = download(page, "download-picture")
    assert json.loads(Image.open(io.BytesIO(third)).text["mimicbrush"])["seed"] == 2


def test_the_shape_that_is_kept_is_shown(visit, pictures):
    page = visit()
    upload(page, "source", pictures[0])
    page.get_by_label("Keep the shape").check()
    page.locator(".shape img").first.wait_for()
    page.get_by_label("Keep the shape").uncheck()
    page.locator(".shape").wait_for(state="hidden")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_of_it_and_paints_with_a_finger(visit, pictures, scheme):
    page = visit(PHONE, has_touch=True, is_mobile=True, color_scheme=scheme)
    assert overflow(page) <= 0
    upload(page, "source", pictures[0])
    upload(page, "reference", pictures[1])
    canvas = page.locator(".source .painter-canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.get_by_label("Keep the shape").check()
    press_edit(page)
    assert overflow(page) <= 0
    mask = downloaded_mask(page)
    assert mask[120, 160] and not mask[60, 160]


def overflow(page) -> int:
    """Pixels that one would have to scroll sideways."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")

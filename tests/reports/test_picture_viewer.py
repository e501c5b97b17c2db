"""Enlarged pictures, comparisons, the player and the export buttons in a real browser."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from mimicbrush.reports.data_table import DataTable
from mimicbrush.reports.html_page import page
from mimicbrush.reports.html_pictures import (
    Shown,
    captioned,
    card,
    enlargeable,
    enlargeable_copy,
    gallery,
    grid_style,
    picture_grid,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

COLOURS = {"source": "red", "truth": "lime", "edit": "blue"}
NUM_FRAMES = 12
WIDTH, HEIGHT = 900, 600


def sample_card(name: str, *, num_frames: int = 1) -> str:
    """A card of three pictures or clips of one colour each; frame N of a clip is darker by 20 N levels of red."""
    figures = []
    for role, colour in COLOURS.items():
        frames = [Image.new("RGB", (40, 30), colour) for _ in range(num_frames)]
        for number, frame in enumerate(frames):
            frame.paste((255 - 20 * number, 0, 0), (0, 0, 40, 10)) if num_frames > 1 else None
        shown = enlargeable(frames, role.capitalize(), role=role, key=f"{name}-{role}", frames_per_second=50)
        figures.append(captioned(shown, role.capitalize()))
    return card(name, picture_grid(figures))


@pytest.fixture
def view(browser) -> Iterator[Page]:
    view = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    view.on("pageerror", lambda error: pytest.fail(str(error)))
    view.on("request", lambda request: request.url.startswith("data:") or pytest.fail(f"asks for {request.url}"))
    yield view
    view.close()


def load(view: Page, *parts: str) -> None:
    view.set_content(page("title", parts, style=grid_style([3])))


def colour_at(view: Page, left: float, top: float) -> tuple[int, ...]:
    """Colour of the enlarged picture at shares of its width and height."""
    box = view.locator(".viewer .shown").bounding_box()
    point = {"x": box["x"] + left * box["width"], "y": box["y"] + top * box["height"], "width": 1, "height": 1}
    return Image.open(io.BytesIO(view.screenshot(clip=point))).convert("RGB").getpixel((0, 0))


def test_a_click_enlarges_and_keys_go_on_and_return_with_the_focus(view):
    load(
        view, gallery([Shown(Image.new("RGB", (32, 18), name), name) for name in ("red", "green", "blue")], height=110)
    )
    view.get_by_role("button", name="green").click()
    assert view.locator(".viewer strong").inner_text() == "green"
    box = view.locator(".viewer .shown").bounding_box()
    assert box["width"] > 0.9 * WIDTH and box["width"] / box["height"] == pytest.approx(32 / 18, abs=0.01)
    assert view.locator(".viewer .compare").is_hidden() and view.locator(".viewer .player").is_hidden()
    view.keyboard.press("ArrowRight")
    assert view.locator(".viewer .place").inner_text() == "3 of 3"
    view.keyboard.press("ArrowRight")
    assert view.locator(".viewer strong").inner_text() == "red"
    view.keyboard.press("Escape")
    assert view.locator(".viewer").is_hidden()
    # The browser tells the page that the dialog was closed a moment after it is hidden.
    view.wait_for_function("document.activeElement.querySelector('img')?.alt === 'red'")
    view.keyboard.press("Enter")
    assert view.locator(".viewer strong").inner_text() == "red"
    view.mouse.click(WIDTH / 2, HEIGHT / 2)
    assert view.locator(".viewer").is_hidden()


def test_wipe_shows_the_truth_left_of_the_edge_and_follows_mouse_and_keys(view):
    load(view, sample_card("a"))
    view.get_by_role("button", name="Edit").click()
    assert view.locator(".viewer option").all_inner_texts() == ["nothing", "Truth", "Source"]
    view.locator(".viewer select").select_option("Truth")
    assert colour_at(view, 0.25, 0.5) == (0, 255, 0) and colour_at(view, 0.75, 0.5) == (0, 0, 255)
    box = view.locator(".viewer .shown").bounding_box()
    view.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 50)
    view.mouse.down()
    view.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 60)
    view.mouse.up()
    assert colour_at(view, 0.75, 0.5) == (0, 255, 0) and view.locator(".viewer").is_visible()
    view.locator(".viewer .wipe").focus()
    view.keyboard.press("Home")
    assert colour_at(view, 0.25, 0.5) == (0, 0, 255)
    assert view.locator(".viewer strong").inner_text() == "Edit"  # arrows and Home belong to the slider


def test_flicker_alternates_between_edit_and_truth(view):
    load(view, sample_card("a"))
    view.get_by_role("button", name="Edit").click()
    view.locator(".viewer select").select_option("Truth")
    view.keyboard.press("f")
    # Asked in one step: between two, the picture may change.
    state = """([name, isCovered]) => document.querySelector(".viewer .left").textContent === name
        && document.querySelector(".viewer .other").checkVisibility() === isCovered"""
    for name, is_covered in (("Truth", True), ("Edit", False), ("Truth", True)):
        view.wait_for_function(state, arg=[name, is_covered])


def test_a_player_steps_scrubs_and_plays_all_clips_of_a_card(view):
    load(view, sample_card("a", num_frames=NUM_FRAMES))
    output, clips = view.locator(".card .player output"), view.locator(".card .clip")
    view.get_by_role("button", name="Next frame").first.click()
    assert output.inner_text() == f"2 of {NUM_FRAMES}"
    view.get_by_role("slider", name="Frame").first.fill("7")
    assert output.inner_text() == f"8 of {NUM_FRAMES}"
    # Six frames are in a row of the stored picture.
    places = "clip => [clip.style.getPropertyValue('--column'), clip.style.getPropertyValue('--row')]"
    assert [clip.evaluate(places) for clip in clips.all()] == [["1", "1"]] * 3
    clips.nth(2).click()
    view.get_by_role("slider", name="Frame").last.fill("7")
    red, green, blue = colour_at(view, 0.5, 0.15)
    assert abs(red - (255 - 20 * 7)) < 12 and green < 12 and blue < 12
    view.keyboard.press(" ")
    view.wait_for_function("document.querySelector('.viewer .player output').textContent.startsWith('12')")
    view.keyboard.press(" ")
    view.keyboard.press("Escape")
    view.get_by_role("button", name="All frames").click()
    box = clips.nth(0).bounding_box()
    assert box["width"] / box["height"] == pytest.approx(40 * 6 / (30 * 2), abs=0.1)


def test_touch_moves_the_wipe_and_swipes(browser):
    view = browser.new_page(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    load(view, sample_card("a"))
    view.get_by_role("button", name="Edit").tap()
    view.locator(".viewer select").select_option("Source")
    box = view.locator(".viewer .shown").bounding_box()
    view.touchscreen.tap(box["x"] + 0.2 * box["width"], box["y"] + 0.5 * box["height"])
    assert float(view.locator(".viewer .wipe").input_value()) == pytest.approx(20, abs=1)
    view.get_by_role("button", name="Previous picture").tap()
    assert view.locator(".viewer strong").inner_text() == "Truth"
    assert view.evaluate("document.documentElement.scrollWidth") <= 390
    view.close()


def test_a_copy_shows_the_stored_picture(view):
    load(view, enlargeable_copy("a-edit", (40, 30), "Copy"), sample_card("a"))
    assert view.evaluate("document.querySelector('[data-shown-again]').naturalWidth") == 40


def test_a_table_is_saved_and_copied_without_a_server(browser, tmp_path):
    table = DataTable(name="means", caption="Means.", header=["Editor", "SSIM"], rows=[["A & B", 1]])
    (tmp_path / "page.html").write_text(page("title", [table.buttons()]))
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    view = context.new_page()
    view.goto(f"file://{tmp_path}/page.html")
    with view.expect_download() as download:
        view.get_by_role("button", name="Save LaTeX").click()
    assert download.value.suggested_filename == "means.tex"
    assert download.value.path().read_text() == table.to_latex()
    view.get_by_role("button", name="Copy CSV").click()
    view.wait_for_function("document.querySelector('output').textContent === 'copied'")
    assert view.evaluate("navigator.clipboard.readText()") == table.to_csv()
    context.close()

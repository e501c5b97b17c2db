"""The canvas in the browser: zoom and pan, changes of the mask, undo across pictures, and painting by keyboard."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from tests.demo.browsing import (
    HEIGHT,
    PHONE,
    STATUS,
    WIDTH,
    choose,
    download,
    downloaded_mask,
    drag,
    press_edit,
    serious_findings,
    upload,
    wait_for_coverage,
    wait_for_width,
)
from tests.demo.conftest import write_picture

pytestmark = pytest.mark.browser

LARGE = {"width": 1440, "height": 900}
PASTE = """([name, encoded]) => {
  const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0)), clipboardData = new DataTransfer();
  clipboardData.items.add(new File([bytes], name, { type: "image/png" }));
  document.dispatchEvent(new ClipboardEvent("paste", { clipboardData }));
}"""


def stage(page) -> dict[str, float]:
    """Place of the picture on the screen."""
    return page.locator(".source .painter-stage").bounding_box()


def zoom(page) -> int:
    """Zoom in percent."""
    return int(page.locator(".source .painter-zoom").inner_text().split()[0])


def shown_mask(page) -> np.ndarray:
    """The mask (H, W) as the browser draws it."""
    alpha = page.locator(".source .painter-mask").evaluate(
        """(canvas) => {
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return Array.from(data.filter((_, i) => i % 4 === 3));
        }"""
    )
    return np.array(alpha).reshape(HEIGHT, WIDTH) > 127


def press(page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_the_canvas_is_large_zooms_and_pans(visit, pictures):
    page = visit(LARGE)
    upload(page, "source", pictures[0])
    frame = page.locator(".source .painter-frame").bounding_box()
    assert frame["width"] > 850 and frame["height"] > 500
    fitted, before = zoom(page), stage(page)
    middle = before["x"] + before["width"] / 2, before["y"] + before["height"] / 2
    page.mouse.move(*middle)
    page.wait_for_timeout(500)  # as long as a scrolling page goes on
    page.mouse.wheel(0, -300)
    page.wait_for_function(f"parseInt(document.querySelector('.source .painter-zoom').textContent) > {1.5 * fitted}")
    zoomed = stage(page)
    assert zoomed["x"] + zoomed["width"] / 2 == pytest.approx(middle[0], abs=2)
    page.keyboard.down(" ")
    page.mouse.down()
    page.mouse.move(middle[0] + 50, middle[1] + 30)
    page.mouse.up()
    page.keyboard.up(" ")
    assert stage(page)["x"] - zoomed["x"] == pytest.approx(50, abs=1)
    assert stage(page)["y"] - zoomed["y"] == pytest.approx(30, abs=1) and not shown_mask(page).any()
    page.get_by_role("button", name="Picture: 100 %").click()
    assert zoom(page) == 100 and stage(page)["width"] == WIDTH
    page.get_by_role("button", name="Picture: Fit").click()
    assert zoom(page) == fitted
    page.get_by_role("button", name="Full screen").click()
    page.get_by_role("button", name="Leave full screen").wait_for()
    assert page.locator("button.edit-button").is_visible() and page.locator(".source .painter-frame").is_visible()
    page.get_by_role("button", name="Leave full screen").click()
    page.get_by_role("button", name="Full screen", exact=True).wait_for()


def test_the_mask_is_inverted_grows_and_shrinks_as_on_the_server(page):
    drag(page, "source", (0.25, 0.25), (0.5, 0.4), (0.3, 0.7))
    shares = [shown_mask(page).mean()]
    for name in ("Grow", "Grow", "Shrink", "Invert"):
        page.locator(".source").get_by_role("button", name=name).click()
        shares.append(shown_mask(page).mean())
    assert shares[0] < shares[1] < shares[2] > shares[3] > shares[0] and shares[4] == pytest.approx(1 - shares[3])
    press_edit(page)
    assert ((downloaded_mask(page) > 0) != shown_mask(page)).mean() < 0.01


def test_another_picture_is_pasted_and_undone_with_its_mask(page, tmp_path):
    drag(page, "source", (0.25, 0.5), (0.45, 0.5))
    before = shown_mask(page)
    other = write_picture(tmp_path / "next.png", size=(100, 90), seed=3)
    page.evaluate("document.activeElement.blur()")
    page.evaluate(PASTE, ["next.png", base64.b64encode(other.read_bytes()).decode()])
    wait_for_width(page, 100)
    page.locator(".source .painter-canvas").focus()
    press(page, "Control+z")
    wait_for_width(page, WIDTH)
    assert before.any() and np.array_equal(shown_mask(page), before)
    press_edit(page)
    assert downloaded_mask(page).shape == (HEIGHT, WIDTH)
    press(page, "Control+Shift+Z")
    wait_for_width(page, 100)


def test_the_keyboard_paints_single_pixels(page):
    page.locator(".source .painter-canvas").focus()
    press(page, *["["] * 30, "ArrowRight", "Enter", *["ArrowDown"] * 6, "Enter")
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[HEIGHT // 2 : HEIGHT // 2 + 7, WIDTH // 2 + 1] = True
    assert np.array_equal(shown_mask(page), expected)
    press(page, "ArrowRight", "Enter", "ArrowRight", "Escape", "Control+z", "Control+y")
    assert np.array_equal(shown_mask(page), expected)
    page.locator("button.edit-button").focus()
    press(page, "Enter")
    page.locator(STATUS, has_text="Done in").wait_for()
    assert np.array_equal(downloaded_mask(page) > 0, expected)


def test_two_fingers_zoom_and_paint_nothing(visit, pictures):
    page = visit(PHONE, has_touch=True, is_mobile=True)
    upload(page, "source", pictures[0])
    page.locator(".source .painter-canvas").scroll_into_view_if_needed()
    before = stage(page)
    x, y = before["x"] + before["width"] / 2, before["y"] + before["height"] / 2
    session = page.context.new_cdp_session(page)
    for kind, places in (
        ("touchStart", [(-20, 0)]),
        ("touchMove", [(-25, 0)]),
        ("touchStart", [(-25, 0), (25, 0)]),
        ("touchMove", [(-50, 0), (50, 0)]),
        ("touchEnd", []),
    ):
        points = [{"x": x + right, "y": y + down, "id": number} for number, (right, down) in enumerate(places)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert stage(page)["width"] == pytest.approx(2 * before["width"], rel=0.02)
    assert not shown_mask(page).any()


def test_axe_finds_nothing_serious(page):
    page.get_by_text("More settings").click()
    assert not serious_findings(page)


def test_the_thing_in_a_box_is_painted_and_undone(visit, tmp_path):
    levels = np.full((HEIGHT, WIDTH, 3), (40, 140, 60), np.uint8)
    levels[80:160, 100:200] = (200, 40, 30)
    Image.fromarray(levels).save(tmp_path / "square.png")
    page = visit()
    upload(page, "source", tmp_path / "square.png")
    page.locator(".source").get_by_role("button", name="Object").click()
    drag(page, "source", (0.28, 0.28), (0.28, 0.28))
    page.locator(".source .painter-error", has_text="Drag a box around the thing").wait_for()
    drag(page, "source", (0.28, 0.28), (0.66, 0.72))
    page.locator(".source .painter-busy").wait_for(state="detached")
    page.locator(".source [data-action=undo]:enabled").wait_for()
    assert (shown_mask(page) != (levels[..., 0] == 200)).mean() < 0.01
    page.locator(".source .painter-tools").get_by_text("Undo").click()
    assert not shown_mask(page).any()


def test_a_result_is_edited_again_with_another_seed(page):
    drag(page, "source", (0.25, 0.5), (0.45, 0.5))
    press_edit(page)
    first = download(page, "download-picture")
    press_edit(page)
    choose(page, 1)
    assert download(page, "download-picture") == first
    page.get_by_role("button", name="Use this result as the picture").click()
    wait_for_coverage(page, 0)
    page.locator(STATUS, has_text="This result is now the picture").wait_for()
    drag(page, "source", (0.7, 0.7), (0.8, 0.7))
    press_edit(page)
    third = Image.open(io.BytesIO(download(page, "download-picture")))
    assert json.loads(third.text["mimicbrush"])["seed"] == 2
    changed = (np.asarray(third.convert("RGB")) != np.asarray(Image.open(io.BytesIO(first)).convert("RGB"))).any(
        axis=-1
    )
    assert changed.any() and not changed[:, : WIDTH // 2].any()

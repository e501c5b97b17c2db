"""Painting, undoing and uploading in the browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.demo.browsing import (
    HEIGHT,
    STATUS,
    WIDTH,
    coverage,
    downloaded_mask,
    drag,
    press_edit,
    upload,
    wait_for_coverage,
)
from tests.demo.conftest import write_picture

pytestmark = pytest.mark.browser

IS_PAINTED = """() => {
  const canvas = document.querySelector(".source .painter-mask");
  return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((level) => level > 127);
}"""


def test_box_eraser_undo_and_clear(page):
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


def test_a_mask_is_uploaded_or_refused(page, tmp_path):
    field = page.locator(".source .painter-mask-file")
    field.set_input_files(write_picture(tmp_path / "small.png", size=(10, 10)))
    error = page.locator(".source .painter-error")
    error.get_by_text("small.png: the mask is 10 x 10 pixels and the picture 320 x 240").wait_for()
    mask = white_box(tmp_path / "mask.png")
    field.set_input_files(tmp_path / "mask.png")
    wait_for_coverage(page, mask.mean() / 255)
    assert not error.is_visible()
    press_edit(page)
    assert np.array_equal(downloaded_mask(page), mask)


def test_bad_uploads_and_missing_parts_are_reported_on_the_page(visit, pictures, tmp_path):
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
    drag(page, "source", (0.25, 0.5), (0.45, 0.5))
    page.locator(f"{STATUS} [role=alert]").wait_for(state="detached")


def test_a_bad_upload_keeps_the_strokes(page, pictures, tmp_path):
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


def white_box(path: Path) -> np.ndarray:
    """Write a mask of the picture's size."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[100:140, 50:90] = 255
    Image.fromarray(mask).save(path)
    return mask


def test_clearing_and_an_uploaded_mask_can_be_undone(page, tmp_path):
    undo, clear = (page.locator(".source .painter-tools").get_by_text(name) for name in ("Undo", "Clear"))
    drag(page, "source", (0.1, 0.1), (0.2, 0.1))
    drag(page, "source", (0.7, 0.8), (0.9, 0.8))
    both = coverage(page)
    mask = white_box(tmp_path / "mask.png")
    page.locator(".source .painter-mask-file").set_input_files(tmp_path / "mask.png")
    wait_for_coverage(page, mask.mean() / 255)
    clear.click()
    clear.click()
    assert coverage(page) == 0 < both
    undo.click()
    assert coverage(page) == pytest.approx(mask.mean() / 255, abs=0.002)
    drag(page, "source", (0.5, 0.2), (0.6, 0.2))
    undo.click()
    press_edit(page)
    assert np.array_equal(downloaded_mask(page), mask)
    undo.click()
    assert coverage(page) == both
    undo.click()
    assert 0 < coverage(page) < both
    press_edit(page)
    painted = downloaded_mask(page)
    assert painted[24, 48] and not painted[192].any() and not painted[120].any()


def test_the_mask_of_an_example_returns(visit):
    page = visit()
    page.locator(".examples img").nth(1).click()
    page.locator(".source .painter-canvas").wait_for()
    page.wait_for_function(IS_PAINTED)
    before = coverage(page)
    tools = page.locator(".source .painter-tools")
    tools.get_by_text("Clear").click()
    assert coverage(page) == 0 < before
    tools.get_by_text("Undo").click()
    assert coverage(page) == before

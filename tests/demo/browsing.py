"""Actions of a visitor in the installed Chromium, which only requests the page."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
from PIL import Image

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
WIDTH, HEIGHT = 320, 240
STATUS = ".block.status"
MILLISECONDS = 60_000
"""Timeout for a busy machine."""


def upload(page, place: str, path: Path) -> None:
    page.locator(f".{place} .painter-drop input").set_input_files(path)
    page.locator(f".{place} .painter-canvas").wait_for()


def wait_for_width(page, width: int) -> None:
    """Wait until the canvas shows a picture of this width."""
    page.locator(f".source .painter-mask[width='{width}']").wait_for(state="attached")


def drag(page, place: str, *points: tuple[float, float]) -> None:
    """Draw with the mouse through points, given in fractions of the picture."""
    page.locator(f".{place} .painter-canvas").scroll_into_view_if_needed()
    box = page.locator(f".{place} .painter-stage").bounding_box()
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*at[0])
    page.mouse.down()
    for point in at:
        page.mouse.move(*point, steps=4)
    page.mouse.up()


def press_edit(page, expected: str = "Done in") -> None:
    """Press Edit, and wait until the page shows this status for the new edit."""
    page.evaluate(f"document.querySelectorAll('{STATUS} p').forEach((status) => status.classList.add('old'))")
    page.locator("button.edit-button >> visible=true").click()
    page.locator(f"{STATUS} p:not(.old)", has_text=expected).first.wait_for()


def choose(page, number: int) -> None:
    """Choose one of several results, and wait until it is the compared one."""
    compared = "[...document.querySelectorAll('.slider img')].map((picture) => picture.src).join()"
    page.locator(".slider img").first.wait_for()
    before = page.evaluate(compared)
    page.locator(".results img").nth(number).click()
    page.wait_for_function(f"(before) => {compared} !== before", arg=before)


def download(page, button: str) -> bytes:
    with page.expect_download() as started:
        page.locator(f".{button}").click()
    return Path(started.value.path()).read_bytes()


def downloaded_mask(page) -> np.ndarray:
    with zipfile.ZipFile(io.BytesIO(download(page, "download-all"))) as archive:
        return np.asarray(Image.open(io.BytesIO(archive.read("edit/mask.png"))))


def coverage(page, place: str = "source") -> float:
    """Painted share of the canvas."""
    return page.locator(f".{place} .painter-mask").evaluate(
        """(canvas) => {
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return data.filter((level, i) => i % 4 === 3 && level > 127).length / (data.length / 4);
        }"""
    )


def wait_for_coverage(page, share: float, place: str = "source") -> None:
    """Wait until the canvas has this painted share."""
    wait_until(page, lambda: coverage(page, place), pytest.approx(share, abs=0.002))


def wait_for_value(page, label: str, value: str) -> None:
    """Wait until the field with this label has this value."""
    wait_until(page, page.get_by_label(label).input_value, value)


def serious_findings(page) -> list[tuple[str, list[str]]]:
    """Rule and elements of each serious finding of axe, light and dark; the test is skipped where axe is missing."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python").Axe()
    found = []
    page.add_style_tag(content="* { transition: none !important }")  # colours on their way have too little contrast
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function("(isDark) => document.body.classList.contains('dark') === isDark", arg=scheme == "dark")
        found += axe.run(page).response["violations"]
    return [
        (each["id"], [node["html"][:160] for node in each["nodes"]])
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


def wait_until(page, found: Callable[[], object], expected: object) -> None:
    """Ask again and again until the page has what is expected, for what Playwright cannot wait for by itself."""
    deadline = monotonic() + MILLISECONDS / 1000
    while (last := found()) != expected:
        assert monotonic() < deadline, f"found {last}, expected {expected}"
        page.wait_for_timeout(50)

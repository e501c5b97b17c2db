"""Picture, mask, settings, results and a running edit after a reload, in the browser."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from tests.demo.browsing import (
    STATUS,
    coverage,
    download,
    drag,
    press_edit,
    upload,
    wait_for_coverage,
    wait_for_value,
    wait_until,
)

pytestmark = pytest.mark.browser

SAVED = """async (name) => new Promise((resolve) => {
  indexedDB.open("mimicbrush").onsuccess = ({ target: { result: base } }) => {
    const all = base.transaction(name).objectStore(name).getAll();
    all.onsuccess = () => {
      base.close();
      resolve(JSON.stringify(all.result));
    };
  };
})"""
REFUSED = "indexedDB.open = () => { throw new DOMException('refused', 'SecurityError'); }"
FULL = """() => {
  const { put } = IDBObjectStore.prototype;
  let isFull = true;
  IDBObjectStore.prototype.put = function (value) {
    if (!isFull || !value.caption) return put.call(this, value);
    isFull = false;
    throw new DOMException("full", "QuotaExceededError");
  };
}"""
LATE_RESULT = """() => {
  const { clear } = IDBObjectStore.prototype;
  const isCleared = new Promise((resolve) => {
    IDBObjectStore.prototype.clear = function () {
      resolve();
      return clear.call(this);
    };
  });
  window.fetch = () => isCleared.then(() => new Response("late"));
  const late = { picture: { path: "late", orig_name: "late.png", url: "" }, preview: { url: "" }, caption: "late" };
  window.mimicbrushSaving.keepResult("reference", late);
}"""
"""Keeps a result that arrives while everything is forgotten."""
FILES_ARE_GONE = ("**/gradio_api/file=**", lambda route: answer_without_file(route))


def answer_without_file(route) -> None:
    """Answer like a server that was restarted and has no files of former visits."""
    if route.request.method == "HEAD":
        route.fulfill(status=404)
    else:
        route.continue_()


def wait_until_saved(page, text: str, store: str = "tabs") -> None:
    wait_until(page, lambda: text in page.evaluate(SAVED, store), True)


def reload(page) -> list[str]:
    """Reload the page, and return the kinds of dialogs that it showed."""
    dialogs = []
    page.once("dialog", lambda dialog: (dialogs.append(dialog.type), dialog.accept()))
    page.reload()
    return dialogs


def test_a_reload_brings_back_picture_mask_settings_and_results(page):
    drag(page, "source", (0.25, 0.5), (0.45, 0.5))
    page.get_by_label("number input for Steps").fill("2")
    press_edit(page)
    picture, painted = download(page, "download-picture"), coverage(page)
    wait_until_saved(page, '"num_inference_steps":2')
    page.wait_for_timeout(500)
    assert not reload(page)
    page.locator(STATUS, has_text="Done in").wait_for()
    page.locator(".download-picture").wait_for()
    wait_for_coverage(page, painted)
    wait_for_value(page, "number input for Steps", "2")
    assert download(page, "download-picture") == picture
    # What the panel shows is not listed once more.
    page.locator(".kept-list button").wait_for(state="detached")
    # A second page of the same browser, on a server without the files of the first one.
    other = page.context.new_page()
    other.route(*FILES_ARE_GONE)
    other.goto(page.url)
    wait_for_coverage(other, painted)
    other.locator(".kept-thumbnail").focus()
    other.keyboard.press("Enter")
    with other.expect_download() as started:
        other.locator(".kept-download").click()
    assert Path(started.value.path()).read_bytes() == picture
    drag(other, "source", (0.7, 0.7), (0.8, 0.7))
    press_edit(other)
    assert json.loads(Image.open(io.BytesIO(download(other, "download-picture"))).text["mimicbrush"])["seed"] == 1
    drag(other, "source", (0.2, 0.2), (0.3, 0.2))
    wait_until(other, lambda: other.evaluate(SAVED, "tabs").count('"tool"'), 1 + 3)  # strokes of both pages
    assert reload(other) == ["beforeunload"]
    other.locator(".kept-thumbnail").first.wait_for()
    other.evaluate(LATE_RESULT)
    other.once("dialog", lambda dialog: dialog.accept())
    with page.expect_navigation(), other.expect_navigation():
        other.get_by_role("button", name="Forget everything").click()
    for each in (page, other):
        each.locator(".source .painter-drop").wait_for()
        each.locator(STATUS, has_text="The result appears here.").wait_for()
        assert not each.locator(".kept-thumbnail").count() and each.evaluate(SAVED, "results") == "[]"


def test_a_duplicated_page_begins_with_the_same_state_and_keeps_its_own(page):
    steps = "number input for Steps"
    page.get_by_label(steps).fill("2")
    wait_until_saved(page, '"num_inference_steps":2')
    name = page.evaluate("sessionStorage.getItem('mimicbrush-page')")
    other = page.context.new_page()
    # A browser copies the session of a page that is duplicated.
    other.add_init_script(
        f"sessionStorage.getItem('mimicbrush-page') ?? sessionStorage.setItem('mimicbrush-page', '{name}')"
    )
    other.goto(page.url)
    other.wait_for_function("document.querySelector('.source .painter-picture')?.src")
    wait_for_value(other, steps, "2")
    other.get_by_label(steps).fill("7")
    wait_until_saved(other, '"num_inference_steps":7')
    reload(page)
    page.wait_for_function("document.querySelector('.source .painter-picture')?.src")
    wait_for_value(page, steps, "2")
    assert page.evaluate("sessionStorage.getItem('mimicbrush-page')") == name


def test_an_edit_that_runs_is_found_again_and_stopped(page, slowly):
    drag(page, "source", (0.2, 0.5), (0.4, 0.5))
    page.get_by_label("number input for Steps").fill("100")
    press_edit(page, "of 100")
    reload(page)
    page.locator(STATUS, has_text="of 100").wait_for()
    page.locator("button.stop-button:enabled").click()
    page.locator(STATUS, has_text="Stopped.").wait_for()


def test_a_browser_that_keeps_nothing_or_is_full(visit, pictures):
    page = visit()
    page.context.add_init_script(REFUSED)
    page.reload()
    page.get_by_text("This browser keeps nothing").wait_for()
    upload(page, "source", pictures[0])
    upload(page, "reference", pictures[1])
    page = visit()
    page.locator(".examples img").first.click()
    page.locator(".reference .painter-canvas").wait_for()
    press_edit(page)
    wait_until_saved(page, "caption", "results")
    page.evaluate(FULL)
    press_edit(page)
    page.get_by_text("storage is full, so the oldest results were removed").wait_for()


def test_what_is_done_before_the_restore_arrives_wins_over_it(page, pictures, comes_late):
    page.get_by_label("number input for Steps").fill("2")
    page.get_by_label("Keep the shape").check()
    wait_until_saved(page, '"keep_shape":true')
    with comes_late():
        reload(page)
        upload(page, "source", pictures[1])
        drag(page, "source", (0.25, 0.5), (0.45, 0.5))
        page.get_by_label("number input for Steps").fill("7")
    page.wait_for_function("document.querySelector('.reference .painter-picture').src")
    page.get_by_label("Keep the shape").and_(page.locator(":checked")).wait_for()
    assert page.get_by_label("number input for Steps").input_value() == "7" and coverage(page) > 0
    assert page.locator(".source .painter-mask").get_attribute("width") == "100"

"""Edits and their results in the browser."""

from __future__ import annotations

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
    upload,
    wait_for_width,
)
from tests.demo.conftest import write_picture

pytestmark = pytest.mark.browser


def test_only_the_painted_part_changes(page, pictures):
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


def test_further_references_are_added_and_removed(page, tmp_path):
    page.get_by_text("Further references").click()
    drag(page, "source", (0.25, 0.5), (0.45, 0.5))
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


def test_stop_ends_an_edit_and_the_next_one_runs(page, slowly):
    drag(page, "source", (0.2, 0.5), (0.4, 0.5))
    page.get_by_label("number input for Steps").fill("100")
    press_edit(page, "of 100")
    page.locator("button.stop-button").click()
    page.locator(STATUS, has_text="Stopped.").wait_for()
    page.get_by_label("number input for Steps").fill("2")
    press_edit(page)


def test_earlier_results_return_when_an_edit_is_stopped_or_refused(page, slowly):
    # Gradio draws folded components when they are opened, and for some milliseconds loses typed text.
    page.get_by_text("More settings").click()
    drag(page, "source", (0.2, 0.5), (0.4, 0.5))
    page.get_by_label("number input for Results").fill("2")
    press_edit(page)
    choose(page, 1)
    before = download(page, "download-picture")
    page.get_by_label("number input for Steps").fill("100")
    press_edit(page, "of 100")
    for part in (".slider", ".download-picture"):
        page.locator(part).wait_for(state="hidden")
    page.locator("button.stop-button").click()
    page.locator(STATUS, has_text="Stopped.").wait_for()
    for part in (".slider img", ".results img", ".download-all"):
        page.locator(part).first.wait_for()
    assert download(page, "download-picture") == before
    page.get_by_label("Seed").fill("-5")
    press_edit(page, "Seed is -5, expected a whole number from 0")
    page.locator(".slider img").first.wait_for()
    assert not page.locator(".toast-wrap .toast-body").count()
    page.get_by_label("Seed").fill("5")
    page.locator(f"{STATUS} [role=alert]").wait_for(state="detached")
    page.get_by_label("number input for Steps").fill("2")
    press_edit(page)


def test_a_new_picture_removes_the_results_of_the_former(page, tmp_path):
    drag(page, "source", (0.2, 0.5), (0.4, 0.5))
    press_edit(page)
    slider, change = page.locator(".slider"), page.locator(".source .painter-change input")
    slider.wait_for()
    assert not page.locator(".kept-thumbnail").count()
    (tmp_path / "notes.png").write_text("no picture")
    change.set_input_files(tmp_path / "notes.png")
    page.locator(".source .painter-error", has_text="not a readable picture").wait_for()
    assert slider.is_visible()
    change.set_input_files(write_picture(tmp_path / "next.png", size=(100, 90), seed=3))
    slider.wait_for(state="hidden")
    page.locator(STATUS, has_text="The result appears here.").wait_for()
    for part in (".download-picture", ".download-all"):
        page.locator(part).wait_for(state="hidden")
    page.locator(".kept-thumbnail").wait_for()  # they are still there, as earlier results


def test_another_picture_ends_the_edit_of_the_former(page, slowly, tmp_path):
    drag(page, "source", (0.2, 0.5), (0.4, 0.5))
    page.get_by_label("number input for Steps").fill("100")
    press_edit(page, "of 100")
    page.locator(".source .painter-change input").set_input_files(
        write_picture(tmp_path / "next.png", size=(100, 90), seed=3)
    )
    wait_for_width(page, 100)
    page.locator("button.edit-button:enabled").wait_for()
    page.locator(STATUS, has_text="The result appears here.").wait_for()
    page.locator(".preview").wait_for(state="hidden")
    drag(page, "source", (0.2, 0.5), (0.4, 0.5))
    page.get_by_label("number input for Steps").fill("2")
    press_edit(page)
    assert downloaded_mask(page).shape == (90, 100)


def test_the_whole_edit_is_visible_first(visit):
    page = visit()
    page.locator(".examples img").first.click()
    page.locator(".reference .painter-canvas").wait_for()
    press_edit(page)
    page.locator(".slider .inner").wait_for()
    left = "document.querySelector('{}').getBoundingClientRect().left"
    page.wait_for_function(f"Math.abs({left.format('.slider .inner')} - {left.format('.slider')}) < 10")


def test_a_second_visitor_waits_and_sees_the_queue(visit, pictures, slowly):
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
    choose(page, 2)
    assert json.loads(Image.open(io.BytesIO(first)).text["mimicbrush"])["seed"] == 0
    third = download(page, "download-picture")
    assert json.loads(Image.open(io.BytesIO(third)).text["mimicbrush"])["seed"] == 2


def test_the_shape_map_is_shown(visit, pictures):
    page = visit()
    upload(page, "source", pictures[0])
    page.get_by_label("Keep the shape").check()
    page.locator(".shape img").first.wait_for()
    page.get_by_label("Keep the shape").uncheck()
    page.locator(".shape").wait_for(state="hidden")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone_and_is_painted_with_a_finger(visit, pictures, scheme):
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
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    last, bar = (page.locator(each).bounding_box() for each in (".saving-forget", ".edit-bar"))
    assert last["y"] + last["height"] <= bar["y"]
    example = page.locator(".examples img").first
    example.scroll_into_view_if_needed()
    example.tap()
    page.locator(STATUS, has_text="The example is there").wait_for()
    screen = {"x": 0, "y": 0, **PHONE}
    place = example.bounding_box()
    assert 0 <= place["y"] < PHONE["height"] and place["x"] + place["width"] <= PHONE["width"]
    assert within(page.locator("button.edit-button").bounding_box(), screen)
    press_edit(page)
    page.locator(".source .live-picture").wait_for()
    page.wait_for_function("document.querySelector('.source .painter-frame').getBoundingClientRect().top > 0")
    for part in (page.locator(".source .live-picture"), page.locator("button.edit-button")):
        assert within(part.bounding_box(), screen)
    page.get_by_role("button", name="Hide result").tap()
    page.locator(".source .live-picture").wait_for(state="hidden")


def within(box: dict[str, float], screen: dict[str, float]) -> bool:
    """Whether a box is wholly seen."""
    return all(
        screen[start] <= box[start] and box[start] + box[length] <= screen[start] + screen[length]
        for start, length in (("x", "width"), ("y", "height"))
    )


def overflow(page) -> int:
    """Pixels by which the page is wider than the screen."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")

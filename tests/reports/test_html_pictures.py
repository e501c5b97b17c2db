from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from mimicbrush.reports.html_page import page
from mimicbrush.reports.html_pictures import (
    Shown,
    captioned,
    card,
    enlargeable,
    enlargeable_copy,
    figure,
    gallery,
    grid_style,
    picture_grid,
    strip,
)

HOSTILE = "<script>alert('x')</script> & \"quotes\""


def inlined(document: str) -> list[Image.Image]:
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in re.findall(r"base64,([^']+)'", document)]


def test_pictures_are_inlined_and_nothing_is_loaded():
    picture = Image.new("RGB", (3, 2), (1, 2, 3))
    document = page("title", [strip([figure(picture, "caption", width=30)])])
    assert [shown.size for shown in inlined(document)] == [(3, 2)]
    assert "width='30'" in document
    assert not re.findall(r"(?:src|href)='(?!data:)", document)


def test_photographs_are_jpeg_and_others_png():
    shown = "".join(figure(Image.new(mode, (4, 4)), mode) for mode in ("RGB", "L", "RGBA"))
    assert [(picture.format, picture.mode) for picture in inlined(shown)] == [
        ("JPEG", "RGB"),
        ("PNG", "L"),
        ("PNG", "RGBA"),
    ]


def test_picture_file_is_inlined_as_it_is(tmp_path):
    path = tmp_path / "plot.png"
    Image.new("RGB", (3, 2)).save(path)
    assert base64.b64encode(path.read_bytes()).decode() in figure(path, "plot")


def test_a_picture_is_stored_no_larger_than_asked_and_says_its_size():
    shown = enlargeable(Image.new("RGB", (300, 200)), HOSTILE, side=150)
    assert [(picture.format, picture.size) for picture in inlined(shown)] == [("WEBP", (150, 100))]
    assert "data-width='150' data-height='100'" in shown and "loading='lazy'" in shown and "<script>" not in shown


def test_small_pictures_are_stored_without_loss():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    (stored,) = inlined(enlargeable(noise, "noise"))
    assert np.array_equal(stored.convert("RGB"), noise)


@pytest.mark.parametrize(("num_frames", "columns", "rows"), [(3, 3, 1), (10, 10, 1), (12, 6, 2), (25, 9, 3)])
def test_a_clip_is_one_picture_of_all_its_frames_in_rows(num_frames, columns, rows):
    frames = [Image.new("RGB", (20, 10), (9 * number, 0, 0)) for number in range(num_frames)]
    shown = enlargeable(frames, "clip", frames_per_second=8)
    (sheet,) = inlined(shown)
    assert sheet.size == (20 * columns, 10 * rows)
    reds = np.asarray(sheet.convert("RGB"))[5::10, 10::20, 0].ravel()[:num_frames]
    assert np.abs(reds - 9.0 * np.arange(num_frames)).max() <= 3
    assert f"--columns: {columns}; --rows: {rows}" in shown
    assert f"data-frames='{num_frames}' data-fps='8'" in shown


def test_a_picture_shown_again_is_not_stored_again():
    shown = enlargeable(Image.new("RGB", (4, 2)), "name", key="set-000-source")
    again = enlargeable_copy("set-000-source", (4, 2), "name", role="source")
    assert "<img id='set-000-source' src='data:" in shown
    assert "<img data-shown-again='set-000-source'" in again and "data:image" not in again


def test_captions_and_keys_are_escaped():
    picture = Image.new("RGB", (2, 2))
    shown = card(
        "<b>title</b>",
        figure(picture, HOSTILE) + captioned(enlargeable(picture, HOSTILE), HOSTILE, below="<dl></dl>"),
        key=HOSTILE,
    )
    assert "<script>" not in shown and "<b>title</b>" in shown
    assert shown.count("</figcaption><dl></dl></figure>") == 1
    assert "data-id='&lt;script&gt;" in shown


def test_grids_have_columns_that_leave_no_row_much_shorter():
    assert picture_grid(["a", "b"]) == "<div class='pictures of-2 in-a-row' style='--count: 2'>ab</div>"
    assert "in-a-row" not in picture_grid(["a"] * 13)
    assert "of-1 " in picture_grid(["a", "hidden"], count=1)
    rules = re.findall(r"\.of-(\d+) \{ grid-template-columns: repeat\((\d+),", grid_style([11, 2, 11]))
    assert rules == [("2", "2"), ("11", "2"), ("11", "3"), ("11", "4"), ("11", "6"), ("11", "11")]


def test_gallery_says_ratios_and_inlines_pictures_as_they_are():
    shown = gallery(
        [Shown(Image.new("RGB", (300, 100)), HOSTILE), Shown(Image.new("L", (90, 180)), "tall")], height=100
    )
    assert [(picture.format, picture.size) for picture in inlined(shown)] == [("WEBP", (300, 100)), ("WEBP", (90, 180))]
    assert re.findall(r"<figure style='--ratio: ([\d.]+)'( class='narrow')?", shown) == [
        ("3.000", ""),
        ("0.500", " class='narrow'"),
    ]
    assert "--height: 100px" in shown and "<script>" not in shown

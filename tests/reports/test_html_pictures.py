from __future__ import annotations

import base64
import io
import re

from PIL import Image

from mimicbrush.reports.html_page import page
from mimicbrush.reports.html_pictures import (
    Shown,
    card,
    enlargeable,
    figure,
    gallery,
    grid_style,
    picture_grid,
    strip,
    thumbnail,
    thumbnail_figure,
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


def test_thumbnail_is_a_small_jpeg_that_says_its_size():
    shown = thumbnail(Image.new("RGB", (300, 200)), 60, HOSTILE)
    assert [(picture.format, picture.size) for picture in inlined(shown)] == [("JPEG", (60, 40))]
    assert "width='60' height='40' loading='lazy'" in shown and "<script>" not in shown


def test_captions_and_keys_are_escaped():
    picture = Image.new("RGB", (2, 2))
    shown = card(
        "<b>title</b>", figure(picture, HOSTILE) + thumbnail_figure(picture, HOSTILE, below="<dl></dl>"), key=HOSTILE
    )
    assert "<script>" not in shown and "<b>title</b>" in shown
    assert shown.count("</figcaption><dl></dl></figure>") == 1
    assert "data-id='&lt;script&gt;" in shown


def test_grids_have_columns_that_leave_no_row_much_shorter():
    assert picture_grid(["a", "b"]) == "<div class='pictures of-2'>ab</div>"
    assert "of-1'" in picture_grid(["a", "hidden"], count=1)
    rules = re.findall(r"\.of-(\d+) \{ grid-template-columns: repeat\((\d+),", grid_style([11, 2, 11]))
    assert rules == [("2", "2"), ("11", "2"), ("11", "3"), ("11", "4"), ("11", "6"), ("11", "11")]


def test_gallery_says_ratios_and_inlines_pictures_as_they_are():
    shown = gallery(
        [Shown(Image.new("RGB", (300, 100)), HOSTILE), Shown(Image.new("L", (90, 180)), "tall")], height=100
    )
    assert [(picture.format, picture.size) for picture in inlined(shown)] == [("JPEG", (300, 100)), ("JPEG", (90, 180))]
    assert re.findall(r"--ratio: ([\d.]+)'( class='narrow')?", shown) == [("3.000", ""), ("0.500", " class='narrow'")]
    assert "--height: 100px" in shown and "<script>" not in shown


def test_pictures_enlarge_without_a_script():
    shown = enlargeable(Image.new("RGB", (4, 2)), "name")
    assert shown.startswith("<label class='enlarge' style='aspect-ratio: 4 / 2'><input type='checkbox' ")
    assert "<script" not in page("title", [shown])

from __future__ import annotations

import base64
import io
import re

from PIL import Image

from mimicbrush.page import figure, heading, page, paragraph, strip, table

HOSTILE = "<script>alert('x')</script> & \"quotes\""


def test_text_is_escaped_everywhere():
    picture = Image.new("RGB", (2, 2))
    document = page(
        HOSTILE,
        [heading(HOSTILE), paragraph(HOSTILE, note=True), table([HOSTILE], [[HOSTILE]]), figure(picture, HOSTILE)],
    )
    assert "<script>" not in document


def test_pictures_are_inlined_and_nothing_is_loaded():
    picture = Image.new("RGB", (3, 2), (1, 2, 3))
    document = page("title", [strip([figure(picture, "caption", width=30)])])
    (data,) = re.findall(r"base64,([^']+)'", document)
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (3, 2)
    assert "width='30'" in document
    assert not re.findall(r"(?:src|href)='(?!data:)", document)


def test_picture_file_is_inlined_as_it_is(tmp_path):
    path = tmp_path / "plot.png"
    Image.new("RGB", (3, 2)).save(path)
    assert base64.b64encode(path.read_bytes()).decode() in figure(path, "plot")


def test_page_serves_light_and_dark():
    assert "color-scheme: light dark" in page("title", [])

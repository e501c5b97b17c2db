from __future__ import annotations

import subprocess

import numpy as np
import pytest
from PIL import Image

from mimicbrush.reports.html_page import (
    Markup,
    breakable,
    bullets,
    folded,
    heading,
    link,
    page,
    paragraph,
    span,
    table,
)
from tests.conftest import CHROMIUM

HOSTILE = "<script>alert('x')</script> & \"quotes\""


def test_text_is_escaped_everywhere():
    lists = [bullets([HOSTILE]), folded(HOSTILE, [HOSTILE])]
    inline = [link(HOSTILE, HOSTILE), span(HOSTILE, "note")]
    document = page(
        HOSTILE, [heading(HOSTILE), paragraph(HOSTILE, note=True), table([HOSTILE], [[HOSTILE]]), *lists, *inline]
    )
    assert "<script>" not in document


def test_page_serves_light_and_dark():
    assert "color-scheme: light dark" in page("title", [])


def test_percentages_stay_on_one_line():
    assert paragraph("a 95 % interval") == "<p>a 95\N{NO-BREAK SPACE}% interval</p>"


def test_arrows_stay_on_the_line_of_their_name():
    assert "<th>PSNR (dB)\N{NO-BREAK SPACE}↑</th>" in table(["PSNR (dB) ↑"], [])


def test_cells_that_are_markup_stay_so_and_a_lone_cell_spans_the_table():
    shown = table(["a", "b"], [["both"], [breakable("x_<y>"), Markup("<b>1</b>")]], classes=["", "marked"])
    assert "<td colspan='2'>both</td>" in shown
    assert "<tr class='marked'><td>x_<wbr>&lt;y&gt;</td><td><b>1</b></td></tr>" in shown


def test_markup_stays_in_paragraphs_lists_and_links():
    bold = Markup("<b>1</b>")
    assert paragraph(bold) == "<p><b>1</b></p>"
    assert bullets([bold, "<"]) == "<ul class='note'><li><b>1</b></li><li>&lt;</li></ul>" and bullets([]) == ""
    assert link("#a&b", bold, classes="sort") == "<a class='sort' href='#a&amp;b'><b>1</b></a>"
    assert table(["x"], [[span("none", "note")]]).count("<span class='note'>none</span>") == 1


def test_script_and_style_are_inlined():
    assert "<script>1 < 2</script>" in page("title", [], style=".x {}", script="1 < 2")


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
@pytest.mark.slow
@pytest.mark.parametrize(("columns", "shaded"), [(3, False), (90, True)])
def test_a_shadow_shows_that_a_table_continues(columns, shaded, tmp_path):
    empty = [""] * columns
    (tmp_path / "page.html").write_text(page("title", [table(empty, [empty] * 30)]))
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=800,400"]
    shot = tmp_path / "shot.png"
    subprocess.run(
        [*command, f"--screenshot={shot}", f"file://{tmp_path}/page.html"], capture_output=True, timeout=120, check=True
    )
    # The table's place ends 16 pixels from the window's edge.
    edge = np.asarray(Image.open(shot).convert("L"))[200:380, 781]
    assert (np.median(edge) < 200) == shaded

from __future__ import annotations

import subprocess

import numpy as np
import pytest
from PIL import Image

from mimicbrush.reports.html_page import (
    Markup,
    Section,
    blocks,
    breakable,
    bullets,
    folded,
    heading,
    link,
    page,
    paragraph,
    preformatted,
    span,
    table,
    with_contents,
)
from mimicbrush.reports.html_pictures import Shown, enlargeable, gallery
from tests.conftest import CHROMIUM

HOSTILE = "<script>alert('x')</script> & \"quotes\""


def test_text_is_escaped_everywhere():
    sections = with_contents([Section(HOSTILE, ["text"], anchor=HOSTILE)])
    lists = [bullets([HOSTILE]), folded(HOSTILE, [HOSTILE]), *sections, preformatted(HOSTILE)]
    inline = [link(HOSTILE, HOSTILE), span(HOSTILE, "note")]
    document = page(
        HOSTILE, [heading(HOSTILE), paragraph(HOSTILE, note=True), table([HOSTILE], [[HOSTILE]]), *lists, *inline]
    )
    assert "<script>alert" not in document


def test_page_serves_light_and_dark():
    assert "color-scheme: light dark" in page("title", [])


def test_percentages_stay_on_one_line():
    assert paragraph("a 95 % interval") == "<p>a 95\N{NO-BREAK SPACE}% interval</p>"


def test_arrows_stay_on_the_line_of_their_name():
    assert "<th>PSNR (dB)\N{NO-BREAK SPACE}↑</th>" in table(["PSNR (dB) ↑"], [])


def test_cells_that_are_markup_stay_so_and_a_lone_cell_spans_the_table():
    shown = table(["a", "b"], [["both"], [breakable("x_<y>"), Markup("<b>1</b>")]], classes=["", "marked"])
    assert "<td colspan='2'>both</td>" in shown
    assert breakable("a/b_c") == "a/<wbr>b_<wbr>c"
    assert "<tr class='marked'><td>x_<wbr>&lt;y&gt;</td><td><b>1</b></td></tr>" in shown


def test_markup_stays_in_paragraphs_lists_and_links():
    bold = Markup("<b>1</b>")
    assert paragraph(bold) == "<p><b>1</b></p>"
    assert bullets([bold, "<"]) == "<ul class='note'><li><b>1</b></li><li>&lt;</li></ul>" and bullets([]) == ""
    assert link("#a&b", bold, classes="sort") == "<a class='sort' href='#a&amp;b'><b>1</b></a>"
    assert table(["x"], [[span("none", "note")]]).count("<span class='note'>none</span>") == 1


def test_contents_link_to_headings_and_leave_out_empty_sections():
    sections = [
        Section("Pairs", ["a"]),
        Section("Empty", []),
        Section("Part", ["b"], 3),
        Section("End", ["c"], anchor="x"),
    ]
    nav, *body = with_contents(sections)
    inner = "<ul><li><a href='#part-2'>Part</a></li></ul>"
    assert f"<li><a href='#part-1'>Pairs</a>{inner}</li><li><a href='#x'>End</a></li>" in nav
    assert body == ["<h2 id='part-1'>Pairs</h2>", "a", "<h3 id='part-2'>Part</h3>", "b", "<h2 id='x'>End</h2>", "c"]
    assert blocks([["a", "b"], ["c"]]).count("<section>") == 2


def test_a_page_has_the_scripts_that_its_parts_need():
    def scripts(part: str) -> int:
        return page("title", [part]).count("<script>")

    assert scripts(table(["a"], [["b"]])) == 0
    assert scripts(table(["a"], [["b"]], kind="sortable")) == 1
    assert scripts(preformatted("text")) == 1
    assert scripts(enlargeable(Image.new("RGB", (2, 2)), "name")) == 2


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


@pytest.mark.browser
def test_a_click_on_a_header_sorts_numbers_and_names(browser):
    rows = [["b", "1 200"], ["a", ""], ["c", "35"]]
    view = browser.new_page()
    view.set_content(page("title", [table(["name", "number"], rows, kind="sortable")]))

    def order(header: str) -> list[str]:
        view.locator("th", has_text=header).click()
        return view.locator("td:first-child").all_inner_texts()

    assert order("number") == ["b", "c", "a"]  # the largest first, cells without a number last
    assert order("number") == ["c", "b", "a"]
    assert order("name") == ["a", "b", "c"]
    view.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 800, 1200])
def test_rows_of_a_gallery_end_at_the_right_edge(browser, width):
    sizes = [(320, 90), (180, 180), (320, 180), (90, 160)] * 3
    view = browser.new_page(viewport={"width": width, "height": 600})
    view.set_content(page("title", [gallery([Shown(Image.new("RGB", size), "caption") for size in sizes], height=100)]))
    boxes = [each.bounding_box() for each in view.locator(".gallery figure").all()]
    right = max(box["x"] + box["width"] for box in boxes)
    rows = {box["y"]: max(each["x"] + each["width"] for each in boxes if each["y"] == box["y"]) for box in boxes}
    assert len(rows) > 2
    *full, _ = [rows[top] for top in sorted(rows)]
    assert full == pytest.approx([right] * len(full), abs=1)
    assert view.evaluate("document.documentElement.scrollWidth") <= width
    view.close()

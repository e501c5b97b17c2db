"""HTML reports in one file that loads nothing else, in light and dark.

`html_pictures` adds pictures, and `data_table` the export of tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape as escape_html
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
PARTS: dict[str, tuple[str, ...]] = {
    "class='enlarge": ("picture_viewer.css", "clip_player.js", "picture_viewer.js"),
    "class='sortable": ("sort_tables.js",),
    "class='export": ("export_tables.js",),
}
"""Beginning of an element that needs styles and scripts, and their files, in their order."""


class Markup(str):
    """Text that already is HTML; any other text is escaped."""


class Section(NamedTuple):
    """A part of a page below a heading, which the list of contents names."""

    title: str
    parts: Sequence[str]
    """HTML fragments; a section without any is left out."""
    level: int = 2
    """Level of its heading: 2, or 3 for a part of the section before it."""
    anchor: str = ""
    """Id of its heading; empty: its number."""


def page(title: str, sections: Sequence[str], *, style: str = "", script: str = "") -> str:
    """A whole document from HTML fragments, with the scripts that they need.

    style, script: CSS and JavaScript of this page alone; all are inlined.
    """
    body = "\n".join(sections)
    files = ["html_page.css", *(name for mark, names in PARTS.items() if mark in body for name in names)]
    texts = {name: (FOLDER / name).read_text(encoding="utf-8") for name in files}
    styles = "".join(text for name, text in texts.items() if name.endswith(".css")) + style
    scripts = [text for name, text in texts.items() if name.endswith(".js")] + [script] * bool(script)
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{styles}</style></head><body>\n"
        f"<h1>{escape(title)}</h1>\n{body}"
        + "".join(f"\n<script>{text}</script>" for text in scripts)
        + "\n</body></html>\n"
    )


def with_contents(sections: Sequence[Section]) -> list[str]:
    """Sections that are not empty, each below its heading, after a list of links to them."""
    filled = [section for section in sections if section.parts]
    anchors = [section.anchor or f"part-{number}" for number, section in enumerate(filled, 1)]
    links: list[list[str]] = []
    for section, anchor in zip(filled, anchors, strict=True):
        shown = link(f"#{anchor}", section.title)
        if section.level > 2 and links:
            links[-1].append(shown)
        else:
            links.append([shown])
    items = [first + (f"<ul>{_items(others)}</ul>" if others else "") for first, *others in links]
    body = [
        part
        for section, anchor in zip(filled, anchors, strict=True)
        for part in (heading(section.title, level=section.level, anchor=anchor), *section.parts)
    ]
    return [f"<nav class='contents' aria-label='Contents'><ul>{_items(map(Markup, items))}</ul></nav>", *body]


def escape(text: object) -> str:
    """Escape text for HTML, also within quotes; `%` and arrows stay on the line of the word before them."""
    return re.sub(r"(?<=\d) (?=%)| (?=[↑↓])", "\N{NO-BREAK SPACE}", escape_html(str(text), quote=True))


def breakable(name: str) -> Markup:
    """A name with possible line breaks after its underscores and slashes."""
    return Markup(re.sub(r"[_/]+", r"\g<0><wbr>", escape(name)))


def heading(text: str, *, level: int = 2, anchor: str = "") -> str:
    """A heading. anchor: id by which a list of contents links to it."""
    named = f" id='{escape(anchor)}'" if anchor else ""
    return f"<h{level}{named}>{escape(text)}</h{level}>"


def paragraph(text: str | Markup, *, note: bool = False) -> str:
    return f"<p class='note'>{to_html(text)}</p>" if note else f"<p>{to_html(text)}</p>"


def table(
    header: Sequence[object],
    rows: Sequence[Sequence[object]],
    *,
    classes: Sequence[str] = (),
    kind: str = "",
) -> str:
    """A table; the first column is left-aligned, the others are aligned like numbers.

    A row with a single cell spans the table. classes: a CSS class for each row, or empty for none. kind: CSS classes of
    the table, such as `sortable`: a click on a header sorts the rows. A cell that is a `span` of class `text` wraps and
    is left-aligned.
    """
    head = "".join(f"<th>{to_html(cell)}</th>" for cell in header)
    names = classes or [""] * len(rows)
    body = "".join(_table_row(row, len(header), name) for row, name in zip(rows, names, strict=True))
    opening = f"<table class='{kind}'>" if kind else "<table>"
    return f"{opening}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _table_row(row: Sequence[object], width: int, name: str) -> str:
    opening = f"<tr class='{name}'>" if name else "<tr>"
    if len(row) == 1 < width:
        return f"{opening}<td colspan='{width}'>{to_html(row[0])}</td></tr>"
    return opening + "".join(f"<td>{to_html(cell)}</td>" for cell in row) + "</tr>"


def to_html(text: object) -> str:
    """Return Markup unchanged, and escape any other text."""
    return text if isinstance(text, Markup) else escape(text)


def bullets(lines: Sequence[str | Markup]) -> str:
    """A list of notes."""
    return f"<ul class='note'>{_items(lines)}</ul>" if lines else ""


def columns(blocks: Sequence[str]) -> str:
    """Charts or other blocks in columns of equal width; a single column on a phone."""
    return f"<div class='columns'>{''.join(blocks)}</div>"


def blocks(sections: Sequence[Sequence[str]]) -> str:
    """Sections of HTML fragments side by side, each as wide as its gallery."""
    return "<div class='blocks'>" + "".join(f"<section>{''.join(parts)}</section>" for parts in sections) + "</div>"


def folded(title: str, lines: Sequence[str]) -> str:
    """A list that is shown on a click."""
    return fold(title, f"<ul>{_items(lines)}</ul>")


def fold(title: str, content: str) -> str:
    """HTML that is shown on a click."""
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def preformatted(text: str) -> str:
    """Text in which line breaks and indents stay, with a button that copies it."""
    button = "<button type='button' data-copy='text'>Copy</button>"
    return f"<div class='export' hidden>{button}<output></output></div><pre>{escape(text)}</pre>"


def link(address: str, text: str | Markup, *, classes: str = "") -> Markup:
    """A link, for a cell or within Markup. classes: CSS classes."""
    named = f" class='{classes}'" if classes else ""
    return Markup(f"<a{named} href='{escape(address)}'>{to_html(text)}</a>")


def span(text: str | Markup, classes: str) -> Markup:
    """Text with CSS classes, for a cell or within Markup."""
    return Markup(f"<span class='{classes}'>{to_html(text)}</span>")


def bold(text: str | Markup) -> Markup:
    """Text in bold, for a cell or within Markup."""
    return Markup(f"<b>{to_html(text)}</b>")


def _items(lines: Iterable[str | Markup]) -> str:
    return "".join(f"<li>{to_html(line)}</li>" for line in lines)

"""HTML reports in one file that loads nothing else, in light and dark. `html_pictures` adds pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape as escape_html
from pathlib import Path

STYLE = (Path(__file__).parent / "html_page.css").read_text(encoding="utf-8")


class Markup(str):
    """Text that already is HTML; any other text is escaped."""


def page(title: str, sections: Sequence[str], *, style: str = "", script: str = "") -> str:
    """A whole document from HTML fragments. style: CSS in addition to STYLE; script: JavaScript; both are inlined."""
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{STYLE}{style}</style></head><body>\n"
        f"<h1>{escape(title)}</h1>\n"
        + "\n".join(sections)
        + (f"\n<script>{script}</script>" if script else "")
        + "\n</body></html>\n"
    )


def escape(text: object) -> str:
    """Escape text for HTML, also within quotes; `%` and arrows stay on the line of the word before them."""
    return re.sub(r"(?<=\d) (?=%)| (?=[↑↓])", "\N{NO-BREAK SPACE}", escape_html(str(text), quote=True))


def breakable(name: str) -> Markup:
    """A name with possible line breaks after its underscores."""
    return Markup(escape(name).replace("_", "_<wbr>"))


def heading(text: str, *, level: int = 2) -> str:
    return f"<h{level}>{escape(text)}</h{level}>"


def paragraph(text: str | Markup, *, note: bool = False) -> str:
    return f"<p class='note'>{to_html(text)}</p>" if note else f"<p>{to_html(text)}</p>"


def table(header: Sequence[object], rows: Sequence[Sequence[object]], *, classes: Sequence[str] = ()) -> str:
    """A table; the first column is left-aligned, the others are aligned like numbers.

    A row with a single cell spans the table. classes: a CSS class for each row, or empty for none.
    """
    head = "".join(f"<th>{to_html(cell)}</th>" for cell in header)
    names = classes or [""] * len(rows)
    body = "".join(_table_row(row, len(header), name) for row, name in zip(rows, names, strict=True))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


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


def folded(title: str, lines: Sequence[str]) -> str:
    """A list that is shown on a click."""
    return fold(title, f"<ul>{_items(lines)}</ul>")


def fold(title: str, content: str) -> str:
    """HTML that is shown on a click."""
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def link(address: str, text: str | Markup, *, classes: str = "") -> Markup:
    """A link, for a cell or within Markup. classes: CSS classes."""
    named = f" class='{classes}'" if classes else ""
    return Markup(f"<a{named} href='{escape(address)}'>{to_html(text)}</a>")


def span(text: str | Markup, classes: str) -> Markup:
    """Text with CSS classes, for a cell or within Markup."""
    return Markup(f"<span class='{classes}'>{to_html(text)}</span>")


def _items(lines: Sequence[str | Markup]) -> str:
    return "".join(f"<li>{to_html(line)}</li>" for line in lines)

"""Self-contained HTML reports: pictures inlined, light and dark, no scripts from elsewhere."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path

from PIL import Image

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.2rem; border-bottom: 1px solid var(--line); }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; }
td { font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { background: var(--soft); }
.strip { display: flex; flex-wrap: wrap; gap: .6rem; margin: 1rem 0; }
figure { margin: 0; min-width: 0; } figcaption { font-size: .8rem; opacity: .8; text-align: center; }
/* A caption is as wide as its picture, never the other way round. */
figcaption { width: 0; min-width: 100%; overflow-wrap: anywhere; }
figure img { max-width: 100%; height: auto; border-radius: 4px; background: #fff; }
h1, summary, li { overflow-wrap: anywhere; } summary { cursor: pointer; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 23rem), 1fr)); gap: 1.2rem; }
.charts svg, .shares { display: block; width: 100%; } .shares { height: 1.4rem; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: .5rem 0; }
.legend i { display: inline-block; width: .8em; height: .8em; margin-right: .4em; border-radius: 2px; }
.note { opacity: .75; }
@media (max-width: 600px) { th { white-space: normal; vertical-align: bottom; } th, td { padding: .3rem .45rem; } }
"""


def page(title: str, sections: Sequence[str]) -> str:
    """A whole document from HTML fragments."""
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>\n"
        f"<h1>{escape(title)}</h1>\n" + "\n".join(sections) + "\n</body></html>\n"
    )


def heading(text: str, *, level: int = 2) -> str:
    return f"<h{level}>{escape(text)}</h{level}>"


def paragraph(text: str, *, note: bool = False) -> str:
    return f"<p class='note'>{escape(text)}</p>" if note else f"<p>{escape(text)}</p>"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Cells are escaped; the first column is left-aligned, the others are numbers."""
    head = "".join(f"<th>{escape(str(cell))}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def figure(image: Image.Image | Path, caption: str, *, width: int | None = None) -> str:
    """An inlined picture; `width` in CSS pixels. Files are taken as they are, and must be PNG."""
    kind, data = ("png", image.read_bytes()) if isinstance(image, Path) else _encode(image)
    size = f" width='{width}'" if width else ""
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    label = escape(caption, quote=True)
    return f"<figure><img src='{source}' alt='{label}'{size}><figcaption>{label}</figcaption></figure>"


def strip(figures: Sequence[str]) -> str:
    """Figures side by side."""
    return f"<div class='strip'>{''.join(figures)}</div>"


def charts(figures: Sequence[str]) -> str:
    """Charts in columns of equal width, one below the other on a phone."""
    return f"<div class='charts'>{''.join(figures)}</div>"


def folded(title: str, lines: Sequence[str]) -> str:
    """A list that opens on a click."""
    listed = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<details><summary>{escape(title)}</summary><ul>{listed}</ul></details>"


def _encode(image: Image.Image) -> tuple[str, bytes]:
    """Photographs as JPEG, a fifth of PNG's size at no difference to the eye; everything else as PNG."""
    kind = "jpeg" if image.mode == "RGB" else "png"
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **({"quality": 92, "subsampling": 0} if kind == "jpeg" else {}))
    return kind, buffer.getvalue()

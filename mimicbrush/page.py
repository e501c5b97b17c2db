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
figure { margin: 0; } figcaption { font-size: .8rem; opacity: .8; text-align: center; }
figure img { max-width: 100%; height: auto; border-radius: 4px; background: #fff; }
.note { opacity: .75; }
"""


def page(title: str, sections: Sequence[str]) -> str:
    """A whole document from HTML fragments."""
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>\n"
        f"<h1>{escape(title)}</h1>\n" + "\n".join(sections) + "\n</body></html>\n"
    )


def heading(text: str) -> str:
    return f"<h2>{escape(text)}</h2>"


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


def _encode(image: Image.Image) -> tuple[str, bytes]:
    """Photographs as JPEG, a fifth of PNG's size at no difference to the eye; everything else as PNG."""
    kind = "jpeg" if image.mode == "RGB" else "png"
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **({"quality": 92, "subsampling": 0} if kind == "jpeg" else {}))
    return kind, buffer.getvalue()

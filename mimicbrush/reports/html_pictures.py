"""Pictures on an HTML page: inlined, with captions, side by side, in grids and on cards."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from mimicbrush.pictures.conversion import shrink_to_fit
from mimicbrush.pictures.writing import encode_animation, encode_jpeg, encode_png
from mimicbrush.reports.html_page import Markup, breakable, escape, to_html

QUALITY, THUMBNAIL_QUALITY = 92, 82
"""JPEG quality of photographs in full size, and of thumbnails."""
THUMBNAIL_SIDE = 264
"""Default size of a thumbnail's longer side in pixels, which is the largest width of a grid's column."""
FRAME_SECONDS = 0.2
"""Duration of each frame of a clip, long enough to compare clips by eye."""
NARROW = 112
"""Least width of a gallery's figure in CSS pixels, for its caption; 7rem in html_page.css."""
NARROWEST, GRID_GAP = 7.2, 0.7
"""Least width of a grid's column, and the gap between columns, in rem; the gap is also in html_page.css."""


class Shown(NamedTuple):
    """A picture with its caption, for a gallery."""

    picture: Image.Image
    caption: str


def gallery(shown: Sequence[Shown], *, height: int) -> str:
    """Pictures in rows that fill the page's width without gaps, each enlarged on a click.

    All pictures of a row have one height, of about `height` CSS pixels. Encode them larger than that.
    """
    figures = []
    for picture, caption in shown:
        ratio = picture.width / picture.height
        attributes = {"style": f"--ratio: {ratio:.3f}"}
        if ratio * height < NARROW:
            attributes["class"] = "narrow"
        figures.append(captioned(enlargeable(picture, caption), breakable(caption), attributes=attributes))
    return f"<div class='gallery' style='--height: {height}px'>{''.join(figures)}</div>"


def enlargeable(picture: Image.Image, alt: str) -> Markup:
    """An inlined picture, as wide as its place, that fills the window on a click, and returns on another one.

    It is a JPEG in the size in which it is given.
    """
    source = _data_url("jpeg", encode_jpeg(picture.convert("RGB"), quality=THUMBNAIL_QUALITY))
    words, ratio = escape(alt), f"aspect-ratio: {picture.width} / {picture.height}"
    return Markup(
        f"<label class='enlarge' style='{ratio}'><input type='checkbox' aria-label='Enlarge'>"
        f"<img src='{source}' alt='{words}' loading='lazy' decoding='async'></label>"
    )


def figure(image: Image.Image | Path, caption: str, *, width: int | None = None) -> str:
    """A captioned picture. width: in CSS pixels. A file is included unchanged and must be PNG."""
    size = f" width='{width}'" if width else ""
    return captioned(f"<img src='{_source(image)}' alt='{escape(caption)}'{size}>", caption)


def thumbnail_figure(
    shown: Image.Image | Sequence[Image.Image], caption: str, *, side: int = THUMBNAIL_SIDE, below: str = ""
) -> str:
    """A captioned thumbnail of a picture or of a clip's frames. below: HTML after the caption."""
    return captioned(thumbnail(shown, side, caption), caption, below=below)


def captioned(
    content: str, caption: str | Markup, *, below: str = "", attributes: Mapping[str, object] | None = None
) -> str:
    """A figure with a caption. below: HTML after the caption; attributes: HTML attributes of the figure."""
    named = "".join(f" {name}='{escape(value)}'" for name, value in (attributes or {}).items())
    return f"<figure{named}>{content}<figcaption>{to_html(caption)}</figcaption>{below}</figure>"


def thumbnail(shown: Image.Image | Sequence[Image.Image], side: int, alt: str) -> str:
    """An inlined picture of at most `side` pixels a side, which the browser decodes when it becomes visible.

    A still is a JPEG; several frames are an animated WebP.
    """
    frames = [shown] if isinstance(shown, Image.Image) else shown
    small = [shrink_to_fit(frame.convert("RGB"), side, side) for frame in frames]
    if len(small) == 1:
        source = _data_url("jpeg", encode_jpeg(small[0], quality=THUMBNAIL_QUALITY, halve_chroma=True))
    else:
        encoded = encode_animation(small, quality=THUMBNAIL_QUALITY, frame_seconds=FRAME_SECONDS)
        source = _data_url("webp", encoded)
    size = f"width='{small[0].width}' height='{small[0].height}'"
    return f"<img src='{source}' alt='{escape(alt)}' {size} loading='lazy' decoding='async'>"


def strip(figures: Sequence[str]) -> str:
    """Figures side by side, each as wide as its picture."""
    return f"<div class='strip'>{''.join(figures)}</div>"


def picture_grid(figures: Sequence[str], *, count: int | None = None) -> str:
    """Figures in columns of equal width. count: number of visible figures, if a script hides some.

    The page's style must include `grid_style` of that count.
    """
    return f"<div class='pictures of-{count or len(figures)}'>{''.join(figures)}</div>"


def card(title: str, content: str, *, key: str = "") -> str:
    """A framed part of a page about one sample. title: HTML; key: id of the sample, for scripts."""
    data = f" data-id='{escape(key)}'" if key else ""
    return f"<article class='card'{data}><h4>{title}</h4>{content}</article>"


def grid_style(counts: Iterable[int]) -> str:
    """CSS of grids with these counts of figures: many columns, but no row much shorter, such as 6 + 5, not 9 + 2."""
    return "".join(_grid_columns(count) for count in sorted(set(counts)))


def _grid_columns(count: int) -> str:
    columns = sorted({math.ceil(count / rows) for rows in range(1, count + 1)} - {1})
    return "".join(
        f"@container (min-width: {number * NARROWEST + (number - 1) * GRID_GAP:.1f}rem) {{ .pictures.of-{count} "
        f"{{ grid-template-columns: repeat({number}, minmax(0, {THUMBNAIL_SIDE}px)); }} }}\n"
        for number in columns
    )


def _source(image: Image.Image | Path) -> str:
    """Encode a photograph as JPEG, a fifth of the size without visible difference, and anything else as PNG."""
    if isinstance(image, Path):
        return _data_url("png", image.read_bytes())
    if image.mode == "RGB":
        return _data_url("jpeg", encode_jpeg(image, quality=QUALITY))
    return _data_url("png", encode_png(image))


def _data_url(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"

"""Pictures and clips on an HTML page: inlined, with captions, side by side, in grids and on cards.

Pictures that a click enlarges are buttons; `picture_viewer.js` opens them, and `clip_player.js` plays clips. A clip is
stored as one picture that holds its frames in rows, so that it can be stepped through, and is a strip without a script.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

from mimicbrush.pictures.conversion import shrink_to_fit
from mimicbrush.pictures.writing import encode_jpeg, encode_png, encode_webp
from mimicbrush.reports.contact_sheet import join
from mimicbrush.reports.html_page import Markup, breakable, escape, to_html

QUALITY, STORED_QUALITY = 92, 80
"""Quality of photographs that are shown in full size, and of pictures that a click enlarges."""
SMALL_SIDE, SMALL_QUALITY, LOSSLESS = 96, 92, 101
"""Up to this side, clips have a higher quality, and pictures are stored without loss (OpenCV: a quality above 100)."""
STORED_SIDE = 512
"""Default for the longer side of a picture as stored, in pixels: it is enlarged by a click."""
COLUMN_WIDTH = 264
"""Largest width of a grid's column in CSS pixels."""
MAX_STRIP_COLUMNS = 10
"""Largest number of frames in a row of a clip's strip."""
MAX_WEBP_SIDE = 16383
FRAMES_PER_SECOND = 5.0
"""Default speed of a clip, slow enough to compare clips by eye."""
NARROW = 112
"""Least width of a gallery's figure in CSS pixels, for its caption; 7rem in html_page.css."""
MAX_IN_A_ROW = 12
"""Largest number of pictures of a grid that stand in one row on paper."""
NARROWEST, GRID_GAP = 7.2, 0.7
"""Least width of a grid's column, and the gap between columns, in rem; the gap is also in html_page.css."""

Role = Literal["", "source", "mask", "reference", "flow", "edit", "truth"]
"""Role of a picture in a sample; pictures with a role are compared with the others of their card."""


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


def enlargeable(
    shown: Image.Image | Sequence[Image.Image],
    caption: str,
    *,
    side: int | None = None,
    alt: str = "",
    role: Role = "",
    key: str = "",
    frames_per_second: float | None = None,
) -> Markup:
    """An inlined picture, or a clip's frames, as wide as its place; a click enlarges it.

    caption: its name where it is enlarged, and among the pictures that it is compared with; alt: description, by
    default the caption; side: longer side in pixels to which it is reduced; key: id by which `enlargeable_copy` shows
    it again.
    """
    frames = [shown] if isinstance(shown, Image.Image) else shown
    columns, rows = _strip_shape(len(frames))
    limit = min(side or MAX_WEBP_SIDE, MAX_WEBP_SIDE // max(rows, columns))
    small = [shrink_to_fit(frame.convert("RGB"), limit, limit) for frame in frames]
    size = small[0].size
    data = _stored(small, columns)
    named = f" id='{escape(key)}'" if key else ""
    image = f"<img{named} src='{data}' alt='{escape(alt or caption)}' loading='lazy' decoding='async'>"
    return _button(
        image, size, len(frames), caption=caption if alt else "", role=role, frames_per_second=frames_per_second
    )


def enlargeable_copy(
    key: str,
    size: tuple[int, int],
    caption: str,
    *,
    alt: str = "",
    role: Role = "",
    num_frames: int = 1,
    frames_per_second: float | None = None,
) -> Markup:
    """A picture that the page stores elsewhere, under `key`, shown a second time by a script.

    size: width and height of one frame, of which only the ratio matters.
    """
    image = f"<img data-shown-again='{escape(key)}' alt='{escape(alt or caption)}'>"
    return _button(
        image, size, num_frames, caption=caption if alt else "", role=role, frames_per_second=frames_per_second
    )


def _button(
    image: str, size: tuple[int, int], num_frames: int, *, caption: str, role: Role, frames_per_second: float | None
) -> Markup:
    width, height = size
    shape = f"--ratio: {width / height:.4f}"
    data = f" data-width='{width}' data-height='{height}'"
    data += f" data-caption='{escape(caption)}'" if caption else ""
    data += f" data-role='{role}'" if role else ""
    if num_frames == 1:
        return Markup(f"<button type='button' class='enlarge' style='{shape}'{data}>{image}</button>")
    columns, rows = _strip_shape(num_frames)
    shape += f"; --columns: {columns}; --rows: {rows}"
    data += f" data-frames='{num_frames}' data-fps='{frames_per_second or FRAMES_PER_SECOND:g}'"
    return Markup(
        f"<button type='button' class='enlarge clip' style='{shape}'{data}><span class='window'>{image}</span></button>"
    )


def figure(image: Image.Image | Path, caption: str, *, width: int | None = None) -> str:
    """A captioned picture. width: in CSS pixels. A file is included unchanged and must be PNG."""
    size = f" width='{width}'" if width else ""
    return captioned(f"<img src='{_source(image)}' alt='{escape(caption)}'{size}>", caption)


def captioned(
    content: str, caption: str | Markup, *, below: str = "", attributes: Mapping[str, object] | None = None
) -> str:
    """A figure with a caption. below: HTML after the caption; attributes: HTML attributes of the figure."""
    named = "".join(f" {name}='{escape(value)}'" for name, value in (attributes or {}).items())
    return f"<figure{named}>{content}<figcaption>{to_html(caption)}</figcaption>{below}</figure>"


def strip(figures: Sequence[str]) -> str:
    """Figures side by side, each as wide as its picture."""
    return f"<div class='strip'>{''.join(figures)}</div>"


def picture_grid(figures: Sequence[str], *, count: int | None = None) -> str:
    """Figures in columns of equal width. count: number of visible figures, if a script hides some.

    The page's style must include `grid_style` of that count.
    """
    number = count or len(figures)
    kind = " in-a-row" if number <= MAX_IN_A_ROW else ""
    return f"<div class='pictures of-{number}{kind}' style='--count: {number}'>{''.join(figures)}</div>"


def card(title: str, content: str, *, key: str = "") -> str:
    """A framed part of a page about one sample. title: HTML; key: id of the sample, for scripts."""
    data = f" data-id='{escape(key)}'" if key else ""
    kind = "card plays" if "class='enlarge clip'" in content else "card"
    return f"<article class='{kind}'{data}><h4>{title}</h4>{content}</article>"


def grid_style(counts: Iterable[int]) -> str:
    """CSS of grids with these counts of figures: many columns, but no row much shorter, such as 6 + 5, not 9 + 2.

    Where all figures stand in one row, as always on paper for up to MAX_IN_A_ROW, what lies below their captions is
    aligned, and a figure of class `names` explains it once.
    """
    return "".join(_grid_columns(count) for count in sorted(set(counts)))


def _grid_columns(count: int) -> str:
    columns = sorted({math.ceil(count / rows) for rows in range(1, count + 1)} - {1})
    rules = [
        f"@container (min-width: {number * NARROWEST + (number - 1) * GRID_GAP:.1f}rem) {{ .pictures.of-{count} "
        f"{{ grid-template-columns: repeat({number}, minmax(0, {COLUMN_WIDTH}px)); }} "
        f"{_row_style(count, 'strips') if number == count <= MAX_IN_A_ROW else ''}}}\n"
        for number in columns
    ]
    return "".join(rules) + (f"@media print {{ {_row_style(count, 'plays')}}}\n" if count <= MAX_IN_A_ROW else "")


def _row_style(count: int, without: str) -> str:
    """CSS of a grid with all figures in one row. without: class of cards that show strips, which need more width."""
    grid = f".card:not(.{without}) .of-{count}:has(> .names)"
    other = f"{grid} figure:not(.names)"
    return (
        f"{grid} {{ row-gap: 0; grid-template-rows: auto auto auto; }} "
        f"{grid} figure {{ display: grid; grid-template-rows: subgrid; grid-row: 1 / span 2; align-content: start; }} "
        f"{grid} figure:has(> figcaption + *) {{ grid-row: 1 / span 3; }} "
        f"{grid} .names.names {{ display: block; grid-row: 3; grid-column: 1 / span var(--given); }} "
        f"{other} dt {{ display: none; }} {other} dl div {{ justify-content: center; }} "
    )


def _strip_shape(num_frames: int) -> tuple[int, int]:
    """Columns and rows of a strip, in which the last row is about as full as the others."""
    rows = math.ceil(num_frames / MAX_STRIP_COLUMNS)
    return math.ceil(num_frames / rows), rows


def _stored(frames: Sequence[Image.Image], columns: int) -> str:
    """Encode frames of equal size as one WebP, in rows."""
    rows = [frames[first : first + columns] for first in range(0, len(frames), columns)]
    sheet = join(rows, gap=0) if len(frames) > 1 else frames[0]
    quality = STORED_QUALITY
    if max(frames[0].size) <= SMALL_SIDE:
        quality = LOSSLESS if len(frames) == 1 else SMALL_QUALITY
    return data_url("webp", encode_webp(np.asarray(sheet), quality=quality))


def _source(image: Image.Image | Path) -> str:
    """Encode a photograph as JPEG, a fifth of the size without visible difference, and anything else as PNG."""
    if isinstance(image, Path):
        return data_url("png", image.read_bytes())
    if image.mode == "RGB":
        return data_url("jpeg", encode_jpeg(image, quality=QUALITY))
    return data_url("png", encode_png(image))


def data_url(kind: str, data: bytes) -> str:
    """Return an encoded picture as a URL; kind: of the encoding, such as png."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"

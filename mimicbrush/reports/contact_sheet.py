"""Contact sheets: labelled pictures in rows, joined to one picture."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont, ImageOps

Labelled = tuple[str, Image.Image]
"""A picture with its label, which may be empty."""

GAP = 8
"""Pixels between pictures and around all of them."""
BACKGROUND = "#d8d8d8"
"""Neither black nor white, so that the edges of masks and padded pictures are visible."""
LABEL_HEIGHT = 30
LARGEST_FONT = 20
LABEL_SHARE = 0.96
"""Largest width of a label, as a share of the picture's width."""
PANEL_FONT, PANEL_LINE = 18, 20
"""Size of the font of a panel of text, and number of characters that fit into its line."""
MIN_SIDE = 192
"""Narrower pictures are enlarged by a whole factor, so that pixels stay squares and labels are legible."""


def contact_sheet(rows: Sequence[Sequence[Labelled]], *, side: int | None = None) -> Image.Image:
    """Arrange pictures in rows, each below its label; a row without labels needs no space for them.

    side: pixels of a square into which each picture is scaled; None: pictures keep their size, and small ones are
    enlarged.
    """
    sized = [[(label, _resize(picture, side)) for label, picture in row] for row in rows]
    width = side or max(picture.width for row in sized for _, picture in row)
    font = _font([label for row in rows for label, _ in row], width)
    cells = []
    for row in sized:
        label_height = LABEL_HEIGHT if any(label for label, _ in row) else 0
        cells.append([_cell(label, picture, width, label_height, font) for label, picture in row])
    return ImageOps.expand(join(cells), GAP, BACKGROUND)


def text_panel(text: str) -> Image.Image:
    """Write a text into a white square, for a sheet's row."""
    panel = Image.new("RGB", (MIN_SIDE, MIN_SIDE), "white")
    lines, middle = textwrap.fill(text, PANEL_LINE), (MIN_SIDE / 2, MIN_SIDE / 2)
    font = ImageFont.load_default(PANEL_FONT)
    ImageDraw.Draw(panel).multiline_text(middle, lines, "black", font, anchor="mm", align="center")
    return panel


def square_rows(pictures: Sequence[Labelled]) -> list[Sequence[Labelled]]:
    """Break a list of pictures into rows that make the sheet as square as possible."""
    columns = math.ceil(math.sqrt(len(pictures)))
    return [pictures[first : first + columns] for first in range(0, len(pictures), columns)]


def column_rows(titles: Sequence[str], columns: Sequence[Sequence[Image.Image]]) -> list[list[Labelled]]:
    """Turn columns of pictures into rows; the first row has the titles of the columns."""
    rows = zip(*columns, strict=True)
    return [
        [("" if number else title, picture) for title, picture in zip(titles, row, strict=True)]
        for number, row in enumerate(rows)
    ]


def join(rows: Sequence[Sequence[Image.Image]], *, gap: int = GAP) -> Image.Image:
    """Join rows of pictures to one picture, with gaps between them and no margin."""
    widths = [max(row[column].width for row in rows if column < len(row)) for column in range(max(map(len, rows)))]
    heights = [max(picture.height for picture in row) for row in rows]
    size = sum(widths) + gap * (len(widths) - 1), sum(heights) + gap * (len(heights) - 1)
    joined = Image.new("RGB", size, BACKGROUND)
    top = 0
    for row, height in zip(rows, heights, strict=True):
        left = 0
        for picture, width in zip(row, widths, strict=False):
            joined.paste(picture, (left, top))
            left += width + gap
        top += height + gap
    return joined


def _resize(picture: Image.Image, side: int | None) -> Image.Image:
    if side:
        return ImageOps.contain(picture, (side, side))
    return picture.resize([length * -(-MIN_SIDE // picture.width) for length in picture.size], Image.Resampling.NEAREST)


def _font(labels: Sequence[str], width: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """Choose the largest font in which the longest label fits."""
    longest = max(ImageFont.load_default(LARGEST_FONT).getlength(label) for label in labels)
    return ImageFont.load_default(LARGEST_FONT * min(1, LABEL_SHARE * width / max(longest, 1)))


def _cell(
    label: str, picture: Image.Image, width: int, label_height: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont
) -> Image.Image:
    """Draw a picture below its label, on white if it is transparent."""
    cell = Image.new("RGB", (width, label_height + picture.height), BACKGROUND)
    ImageDraw.Draw(cell).text((width / 2, label_height / 2), label, "black", font, anchor="mm")
    left_top = (width - picture.width) // 2, label_height
    cell.paste("white", (*left_top, left_top[0] + picture.width, label_height + picture.height))
    layer = picture.convert("RGBA")
    cell.paste(layer, left_top, layer)
    return cell

"""Contact sheets as pictures: labelled pictures in rows, for an eye to compare."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont, ImageOps

Labelled = tuple[str, Image.Image]
"""A picture with its label, which may be empty."""

GAP = 8
"""Pixels between pictures and around all of them."""
BACKGROUND = "#d8d8d8"
"""Neither black nor white, so that the edges of masks and of padded pictures stay in sight."""
LABEL_HEIGHT = 30
LARGEST_FONT = 20
LABEL_SHARE = 0.96
"""How much of a picture's width its label may take."""
MIN_SIDE = 192
"""Pictures narrower than this are enlarged by a whole number, so that a pixel stays a square and a label is legible."""


def contact_sheet(rows: Sequence[Sequence[Labelled]], *, side: int | None = None) -> Image.Image:
    """Lay out pictures in rows, each under its label; a row without labels takes no room for them.

    side: pixels of a square into which each picture is scaled; none: pictures keep their size, small ones are enlarged.
    """
    sized = [[(label, _resize(picture, side)) for label, picture in row] for row in rows]
    width = side or max(picture.width for row in sized for _, picture in row)
    font = _font([label for row in rows for label, _ in row], width)
    cells = []
    for row in sized:
        label_height = LABEL_HEIGHT if any(label for label, _ in row) else 0
        cells.append([_cell(label, picture, width, label_height, font) for label, picture in row])
    return ImageOps.expand(join(cells), GAP, BACKGROUND)


def square_rows(pictures: Sequence[Labelled]) -> list[Sequence[Labelled]]:
    """Break a list of pictures into rows that make the sheet as square as may be."""
    columns = math.ceil(math.sqrt(len(pictures)))
    return [pictures[first : first + columns] for first in range(0, len(pictures), columns)]


def column_rows(titles: Sequence[str], columns: Sequence[Sequence[Image.Image]]) -> list[list[Labelled]]:
    """Turn columns of pictures into rows, of which the first has the columns' titles."""
    rows = zip(*columns, strict=True)
    return [
        [("" if number else title, picture) for title, picture in zip(titles, row, strict=True)]
        for number, row in enumerate(rows)
    ]


def join(rows: Sequence[Sequence[Image.Image]], *, gap: int = GAP) -> Image.Image:
    """Join pictures to one, in rows from the top left, with a gap between them and no margin."""
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
    """As large as the longest label allows."""
    longest = max(ImageFont.load_default(LARGEST_FONT).getlength(label) for label in labels)
    return ImageFont.load_default(LARGEST_FONT * min(1, LABEL_SHARE * width / max(longest, 1)))


def _cell(
    label: str, picture: Image.Image, width: int, label_height: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont
) -> Image.Image:
    """The picture, on white where it is transparent, under its label."""
    cell = Image.new("RGB", (width, label_height + picture.height), BACKGROUND)
    ImageDraw.Draw(cell).text((width / 2, label_height / 2), label, "black", font, anchor="mm")
    place = (width - picture.width) // 2, label_height
    cell.paste("white", (*place, place[0] + picture.width, label_height + picture.height))
    upright = picture.convert("RGBA")
    cell.paste(upright, place, upright)
    return cell

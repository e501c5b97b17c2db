"""Titled pictures side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont, ImageOps

from mimicbrush.edit.config import EditConfig
from mimicbrush.edit.inputs import Inputs
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.reading import read_channels
from mimicbrush.pictures.writing import write_image

CELL = 384
"""Pixels a side."""
TITLE = 36
MARGIN = 12


def write_sheet(config: EditConfig, inputs: Inputs) -> None:
    """Source, references, what the network sees of those with a box or a mask, and finished results by their seeds."""
    titled = [("source", to_pil(inputs.source))]
    for path, box, mask, seen in zip(
        config.references, config.boxes, config.reference_masks, inputs.references, strict=True
    ):
        titled.append(("reference", to_pil(read_channels(path))))
        if box or mask:
            titled.append(("what is meant in it", to_pil(seen)))
    results = zip(config.seeds, config.outputs, strict=True)
    titled += [(f"seed {seed}", to_pil(read_channels(path))) for seed, path in results]
    write_image(draw_sheet(titled), config.sheet)


def draw_sheet(titled: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """A grid, as square as may be, of pictures scaled to one size, each under its title."""
    columns = math.ceil(math.sqrt(len(titled)))
    rows = math.ceil(len(titled) / columns)
    width, height = CELL + MARGIN, CELL + TITLE + MARGIN
    sheet = Image.new("RGB", (columns * width + MARGIN, rows * height + MARGIN), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(20)
    for number, (title, picture) in enumerate(titled):
        row, column = divmod(number, columns)
        left, top = MARGIN + column * width, MARGIN + row * height
        draw.text((left + CELL / 2, top + TITLE / 2), title, "black", font, anchor="mm")
        cell = ImageOps.contain(picture.convert("RGBA"), (CELL, CELL))
        place = (left + (CELL - cell.width) // 2, top + TITLE + (CELL - cell.height) // 2)
        sheet.paste(cell, place, cell)
    return sheet

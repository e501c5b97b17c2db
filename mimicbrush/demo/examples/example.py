"""An example edit: values for the controls of a tab, among them pictures and clips that are drawn when it is chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mimicbrush.demo.config import Limits
from mimicbrush.demo.painter import PainterData, to_browser
from mimicbrush.demo.strokes import PaintedPicture, Stroke, draw_mask
from mimicbrush.demo.temporary_folders import TemporaryFolders
from mimicbrush.demo.uploads import accept
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.writing import write_image

MASK_COLOUR, MASK_OPACITY = (255, 220, 0), 0.5
SEED = 0
"""Seed of every example."""


class Drawn(NamedTuple):
    """Levels of 8 bits (H, W, 3), and where it is painted over (H, W), if not by strokes."""

    pixels: NDArray[np.uint8]
    mask: NDArray[np.bool_] | None = None


class ExamplePicture(NamedTuple):
    """A picture, as if a visitor had uploaded and painted it; strokes are in its pixels."""

    name: str
    """Name of the file, without suffix."""
    draw: Callable[[], Drawn]
    strokes: tuple[Stroke, ...] = ()

    def given(self, folders: TemporaryFolders, limits: Limits) -> PainterData:
        """Write the picture, and return it as a value of its control."""
        folder, drawn = folders.new_folder(), self.draw()
        picture, mask = folder / f"{self.name}.png", None if drawn.mask is None else folder / "painted.png"
        write_image(drawn.pixels, picture)
        if mask is not None:
            write_image(drawn.mask, mask)
        return to_browser(accept(PaintedPicture(picture=picture, mask=mask, strokes=self.strokes), limits, folder))

    def shown(self) -> Image.Image:
        """The picture with what is painted."""
        drawn = self.draw()
        picture = to_pil(drawn.pixels)
        start = None if drawn.mask is None else to_pil(drawn.mask)
        mask = draw_mask(self.strokes, picture.size, start).point(lambda level: round(MASK_OPACITY * level))
        return Image.composite(Image.new("RGB", picture.size, MASK_COLOUR), picture, mask)


class ExampleFile(NamedTuple):
    """A clip, or the masks of its frames, as if a visitor had uploaded it."""

    name: str
    write: Callable[[Path], None]
    draw: Callable[[], Drawn] | None = None
    """The frame that stands for it; None where another picture shows it."""

    def given(self, folders: TemporaryFolders, limits: Limits) -> str:
        """Write the file, and return its path."""
        path = folders.new_folder() / self.name
        self.write(path)
        return str(path)

    def shown(self) -> Image.Image | None:
        """A frame of it."""
        return self.draw and to_pil(self.draw().pixels)


class Example(NamedTuple):
    """An example edit of a tab."""

    name: str
    """Name of its picture in the gallery, without suffix."""
    title: str
    values: Mapping[str, object]
    """Values by the names of the tab's controls; pictures are shown in this order."""
    truth: ExamplePicture | None = None
    """The true result, where it is known."""

    def given(self, folders: TemporaryFolders, limits: Limits) -> dict[str, object]:
        """The values as a visitor would give them; files are written."""

        def make(value: object) -> object:
            if isinstance(value, list):
                return [make(each) for each in value]
            return value.given(folders, limits) if isinstance(value, ExamplePicture | ExampleFile) else value

        return {"seed": SEED} | {name: make(value) for name, value in self.values.items()}

    def shown(self) -> list[Image.Image]:
        """Its pictures in turn."""
        values = [each for value in self.values.values() for each in (value if isinstance(value, list) else [value])]
        found = [each.shown() for each in values if isinstance(each, ExamplePicture | ExampleFile)]
        return [picture for picture in found if picture is not None]


class TabExamples(NamedTuple):
    """The examples of a tab."""

    maker: str
    """Names, in words, what made the expected results."""
    examples: tuple[Example, ...]
    editor: Mapping[str, object] | None = None
    """That editor, as in `--editors`; None: the tab's default."""
    note: str = ""
    """A sentence on what it can do."""

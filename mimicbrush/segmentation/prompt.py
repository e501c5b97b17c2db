"""Boxes and clicks that select an object in a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mimicbrush.errors import UnusableInput

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in whole pixels; x1 and y1 are exclusive."""
Mask = NDArray[np.bool_]
"""(H, W), true inside."""


class Click(NamedTuple):
    """A point inside (label 1) or outside (label 0) the object."""

    x: float
    y: float
    label: int = 1


@dataclass(frozen=True, kw_only=True)
class SegmentationPrompt:
    """A box (x0, y0, x1, y1), clicks, or both, in pixels of a picture."""

    box: tuple[float, float, float, float] | None = None
    clicks: tuple[Click, ...] = ()

    def scaled(self, scale: float) -> SegmentationPrompt:
        """Return the prompt for the same picture scaled by a factor."""
        box = self.box and tuple(scale * edge for edge in self.box)
        return SegmentationPrompt(box=box, clicks=tuple(Click(scale * c.x, scale * c.y, c.label) for c in self.clicks))

    def fits(self, width: int, height: int) -> bool:
        """Whether the prompt is inside a picture of this size, and its box is not empty."""
        points = [(c.x, c.y) for c in self.clicks]
        if self.box:
            x0, y0, x1, y1 = self.box
            if x0 >= x1 or y0 >= y1:
                return False
            points += [(x0, y0), (x1, y1)]
        return all(0 <= x <= width and 0 <= y <= height for x, y in points)

    def whole_box(self) -> Box:
        """Return the box in whole pixels; raises UnusableInput (no_box) if there are only clicks."""
        if self.box is None:
            raise UnusableInput("no_box", "only clicks are given; this method needs a box")
        x0, y0, x1, y1 = (round(edge) for edge in self.box)
        return x0, y0, x1, y1

    def describe(self) -> dict:
        """Return the prompt as JSON values."""
        box = {"box": list(self.box)} if self.box else {}
        return box | ({"clicks": [list(click) for click in self.clicks]} if self.clicks else {})


def central_box(width: int, height: int, share: float) -> Box:
    """A box in the middle of a picture, with this share of its width and of its height."""
    left, top = (round(side * (1 - share) / 2) for side in (width, height))
    return left, top, width - left, height - top


def box_mask(box: Box, width: int, height: int) -> Mask:
    """A mask (height, width) that is true inside the box."""
    x0, y0, x1, y1 = box
    mask = np.zeros((height, width), bool)
    mask[y0:y1, x0:x1] = True
    return mask

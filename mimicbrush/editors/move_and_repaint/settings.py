"""Settings of move and repaint; this module does not import torch."""

# Annotations are not postponed here, as in the settings of MimicBrush: jsonargparse would not find their names.
from dataclasses import dataclass

from mimicbrush.errors import Faults

SIDE_PER_PIXEL = 256
"""Pixels of the picture's longer side for each pixel of the default margin: borders of larger pictures are wider."""
MAX_WIDTH = 1000
"""Widest border in pixels."""


@dataclass(frozen=True, kw_only=True)
class MoveAndRepaintSettings:
    """Widths, in pixels, of the borders that are repainted."""

    margin: int | None = None
    """Width of the object's border, on each side of its outline, in which its pixels are mixed with the background: its
    opacity is estimated there, and the background is repainted. null: 1 for each 256 pixels of the longer side, at
    least 1."""
    border: int = 1
    """Width around the object's new place that is repainted as well, if the inpainter receives a reference or a prompt;
    0: none."""

    def __post_init__(self) -> None:
        faults = Faults()
        faults.check(
            self.margin is None or 1 <= self.margin <= MAX_WIDTH,
            f"margin is {self.margin}, expected 1 to {MAX_WIDTH} pixels, or null",
        )
        faults.check(0 <= self.border <= MAX_WIDTH, f"border is {self.border}, expected 0 to {MAX_WIDTH} pixels")
        faults.refuse()

    def margin_of(self, height: int, width: int) -> int:
        """The margin in a picture of this size."""
        return max(1, round(max(height, width) / SIDE_PER_PIXEL)) if self.margin is None else self.margin

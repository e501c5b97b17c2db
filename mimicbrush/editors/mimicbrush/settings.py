"""Settings of a MimicBrush edit; this module does not import torch."""

# Annotations are not postponed here: jsonargparse looks for their names in the modules of a config and of its first
# base alone, and takes any value for every field where it does not find one. This class is a config's second base.
from dataclasses import dataclass, fields, replace
from typing import Literal, Self, get_args

from mimicbrush.errors import Faults
from mimicbrush.model.config import RecommendedSettings

Geometry = Literal["exact", "released"]
"""Resizing of pictures to the network's size and back: exactly aligned, or as in the released code."""

Regions = Literal["together", "separate", "in_turn"]
"""One crop around the whole mask, or one around each of its connected parts: all denoised at once, or one after the
other, where later crops see earlier results and only one is in memory."""

MAX_CONTEXT = 100
"""Largest side of a crop, in multiples of the longer side of the masked region."""


@dataclass(frozen=True, kw_only=True)
class EditSettings:
    """Settings of an edit: sampling, crops, and pasting into the source."""

    num_inference_steps: int | None = None
    """Sampling steps; null: the number recommended by the weights, which is 50 unless they say otherwise."""
    guidance_scale: float | None = None
    """Strength of classifier-free guidance by the reference; 1 or less: none. null: the value recommended by the
    weights, which is 5 unless they say otherwise."""
    crop_to_mask: bool = False
    """Edit a square crop around the mask instead of the whole picture, so that large pictures stay sharp."""
    regions: Regions = "together"
    """Crops for a mask of several connected parts. together: one crop for all, with crop_to_mask; separate: always one
    crop for each part, all at once; in_turn: these crops one after the other, each seeing the results before it, with
    the memory of one."""
    context: float = 2.0
    """Side of a crop, in multiples of the longer side of the masked region (1 to 100)."""
    match_colour: bool = False
    """Shift the result's colours so that they agree with the source along the edge of the mask."""
    geometry: Geometry = "exact"
    """Resizing and pasting of pictures. exact: aligned to the pixel; released: as in the released code, to reproduce
    its results."""

    def __post_init__(self) -> None:
        faults = Faults()
        with faults.collect():
            RecommendedSettings(**self._given)  # the owner of these numbers' limits
        faults.check(
            1 <= self.context <= MAX_CONTEXT,
            f"context is {self.context:g}, expected 1 to {MAX_CONTEXT} times the longer side of the mask",
        )
        for name, kind in (("regions", Regions), ("geometry", Geometry)):
            value, allowed = getattr(self, name), get_args(kind)
            faults.check(value in allowed, f"{name} is {value}, expected one of {', '.join(allowed)}")
        faults.refuse()

    @property
    def settings(self) -> "EditSettings":
        """Only the fields of EditSettings, taken from a config that inherits them."""
        return EditSettings(**{each.name: getattr(self, each.name) for each in fields(EditSettings)})

    def resolved(self, recommended: RecommendedSettings) -> Self:
        """These settings, with the recommended value for each number that is not given."""
        return replace(self, **{**recommended.numbers, **self._given})

    @property
    def _given(self) -> dict[str, float]:
        """The given values among the numbers that weights recommend."""
        values = {"num_inference_steps": self.num_inference_steps, "guidance_scale": self.guidance_scale}
        return {name: value for name, value in values.items() if value is not None}

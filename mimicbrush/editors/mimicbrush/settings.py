"""Settings of an edit; read without torch."""

# Annotations are not postponed here: jsonargparse looks for their names in the modules of a config and of its first
# base alone, and takes any value for every field where it does not find one. This class is a config's second base.
from dataclasses import asdict, dataclass, fields, replace
from typing import Literal, Self, get_args

from mimicbrush.errors import Faults
from mimicbrush.model.config import RecommendedSettings

Geometry = Literal["exact", "released"]
"""How pictures come to the network's canvas and back: without a pixel's shift, or as in the released code."""

Regions = Literal["together", "separate", "in_turn"]
"""One crop around all of the mask, or one around each of its connected parts: all denoised at once, or one after the
other, each seeing what became of those before it, in the memory of one."""

MAX_CONTEXT = 100
"""Largest side of a crop, in times the longer side of what is masked."""


@dataclass(frozen=True, kw_only=True)
class EditSettings:
    """How an edit is sampled and pasted back."""

    num_inference_steps: int | None = None
    """Sampling steps; null: as many as the weights recommend, 50 unless they say otherwise."""
    guidance_scale: float | None = None
    """How strongly to follow the reference, 1 or less is no guidance; null: as the weights recommend, 5 unless they
    say otherwise."""
    crop_to_mask: bool = False
    """Work on a square crop around the mask: edits of large pictures stay sharp."""
    regions: Regions = "together"
    """together: one crop for all of the mask; separate: one for each of its connected parts; in_turn: the same, one
    after the other, each seeing what became of those before it, and in the memory of one."""
    context: float = 2.0
    """Side of a crop, in times the longer side of what is masked."""
    match_colour: bool = False
    """Shift the result's colours until they agree with the source's around the mask."""
    geometry: Geometry = "exact"
    """How pictures are scaled and pasted; `released` as the released code does, to reproduce its results."""

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
        """These settings alone, out of a config that inherits them."""
        return EditSettings(**{each.name: getattr(self, each.name) for each in fields(EditSettings)})

    def resolved(self, recommended: RecommendedSettings) -> Self:
        """With the recommended number for each that is not given."""
        return replace(self, **{**asdict(recommended), **self._given})

    @property
    def _given(self) -> dict[str, float]:
        """The numbers that are given, of those that weights recommend."""
        values = {each.name: getattr(self, each.name) for each in fields(RecommendedSettings)}
        return {name: value for name, value in values.items() if value is not None}

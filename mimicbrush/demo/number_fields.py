"""Number fields of the page: their labels and bounds, and one sentence for a number beyond its bounds."""

from __future__ import annotations

from typing import NamedTuple

from mimicbrush.demo.config import GUIDANCE_ON_PAGE, Limits
from mimicbrush.errors import Faults, UserError

MAX_SEED = 2**53 - 1
"""Browsers round larger whole numbers: the seed would differ from the one shown."""


class NumberField(NamedTuple):
    """A number that a visitor sets, from `least` to `most`, both inclusive."""

    label: str
    least: int
    most: int
    is_whole: bool = True

    def check(self, value: object) -> float:
        """Return an allowed number, as int if it must be whole; raises UserError otherwise."""
        is_number = isinstance(value, int | float) and self.least <= value <= self.most
        if not is_number or (self.is_whole and value != int(value)):
            kind = "a whole number" if self.is_whole else "a number"
            found = "empty" if value is None else value
            raise UserError(f"{self.label} is {found}, expected {kind} from {self.least} to {self.most}")
        return int(value) if self.is_whole else value

    def nearest(self, value: float) -> float:
        """Return the nearest allowed number."""
        return min(max(value, self.least), self.most)


def number_fields(limits: Limits) -> dict[str, NumberField]:
    """The number fields by field of ReferenceEditConfig."""
    return {
        "num_images": NumberField("Results", 1, limits.results),
        "num_inference_steps": NumberField("Steps", 1, limits.steps),
        "guidance_scale": NumberField("Guidance", *GUIDANCE_ON_PAGE, is_whole=False),
        "seed": NumberField("Seed", 0, MAX_SEED),
    }


def check_number_fields(settings: dict[str, object], limits: Limits) -> dict[str, object]:
    """Convert numbers to the types of ReferenceEditConfig: browsers send floats, or None for an empty field.

    Raises UserError, which lists each number beyond its bounds.
    """
    given = {name: number for name, number in number_fields(limits).items() if name in settings}
    faults, checked = Faults(), {}
    for name, number in given.items():
        with faults.collect():
            checked[name] = number.check(settings[name])
    faults.refuse()
    return settings | checked

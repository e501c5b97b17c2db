"""The numbers that a visitor sets: their names on the page, their bounds, and one sentence where one is beyond them."""

from __future__ import annotations

from typing import NamedTuple

from mimicbrush.demo.config import GUIDANCE_ON_PAGE, Limits
from mimicbrush.errors import Faults, UserError

MAX_SEED = 2**53 - 1
"""Browsers round whole numbers beyond it: the seed would be another than the one shown."""


class Number(NamedTuple):
    """A setting; least and most are allowed themselves."""

    label: str
    least: int
    most: int
    is_whole: bool = True

    def check(self, value: object) -> float:
        """An int where it is to be whole; raises UserError for what is none of the allowed numbers."""
        is_number = isinstance(value, int | float) and self.least <= value <= self.most
        if not is_number or (self.is_whole and value != int(value)):
            kind = "a whole number" if self.is_whole else "a number"
            found = "empty" if value is None else value
            raise UserError(f"{self.label} is {found}, expected {kind} from {self.least} to {self.most}")
        return int(value) if self.is_whole else value

    def nearest(self, value: float) -> float:
        """The allowed number that is nearest."""
        return min(max(value, self.least), self.most)


def numbers(limits: Limits) -> dict[str, Number]:
    """By the fields of EditConfig."""
    return {
        "num_images": Number("Results", 1, limits.results),
        "num_inference_steps": Number("Steps", 1, limits.steps),
        "guidance_scale": Number("Guidance", *GUIDANCE_ON_PAGE, is_whole=False),
        "seed": Number("Seed", 0, MAX_SEED),
    }


def check_numbers(settings: dict[str, object], limits: Limits) -> dict[str, object]:
    """Settings with numbers of the types that EditConfig has: browsers send floats, or None for an emptied field.

    Raises UserError, naming each number that is beyond its bounds.
    """
    given = {name: number for name, number in numbers(limits).items() if name in settings}
    faults, checked = Faults(), {}
    for name, number in given.items():
        with faults.collect():
            checked[name] = number.check(settings[name])
    faults.refuse()
    return settings | checked

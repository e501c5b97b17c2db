"""Motions in words, such as `translate 40 0; rotate 15`: what may be written, and what was; imports no torch."""

from __future__ import annotations

import math
from typing import NamedTuple

from mimicbrush.errors import Faults, UserError

MOTION_WORDS = {
    "translate": ("right", "down"),
    "rotate": ("degrees",),
    "scale": ("factor",),
    "stretch": ("horizontal", "vertical"),
    "homography": ("right", "down") * 4,
    "bend": ("degrees",),
}
"""Names of the numbers that follow each word. `translate`: pixels; `rotate`: clockwise; `scale`, `stretch`: factors, 1
keeps the size; `homography`: pixels by which the corners of the object's box move, top left, top right, bottom right
and bottom left; `bend`: the angle between the two ends, positive to lift them, at most 360 degrees."""
FACTORS = ("factor", "horizontal", "vertical")
"""Numbers that must be positive."""
MAX_STEPS = 100
"""Most steps of a motion; each carries the object through all steps before it."""
MAX_BEND = 360.0
"""Largest angle of a bend in degrees, a full circle."""


class MotionWord(NamedTuple):
    """One step of a motion."""

    name: str
    numbers: tuple[float, ...]

    def __str__(self) -> str:
        return " ".join([self.name, *(f"{number:g}" for number in self.numbers)])


def parse_words(text: str) -> tuple[MotionWord, ...]:
    """Parse words with their numbers, separated by semicolons, in the order in which they act.

    Capitals and commas are ignored. Raises UserError, which names each faulty step and what was expected.
    """
    steps = [" ".join(step.split()) for step in text.lower().replace(",", " ").split(";") if step.strip()]
    if not steps:
        raise UserError(f"the motion is empty, expected steps such as 'translate 40 0; rotate 15' ({known_words()})")
    if len(steps) > MAX_STEPS:
        raise UserError(
            f"the motion has {len(steps)} steps, expected at most {MAX_STEPS}; a flow file can hold any motion"
        )
    words, faults = [], Faults()
    for step in steps:
        with faults.collect():
            words.append(_parse_step(step))
    faults.refuse()
    return tuple(words)


def known_words() -> str:
    """Describe all words with the names of their numbers, for help and messages."""
    described = (" ".join([name, *map(str.upper, numbers)]) for name, numbers in MOTION_WORDS.items())
    return f"known are {', '.join(described)}"


def _parse_step(step: str) -> MotionWord:
    name, *cells = step.split()
    if name not in MOTION_WORDS:
        raise UserError(f"{name} is not a motion; {known_words()}")
    expected = MOTION_WORDS[name]
    if len(cells) != len(expected):
        wanted = f"{len(expected)} number{'s' * (len(expected) > 1)} ({' '.join(map(str.upper, expected))})"
        raise UserError(f"'{step}' has {len(cells)} after {name}, expected {wanted}")
    numbers = tuple(_parse_number(cell, step) for cell in cells)
    for number, meaning in zip(numbers, expected, strict=True):
        if meaning in FACTORS and number <= 0:
            raise UserError(f"'{step}' has a factor of {number:g}, expected a positive one; 1 keeps the size")
    if name == "bend" and abs(numbers[0]) > MAX_BEND:
        raise UserError(f"'{step}' bends by more than a full circle, expected -{MAX_BEND:g} to {MAX_BEND:g}")
    return MotionWord(name, numbers)


def _parse_number(cell: str, step: str) -> float:
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"'{step}' has {cell}, expected a finite number")
    return number

"""Input and output of every metric: an edited picture with all that it is compared with, and its score."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class EditedPicture(NamedTuple):
    """An edited picture or frame with all that it may be compared with; 8-bit RGB at the source's own resolution."""

    source: NDArray[np.uint8]
    """(H, W, 3), the truth on inner-ID."""
    mask: NDArray[np.bool_]
    """(H, W), True where the edit happens."""
    edited: NDArray[np.uint8]
    """(H, W, 3)."""
    reference: NDArray[np.uint8]
    """(h, w, 3)."""
    reference_mask: NDArray[np.bool_] | None
    """(h, w), the part to imitate; None where the set has none."""
    prompt: str | None = None
    """Description of the edited picture; None where the set has none."""


class Score(NamedTuple):
    """A metric's value for one edit, which may be infinite, or None with the reason."""

    value: float | None
    reason: str = ""


class NotComputableError(Exception):
    """A metric has no value for this edit; the message gives the reason."""


def score_each(function: Callable[[EditedPicture], float], edits: Sequence[EditedPicture]) -> list[Score]:
    """Score each edit alone, by a function that may raise NotComputableError."""
    return [_score(function, edit) for edit in edits]


def number_to_json(value: float | None) -> float | str | None:
    """Write infinity as "inf", because JSON has no infinity."""
    return "inf" if value == math.inf else value


def number_from_json(value: float | str | None) -> float | None:
    """Undo `number_to_json`."""
    return math.inf if value == "inf" else value


def _score(function: Callable[[EditedPicture], float], edit: EditedPicture) -> Score:
    try:
        return Score(function(edit))
    except NotComputableError as error:
        return Score(None, str(error))

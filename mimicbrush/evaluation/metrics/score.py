"""What is judged, and what comes of it: EditedPicture and Score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class EditedPicture(NamedTuple):
    """An edited picture, or frame, with all that it may be compared with; 8-bit RGB at the source's own resolution."""

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
    """What the edit should show; None where the set has none."""


class Score(NamedTuple):
    """A metric's value for one edit (infinity counts), or None and the reason."""

    value: float | None
    reason: str = ""


class NotComputableError(Exception):
    """A metric has no value for this edit; the message says why."""


def score_each(function: Callable[[EditedPicture], float], edits: Sequence[EditedPicture]) -> list[Score]:
    """A function of one edit, which may raise NotComputableError, over many."""
    return [_score(function, edit) for edit in edits]


def _score(function: Callable[[EditedPicture], float], edit: EditedPicture) -> Score:
    try:
        return Score(function(edit))
    except NotComputableError as error:
        return Score(None, str(error))

"""Input and output of every metric: an edited picture with all that it is compared with, and its score."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mimicbrush.benchmark_layout import SampleFacts


class FollowingFrame(NamedTuple):
    """The next frame of an edited clip, and how the truth moves to it."""

    edited: NDArray[np.uint8]
    """(H, W, 3)."""
    flow: NDArray[np.float32] | None = None
    """(2, H, W) in pixels, the truth's exact flow from this frame to the next; None in sets without a truth."""
    visible: NDArray[np.bool_] | None = None
    """(H, W), points that both frames of the truth show."""


class EditedPicture(NamedTuple):
    """An edited picture or frame with all that it may be compared with; 8-bit RGB at the source's own resolution."""

    source: NDArray[np.uint8]
    """(H, W, 3), the truth on inner-ID."""
    mask: NDArray[np.bool_]
    """(H, W), True where the edit happens."""
    edited: NDArray[np.uint8]
    """(H, W, 3)."""
    reference: NDArray[np.uint8] | None
    """(h, w, 3); None where the set has none."""
    reference_mask: NDArray[np.bool_] | None
    """(h, w), the part to imitate; None where the set has none."""
    prompt: str | None = None
    """Description of the edited picture; None where the set has none."""
    truth: NDArray[np.uint8] | None = None
    """(H, W, 3), the true result, in a set with a truth; also None on inner-ID, where it is the source."""
    truth_mask: NDArray[np.bool_] | None = None
    """(H, W), the true object, in a set with a truth."""
    object_mask: NDArray[np.bool_] | None = None
    """(H, W), the object in the source, where the set has its mask."""
    proposed_mask: NDArray[np.float32] | None = None
    """(H, W) in [0, 1], where the editor says that it edits; None where it does not say so."""
    asked_flow: NDArray[np.float32] | None = None
    """(2, H, W) in pixels, the motion that is asked for, in a motion set."""
    facts: SampleFacts | None = None
    """Names of objects and materials, and how the sample is scored, in a set with a truth."""
    given_material: str | None = None
    """Material of the reference of another sample, which the editor received in place of the sample's own."""
    following: FollowingFrame | None = None
    """The next frame of a clip; None in its last frame."""


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

"""Editors without weights: baselines for trained networks, with results that tests can calculate."""

from mimicbrush.editors.baselines.identity import Identity
from mimicbrush.editors.baselines.motion import PlainWarp, WarpAndInpaint
from mimicbrush.editors.baselines.per_frame import PerFrame
from mimicbrush.editors.baselines.repaint import (
    ClassicalInpainting,
    ColourTransfer,
    MeanColour,
    NamedColours,
    ReferencePaste,
)

__all__ = [
    "ClassicalInpainting",
    "ColourTransfer",
    "Identity",
    "MeanColour",
    "NamedColours",
    "PerFrame",
    "PlainWarp",
    "ReferencePaste",
    "WarpAndInpaint",
]

"""Metrics outside the mask and at its border: changes that should not happen, and seams."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mimicbrush.evaluation.metrics.score import EditedPicture, NotComputableError
from mimicbrush.pictures.geometry import feather_reach
from mimicbrush.pictures.mask_geometry import grow

SEAM_REACH = 8
"""Distance from the mask's border, in pixels, up to which pixels are compared with the border."""


def change_outside(edit: EditedPicture) -> float:
    """Largest change of a channel, in grey levels, farther from the mask than a feathered border reaches."""
    return float(_changes_outside(edit).max())


def mean_change_outside(edit: EditedPicture) -> float:
    """Mean change of all channels, in grey levels, over the same pixels; exactly 0 if nothing changed."""
    return float(_changes_outside(edit).mean())


def seam_energy(edit: EditedPicture) -> float:
    """Prominence of the mask's border in the edit, relative to the source: 1 is an invisible seam.

    In one picture, *across* is the mean absolute difference, in grey levels, of all horizontal and vertical pairs of
    neighbouring pixels of which one is masked and one is not; *beside* is the same for all pairs on one side of the
    border, within 8 pixels of it. Then prominence = (across + 1) / (beside + 1), and

        seam = prominence(edit) / prominence(source).

    A stronger texture alone is no seam, because it raises both means; nor is an object's outline that lies on the
    border, because the source has it, too. Adding one grey level keeps flat pictures finite and rounding negligible.
    Below 1 the border is smoother than in the source.
    """
    return _prominence(edit.edited, edit.mask) / _prominence(edit.source, edit.mask)


def _changes_outside(edit: EditedPicture) -> NDArray[np.int64]:
    reach = feather_reach(*edit.mask.shape)
    outside = ~grow(edit.mask, reach)
    if not outside.any():
        raise NotComputableError(f"every pixel lies within {reach} pixels of the mask")
    return cv2.absdiff(edit.edited, edit.source)[outside].astype(int)


def _prominence(picture: NDArray[np.uint8], mask: NDArray[np.bool_]) -> float:
    near = grow(mask, SEAM_REACH) & grow(~mask, SEAM_REACH)
    across, beside = [], []
    for axis in (0, 1):
        before, after = (np.delete(np.arange(mask.shape[axis]), place) for place in (-1, 0))
        first, second = (np.take(mask, part, axis) for part in (before, after))
        both_near = np.take(near, before, axis) & np.take(near, after, axis)
        difference = np.abs(np.diff(picture.astype(np.int16), axis=axis)).mean(axis=2)
        across.append(difference[first != second])
        beside.append(difference[(first == second) & both_near])
    across, beside = np.concatenate(across), np.concatenate(beside)
    if not across.size or not beside.size:
        raise NotComputableError("the mask has no border with pixels beside it")
    return float((across.mean() + 1) / (beside.mean() + 1))

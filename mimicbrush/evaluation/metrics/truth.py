"""Metrics of an edit against its true result: inside the true object, where it uncovers, outside, and over time."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from mimicbrush.evaluation.metrics.pixels import compare_colours, compute_psnr, compute_ssim
from mimicbrush.evaluation.metrics.score import EditedPicture, NotComputableError
from mimicbrush.flow.warping import warp_backward
from mimicbrush.pictures.mask_geometry import grow, mask_box

BORDER = 1
"""Width in pixels of the true object's border, which the warp error leaves out."""
MAX_PSNR = 60.0
"""PSNR of equal pixels, in dB, which would be infinite: one exact sample would make a mean over samples infinite.
Pixels of 8 bits that differ by rounding alone have about 59 dB."""


def truth_ssim(edit: EditedPicture) -> float:
    """SSIM of edit and truth over the pixels of the true object."""
    return compute_ssim(edit.edited, edit.truth, _exact_object(edit))[1]


def truth_psnr(edit: EditedPicture) -> float:
    """PSNR of edit and truth over the pixels of the true object, in dB, at most 60."""
    return _psnr(edit, _exact_object(edit))


def truth_colour_distance(edit: EditedPicture) -> float:
    """Hellinger distance, 0 to 1, between the colours of edit and truth over the pixels of the true object."""
    inside = true_object(edit)
    return compare_colours(edit.edited[inside], edit.truth[inside])


def uncovered_ssim(edit: EditedPicture) -> float:
    """SSIM of edit and truth over the background that only the source's object hides."""
    return compute_ssim(edit.edited, edit.truth, _uncovered(edit))[1]


def uncovered_psnr(edit: EditedPicture) -> float:
    """PSNR of edit and truth, in dB, at most 60, over the background that only the source's object hides."""
    return _psnr(edit, _uncovered(edit))


def _uncovered(edit: EditedPicture) -> NDArray[np.bool_]:
    """The background that only the source's object hides, of at least one pixel."""
    if edit.object_mask is None:
        raise NotComputableError("the sample has no mask of the object in the source")
    uncovered = edit.object_mask & ~_truth_mask(edit)
    if not uncovered.any():
        raise NotComputableError("the edit uncovers nothing")
    return uncovered


def region_change_outside(edit: EditedPicture) -> float:
    """Mean absolute change, 0 to 1, over all pixels outside the region of the edit."""
    return float(cv2.absdiff(edit.edited, edit.source)[_outside(edit)].mean() / 255)


def region_psnr_outside(edit: EditedPicture) -> float:
    """PSNR of edit and source, in dB, at most 60, over all pixels outside the region of the edit."""
    outside = _outside(edit)
    return min(MAX_PSNR, compute_psnr(edit.edited[outside], edit.source[outside]))


def _outside(edit: EditedPicture) -> NDArray[np.bool_]:
    if edit.mask.all():
        raise NotComputableError("the region of the edit is the whole picture")
    return ~edit.mask


def mask_overlap(edit: EditedPicture) -> float:
    """Soft intersection over union of the proposed mask and of the object in source and truth together.

    For masks of 0 and 1 this is their intersection over their union.
    """
    if edit.proposed_mask is None:
        raise NotComputableError("the editor proposes no mask")
    wanted = _truth_mask(edit) if edit.object_mask is None else _truth_mask(edit) | edit.object_mask
    union = np.maximum(edit.proposed_mask, wanted).sum()
    if not union:
        raise NotComputableError("neither the mask nor the objects hold a pixel")
    return float(np.minimum(edit.proposed_mask, wanted).sum() / union)


def motion_error(edit: EditedPicture) -> float:
    """Distance in pixels from the true object's place to where the edit looks most like it.

    The true object, cut out by its mask, is compared with the edit at every place by the sum of squared differences.
    """
    inside = true_object(edit)
    rows, columns = mask_box(inside)
    template, mask = edit.truth[rows, columns].astype(np.float32), inside[rows, columns].astype(np.float32)
    distances = cv2.matchTemplate(edit.edited.astype(np.float32), template, cv2.TM_SQDIFF, mask=np.dstack([mask] * 3))
    down, right = np.unravel_index(np.argmin(distances), distances.shape)
    return float(np.hypot(right - columns.start, down - rows.start))


def warp_error(edit: EditedPicture) -> float:
    """Mean difference, in grey levels, of this frame and the next one, which the truth's exact flow warps back.

    Over the points of the true object that both frames of the truth show, without the pixels at its border, which are
    mixed with the background.
    """
    if edit.following is None:
        raise NotComputableError("there is no next frame")
    shown = ~grow(~true_object(edit), BORDER) & edit.following.visible
    if not shown.any():
        raise NotComputableError("no point inside the true object is seen in the next frame")
    following = torch.from_numpy(edit.following.edited).permute(2, 0, 1)[None].float()
    warped = warp_backward(following, torch.from_numpy(edit.following.flow)[None])[0].permute(1, 2, 0).numpy()
    return float(np.abs(warped - edit.edited)[shown].mean())


def _psnr(edit: EditedPicture, mask: NDArray[np.bool_]) -> float:
    return min(MAX_PSNR, compute_psnr(edit.edited[mask], edit.truth[mask]))


def _truth_mask(edit: EditedPicture) -> NDArray[np.bool_]:
    if edit.truth_mask is None:
        raise NotComputableError("the set has no truth")
    return edit.truth_mask


def true_object(edit: EditedPicture) -> NDArray[np.bool_]:
    """The true object's mask, of at least one pixel."""
    if not _truth_mask(edit).any():
        raise NotComputableError("the truth shows no object")
    return edit.truth_mask


def _exact_object(edit: EditedPicture) -> NDArray[np.bool_]:
    """The true object's mask, where its pixels are determined."""
    inside = true_object(edit)
    if edit.facts.scoring != "exact":
        raise NotComputableError("its material is stochastic, so its pixels are not determined")
    return inside

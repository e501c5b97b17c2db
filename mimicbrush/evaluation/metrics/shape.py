"""Metrics of shape for texture transfer, which keeps the source's edges and depth inside the mask."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2gray

from mimicbrush.evaluation.metrics.depth import DepthEstimator
from mimicbrush.evaluation.metrics.models import Models
from mimicbrush.evaluation.metrics.score import EditedPicture, NotComputableError, Score, score_each
from mimicbrush.pictures.mask_geometry import grow

EDGE_BLUR = 1 / 100
"""Sigma of the blur before edge detection, as a share of the picture's diagonal; it removes fine texture."""
BORDER_REACH = 2
"""Distance from the mask's border, in sigmas, within which the blur mixes in the unchanged surroundings."""
FLAT = 1e-6
"""Standard deviation below which a picture counts as flat, and a correlation is undefined."""


def edge_agreement(edit: EditedPicture) -> float:
    """Correlation, -1 to 1, of edge strength inside the mask, edit against source; 1 for equal pictures.

    Edge strength is the magnitude of the gradient of the brightness, blurred by 1 % of the diagonal; pixels within two
    sigmas of the mask's border are left out. It is about 0 for unrelated shapes, which an F-score of Canny edges is
    not, because dense edges match each other by chance.
    """
    sigma = max(1.0, EDGE_BLUR * math.hypot(*edit.mask.shape))
    inner = ~grow(~edit.mask, round(BORDER_REACH * sigma))
    if not inner.any():
        raise NotComputableError(
            f"no pixel of the mask is further than {BORDER_REACH * sigma:.0f} pixels from its border"
        )
    source, edited = (_edge_strength(picture, sigma)[inner] for picture in (edit.source, edit.edited))
    return _correlation(source, edited, "brightness")


def depth_agreement(edits: Sequence[EditedPicture], models: Models) -> list[Score]:
    """Pearson correlation, -1 to 1, of edit's and source's depth over the masked pixels; 1 for equal pictures.

    Depth Anything estimates inverse depth up to scale and shift, which do not change a correlation. Both maps are
    computed from the whole picture.
    """
    estimator: DepthEstimator = models.load("depth")
    return score_each(partial(_depth_agreement, estimator), edits)


def _depth_agreement(estimator: DepthEstimator, edit: EditedPicture) -> float:
    source, edited = (estimator.estimate(picture)[edit.mask] for picture in (edit.source, edit.edited))
    return _correlation(source, edited, "depth")


def _edge_strength(picture: NDArray[np.uint8], sigma: float) -> NDArray[np.float64]:
    rows, columns = np.gradient(cv2.GaussianBlur(rgb2gray(picture), (0, 0), sigma))
    return np.hypot(rows, columns)


def _correlation(source: NDArray[np.float64], edited: NDArray[np.float64], of: str) -> float:
    source, edited = source - source.mean(), edited - edited.mean()
    norms = np.linalg.norm(source), np.linalg.norm(edited)
    # A flat picture's values differ by rounding alone.
    is_flat = [norm <= FLAT * math.sqrt(source.size) for norm in norms]
    if is_flat[0]:
        raise NotComputableError(f"the source has no change of {of} inside the mask")
    # An edit without any shape scores 0; leaving it out would improve the mean of the worst editor.
    return 0.0 if is_flat[1] else float(source @ edited / (norms[0] * norms[1]))

"""GrabCut (Rother et al. 2004): separate the object in a box from its surroundings by colour."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image
from scipy.ndimage import binary_fill_holes

from mimicbrush.errors import UnusableInput
from mimicbrush.pictures.conversion import is_masked, shrink_to_fit, to_pil
from mimicbrush.segmentation.prompt import Box, Mask

GRABCUT_SIDE = 320
"""Pixels of the longer side. 512 pixels take three times as long, and were right as often for central boxes of 26
photographs: about every second time."""


def shrink_for_grabcut(image: Image.Image) -> Image.Image:
    """Return a copy whose longer side is at most GRABCUT_SIDE pixels, for which GrabCut is fast."""
    return shrink_to_fit(image, GRABCUT_SIDE, GRABCUT_SIDE)


def segment_grabcut(image: Image.Image, box: Box, *, iterations: int, seed: int) -> Mask:
    """Find the pixels in the box whose colours differ from those outside it: (H, W), true on the object.

    image: RGB; iterations: rounds of fitting the two colour models; seed: for their first clusters.
    Raises UnusableInput (grabcut_failed) if the box covers the whole picture.
    """
    x0, y0, x1, y1 = box
    labels = np.zeros(image.size[::-1], np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    pixels = cv2.cvtColor(np.array(image), cv2.COLOR_RGB2BGR)
    cv2.setRNGSeed(seed)
    try:
        cv2.grabCut(pixels, labels, (x0, y0, x1 - x0, y1 - y0), *models, iterations, cv2.GC_INIT_WITH_RECT)
    except cv2.error:
        raise UnusableInput("grabcut_failed", "GrabCut found no background outside the box") from None
    return largest_piece((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD))


def largest_piece(mask: Mask) -> Mask:
    """Keep the largest connected piece of a mask and fill its holes, because GrabCut leaves specks."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count == 1:
        return mask
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    return binary_fill_holes(labels == largest)


def resize_mask(mask: Mask, size: tuple[int, int]) -> Mask:
    """Resize a mask to (width, height) with a smooth outline."""
    return is_masked(np.array(to_pil(mask).resize(size, Image.Resampling.BICUBIC)))

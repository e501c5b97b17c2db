"""Finds the thing that a visitor points at: by Segment Anything where its weights are given, otherwise by GrabCut."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache

import numpy as np
from PIL import Image

from mimicbrush.errors import UnusableInput, UserError
from mimicbrush.segmentation.grabcut import resize_mask, segment_grabcut, shrink_for_grabcut
from mimicbrush.segmentation.prompt import Click, Mask, SegmentationPrompt

ROUNDS = 5
"""Rounds of GrabCut; more change little."""
NOTHING_FOUND = "nothing was found there; drag a box that is a little larger than the thing"


class ObjectSelector:
    """Makes masks from clicks and boxes. segmenter: SAM's weights, loaded when they are first needed, or None."""

    def __init__(self, segmenter: str | None) -> None:
        self.segmenter = segmenter
        self._sam = None
        self._lock = threading.Lock()

    def select(self, image: Image.Image, corners: Sequence[tuple[float, float]]) -> Mask:
        """Return the mask (H, W) of the thing at one point, or within the box between two corners, in pixels.

        Raises UserError if nothing is found, or the weights cannot be loaded.
        """
        points = np.clip(corners, 0, image.size)
        if len(points) == 1:
            prompt = SegmentationPrompt(clicks=(Click(*points[0].tolist()),))
        else:
            prompt = SegmentationPrompt(box=(*points.min(axis=0).tolist(), *points.max(axis=0).tolist()))
        try:
            mask = self._by_sam(image, prompt) if self.segmenter else _by_grabcut(image, prompt)
        except UnusableInput:
            raise UserError(NOTHING_FOUND) from None
        if not mask.any():
            raise UserError(NOTHING_FOUND)
        return mask

    def _by_sam(self, image: Image.Image, prompt: SegmentationPrompt) -> Mask:
        from mimicbrush.segmentation.segment_anything import SegmentAnything  # imports transformers

        with self._lock:
            self._sam = self._sam or SegmentAnything(self.segmenter)
            return self._sam.segment(image, prompt)


@cache
def shared_selector(segmenter: str | None) -> ObjectSelector:
    """The selector of all tabs, so that weights are loaded once."""
    return ObjectSelector(segmenter)


def _by_grabcut(image: Image.Image, prompt: SegmentationPrompt) -> Mask:
    small = shrink_for_grabcut(image)
    scaled = prompt.scaled(small.width / image.width)
    left, top, right, bottom = scaled.whole_box()
    box = left, top, min(max(right, left + 1), small.width), min(max(bottom, top + 1), small.height)
    return resize_mask(segment_grabcut(small, box, iterations=ROUNDS, seed=0), image.size)

"""Choose object masks from annotations in COCO's and SA-1B's format, and decode them.

A mask is stored as run lengths, compressed (a text) or not (a list of numbers), or as polygons. One bad mask or rating
loses that mask and not the still.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon

from data_prep.config import ObjectMaskConfig
from data_prep.stills.rle import decode_compressed_runs, decode_runs
from mimicbrush.errors import UnusableInput
from mimicbrush.pictures.mask_geometry import count_touched_sides

RATINGS = {"area": math.nan, "predicted_iou": 1.0, "stability_score": 1.0}
"""Ratings of a mask in its annotation, and the value that is assumed if one is missing."""


def choose_masks(
    annotations: Sequence[object],
    shape: tuple[int, int],
    config: ObjectMaskConfig,
    generator: np.random.Generator,
    *,
    stated: tuple[int, int] | None = None,
) -> tuple[list[NDArray[np.bool_]], Counter[str]]:
    """At most `masks_per_still` masks (H, W) within the limits, decoded in random order until there are enough.

    stated: height and width of the picture that the annotations were made for, if known; needed for polygons.
    Returns the masks, and the number of faulty annotations that were met, by reason. Raises UnusableInput
    (no_good_mask, or bad_rating, bad_mask or mask_size if all annotations are faulty) if there is no mask.
    """
    faults: list[UnusableInput] = []
    good = [note for note in annotations if _is_rated_well(note, shape, config, faults)]
    masks: list[NDArray[np.bool_]] = []
    for index in generator.permutation(len(good)):
        try:
            mask = decode_segmentation(good[index].get("segmentation"), shape, stated=stated)
        except UnusableInput as fault:
            faults.append(fault)
            continue
        if _is_within_limits(mask, config):
            masks.append(mask)
        if len(masks) == config.masks_per_still:
            break
    counts = Counter(fault.reason for fault in faults)
    if not masks:
        if len(faults) == len(annotations):
            raise faults[0]
        faulty = f", {len(faults)} are faulty: {faults[0].detail}" if faults else ""
        raise UnusableInput("no_good_mask", f"none of {len(annotations)} masks passes the limits{faulty}")
    return masks, counts


def decode_segmentation(
    segmentation: object, shape: tuple[int, int], *, stated: tuple[int, int] | None = None
) -> NDArray[np.bool_]:
    """Decode a mask (H, W); raises UnusableInput (bad_mask, mask_size) if it is damaged or of another size.

    stated: as in `choose_masks`.
    """
    try:
        if isinstance(segmentation, list):
            _refuse_size(stated or shape, shape)
            return draw_polygons(segmentation, shape)
        if not isinstance(segmentation, dict) or not {"size", "counts"} <= segmentation.keys():
            raise ValueError("expected run lengths {size, counts} or a list of polygons")
        _refuse_size(segmentation["size"], shape)
        counts = segmentation["counts"]
        return decode_compressed_runs(counts, *shape) if isinstance(counts, str) else decode_runs(counts, *shape)
    except (TypeError, ValueError) as error:
        raise UnusableInput("bad_mask", str(error)) from None


def _refuse_size(size: object, shape: tuple[int, int]) -> None:
    if not isinstance(size, list | tuple) or list(size) != list(shape):
        raise UnusableInput("mask_size", f"mask is {size}, picture is {list(shape)} (height, width)")


def draw_polygons(polygons: Sequence[object], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Fill polygons [x, y, x, y, ...] of one object, as a mask (H, W); raises ValueError if one is damaged.

    Coordinates are in pixels from the picture's corner, so a pixel is filled if its centre, half a pixel further, lies
    inside. Parts outside the picture are cut off.
    """
    mask = np.zeros(shape, bool)
    if not polygons:
        raise ValueError("the list of polygons is empty")
    for flat in polygons:
        points = np.array(flat, dtype=np.float64)
        if points.ndim != 1 or len(points) < 6 or len(points) % 2 or not np.isfinite(points).all():
            raise ValueError("expected a polygon as a list of numbers x, y, x, y, ... of three points or more")
        xs, ys = points.reshape(-1, 2).T
        mask[polygon(ys - 0.5, xs - 0.5, shape)] = True
    return mask


def _is_rated_well(note: object, shape: tuple[int, int], config: ObjectMaskConfig, faults: list[UnusableInput]) -> bool:
    """Whether an annotation's numbers are within the limits; decoding a mask takes a thousand times longer.

    An annotation that is no object or has a rating that is no number is added to `faults`.
    """
    if not isinstance(note, dict):
        faults.append(UnusableInput("bad_mask", "an annotation is no object with ratings and a segmentation"))
        return False
    try:
        area, iou, stability = (float(note.get(name, default)) for name, default in RATINGS.items())
    except (TypeError, ValueError) as error:
        faults.append(UnusableInput("bad_rating", f"area, predicted_iou and stability_score must be numbers: {error}"))
        return False
    share = area / (shape[0] * shape[1])
    # Without an area, the mask's pixels are counted.
    is_fit = math.isnan(share) or config.min_area <= share <= config.max_area
    return iou >= config.min_iou and stability >= config.min_stability and is_fit


def _is_within_limits(mask: NDArray[np.bool_], config: ObjectMaskConfig) -> bool:
    is_fit = config.min_area <= mask.mean() <= config.max_area
    return is_fit and count_touched_sides(mask) <= config.max_borders

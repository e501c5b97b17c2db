"""Read a still and its object masks: a picture and a JSON file in the format of SA-1B."""

from __future__ import annotations

import json
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_prep.config import ObjectMaskConfig
from data_prep.input_files import readable_text
from data_prep.rle import decode_rle
from data_prep.still_files import StillFiles
from mimicbrush.errors import UnusableInput, first_line
from mimicbrush.metadata import ORIGIN_FIELDS
from mimicbrush.pictures.conversion import rgb_bytes
from mimicbrush.pictures.decoding import decode_bytes, turn_upright
from mimicbrush.pictures.headers import UnreadablePictureError, swaps_sides
from mimicbrush.pictures.mask_geometry import count_touched_sides

RATINGS = {"area": math.nan, "predicted_iou": 1.0, "stability_score": 1.0}
"""Ratings of a mask in its annotation, and the value that is assumed if one is missing."""


class Still(NamedTuple):
    """A picture and masks of its objects."""

    image: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    masks: list[NDArray[np.bool_]]
    """(H, W) each, one for each object."""
    facts: dict
    """Group, licence and URL of the picture, as far as the JSON file states them."""


def read_still(files: StillFiles, config: ObjectMaskConfig, generator: np.random.Generator) -> Still:
    """Decode a still, upright and on white, and a random choice of its good masks.

    Raises UnusableInput (truncated, missing_picture, missing_masks, bad_json, bad_picture, mask_size, bad_mask,
    no_good_mask).
    """
    if files.annotations is None:
        raise UnusableInput("missing_masks", "no JSON beside the picture")
    content = _parse(files.annotations.read())
    if files.picture is None:
        raise UnusableInput("missing_picture", "no picture beside the JSON")
    try:
        picture = decode_bytes(files.picture.read())
    except UnreadablePictureError as error:
        raise UnusableInput("bad_picture", first_line(error)) from None
    image, orientation = rgb_bytes(picture.levels), picture.orientation
    # COCO's masks belong to the pixels as stored, before EXIF orientation is applied.
    stored = image.shape[1::-1] if swaps_sides(orientation) else image.shape[:2]
    masks = [turn_upright(mask, orientation) for mask in _good_masks(content["annotations"], stored, config, generator)]
    facts = content["image"] if isinstance(content.get("image"), dict) else {}
    known = {name: facts.get(name) for name in ORIGIN_FIELDS}
    return Still(
        image, masks, {name: readable_text(fact) for name, fact in known.items() if fact and isinstance(fact, str)}
    )


def _parse(text: bytes) -> dict:
    """The content of a JSON file of annotations; raises UnusableInput if it is damaged or holds none."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnusableInput("bad_json", first_line(error)) from None
    notes = content.get("annotations") if isinstance(content, dict) else None
    if not isinstance(notes, list) or not all(isinstance(note, dict) for note in notes):
        raise UnusableInput("bad_json", "no list `annotations` of objects")
    if not content["annotations"]:
        raise UnusableInput("missing_masks", "the list `annotations` is empty")
    return content


def _good_masks(
    annotations: list[dict], shape: tuple[int, int], config: ObjectMaskConfig, generator: np.random.Generator
) -> list[NDArray[np.bool_]]:
    """At most `masks_per_still` masks within the limits, decoded in random order until there are enough."""
    good = [note for note in annotations if _is_rated_well(note, shape, config)]
    masks: list[NDArray[np.bool_]] = []
    for index in generator.permutation(len(good)):
        mask = _decode(good[index], shape)
        if _is_within_limits(mask, config):
            masks.append(mask)
        if len(masks) == config.masks_per_still:
            break
    if not masks:
        raise UnusableInput("no_good_mask", f"none of {len(annotations)} masks passes the limits")
    return masks


def _is_rated_well(note: dict, shape: tuple[int, int], config: ObjectMaskConfig) -> bool:
    """Whether an annotation's numbers are within the limits; decoding a mask takes a thousand times longer."""
    try:
        area, iou, stability = (float(note.get(name, default)) for name, default in RATINGS.items())
    except (TypeError, ValueError) as error:
        raise UnusableInput("bad_json", f"area, predicted_iou and stability_score must be numbers: {error}") from None
    share = area / (shape[0] * shape[1])
    is_fit = (
        math.isnan(share) or config.min_area <= share <= config.max_area
    )  # without an area, the mask's pixels are counted
    return iou >= config.min_iou and stability >= config.min_stability and is_fit


def _decode(note: dict, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Decode the mask (H, W) of an annotation; raises UnusableInput if it is damaged or of another size."""
    coded = note.get("segmentation")
    if not isinstance(coded, dict) or not isinstance(coded.get("counts"), str) or "size" not in coded:
        raise UnusableInput("bad_mask", "expected a segmentation of compressed run lengths {size, counts}")
    if coded["size"] != list(shape):
        raise UnusableInput("mask_size", f"mask is {coded['size']}, picture is {list(shape)} (height, width)")
    try:
        return decode_rle(coded["counts"], *shape)
    except ValueError as error:
        raise UnusableInput("bad_mask", str(error)) from None


def _is_within_limits(mask: NDArray[np.bool_], config: ObjectMaskConfig) -> bool:
    is_fit = config.min_area <= mask.mean() <= config.max_area
    return is_fit and count_touched_sides(mask) <= config.max_borders

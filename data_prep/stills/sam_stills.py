"""Read a still and its object masks: a picture and a JSON file in the format of SA-1B."""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_prep.config import ObjectMaskConfig
from data_prep.inputs.input_files import readable_text
from data_prep.inputs.still_files import StillFiles
from data_prep.stills.coco_masks import choose_masks
from mimicbrush.errors import UnusableInput, first_line
from mimicbrush.metadata import ORIGIN_FIELDS
from mimicbrush.pictures.conversion import rgb_bytes
from mimicbrush.pictures.decoding import decode_bytes, turn_upright
from mimicbrush.pictures.headers import UnreadablePictureError, swaps_sides
from mimicbrush.pictures.jpeg_damage import find_jpeg_damage


class Still(NamedTuple):
    """A picture and masks of its objects."""

    image: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    masks: list[NDArray[np.bool_]]
    """(H, W) each, one for each object."""
    facts: dict
    """Group, licence and URL of the picture, as far as the JSON file states them."""
    faults: dict[str, int]
    """Numbers of faulty masks that were left out, by reason."""


def read_still(files: StillFiles, config: ObjectMaskConfig, generator: np.random.Generator) -> Still:
    """Decode a still, upright and on white, and a random choice of its good masks.

    Raises UnusableInput (truncated, missing_picture, missing_masks, bad_json, bad_picture, mask_size, bad_mask,
    bad_rating, no_good_mask).
    """
    if files.annotations is None:
        raise UnusableInput("missing_masks", "no JSON beside the picture")
    content = _parse(files.annotations.read())
    if files.picture is None:
        is_set = isinstance(content.get("images"), list)
        many = "; it lists `images` as COCO's instances do, but one JSON per picture is expected" if is_set else ""
        raise UnusableInput("missing_picture", f"no picture beside the JSON{many}")
    encoded = files.picture.read()
    try:
        picture = decode_bytes(encoded)
    except UnreadablePictureError as error:
        raise UnusableInput("bad_picture", first_line(error)) from None
    if damage := find_jpeg_damage(encoded):
        raise UnusableInput("bad_picture", damage)
    image, orientation = rgb_bytes(picture.levels), picture.orientation
    # COCO's masks belong to the pixels as stored, before EXIF orientation is applied.
    stored = image.shape[1::-1] if swaps_sides(orientation) else image.shape[:2]
    facts = content["image"] if isinstance(content.get("image"), dict) else {}
    stated = facts.get("height"), facts.get("width")
    masks, faults = choose_masks(
        content["annotations"], stored, config, generator, stated=stated if None not in stated else None
    )
    known = {name: facts.get(name) for name in ORIGIN_FIELDS}
    return Still(
        image,
        [turn_upright(mask, orientation) for mask in masks],
        {name: readable_text(fact) for name, fact in known.items() if fact and isinstance(fact, str)},
        dict(faults),
    )


def _parse(text: bytes) -> dict:
    """The content of a JSON file of annotations; raises UnusableInput if it is damaged or holds none."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnusableInput("bad_json", first_line(error)) from None
    notes = content.get("annotations") if isinstance(content, dict) else None
    if not isinstance(notes, list):
        raise UnusableInput("bad_json", "no list `annotations` of objects")
    if not notes:
        raise UnusableInput("missing_masks", "the list `annotations` is empty")
    return content

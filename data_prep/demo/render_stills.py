"""Render stills in the layout of SA-1B: a picture and a JSON file of object masks, found by graph segmentation."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import felzenszwalb

from data_prep.config import EncodeConfig
from data_prep.demo.camera import lit, look, random_grade, random_light, random_path
from data_prep.demo.demo_photographs import DemoPhotograph, load
from data_prep.frames.images import encode_image
from data_prep.stills.sam_annotations import describe_still
from mimicbrush.files import whole, write_json
from mimicbrush.pictures.mask_geometry import count_touched_sides
from mimicbrush.seeds import seed_of_input

MIN_AREA, MAX_AREA = 0.03, 0.45
"""Smallest and largest share of the picture that a mask covers."""
MAX_MASKS = 6
"""Largest number of masks of a still."""


class DemoStill(NamedTuple):
    """One still to render; its JSON file is written last."""

    path: Path
    number: int
    name: str
    """Name of the photograph."""
    photograph: DemoPhotograph


def render_still(still: DemoStill, *, size: int, seed: int) -> None:
    """Render a colour-graded view and its masks; raises ValueError if none of 20 views has a mask."""
    generator = np.random.default_rng(seed_of_input(seed, still.path.name))
    photograph = load(still.photograph)
    grade = random_grade(photograph, generator)
    for _ in range(20):
        view, _ = random_path(*photograph.shape[:2], generator)
        image = lit(look(grade(photograph), view, size), random_light(generator))
        masks = find_masks(image)
        if masks:
            break
    else:
        raise ValueError(f"{still.name}: no view with an object mask")
    still.path.parent.mkdir(parents=True, exist_ok=True)
    with whole(still.path) as partial:
        partial.write_bytes(encode_image(image, EncodeConfig()))
    # No network rates these masks: their rating is the overlap between two segmentations.
    facts = {"group": still.name, "licence": still.photograph.licence}
    write_json(describe_still(still.path.name, still.number, masks, **facts), still.path.with_suffix(".json"))


def find_masks(image: NDArray[np.uint8]) -> list[tuple[NDArray[np.bool_], float]]:
    """Find segments of (H, W, 3) that may be objects, largest first, and their overlap with a second segmentation."""
    smooth = cv2.bilateralFilter(cv2.GaussianBlur(image, (0, 0), 1.5), 9, 40, 9)
    labels = felzenszwalb(smooth, scale=300, sigma=0.8, min_size=300)
    again = felzenszwalb(smooth, scale=400, sigma=1.0, min_size=300)
    masks = [_filled(labels == label) for label in np.unique(labels)]
    masks = [mask for mask in masks if MIN_AREA <= mask.mean() <= MAX_AREA and count_touched_sides(mask) <= 2]
    masks.sort(key=lambda mask: -mask.sum())
    return [(mask, _best_overlap(mask, again)) for mask in masks[:MAX_MASKS]]


def _filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected part of a mask, smoothed, without holes."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    smooth = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    outlines, _ = cv2.findContours(smooth, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(smooth)
    if outlines:
        cv2.drawContours(filled, [max(outlines, key=cv2.contourArea)], -1, 1, cv2.FILLED)
    return filled.astype(bool)


def _best_overlap(mask: NDArray[np.bool_], labels: NDArray[np.integer]) -> float:
    """Largest intersection over union of a mask with a segment of another segmentation."""
    shares = [float((mask & (labels == label)).sum() / (mask | (labels == label)).sum()) for label in np.unique(labels)]
    return round(max(shares), 4)

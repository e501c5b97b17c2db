"""Write the JSON file beside a still in the layout of SA-1B: facts about the picture, and masks of its objects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data_prep.stills.rle import encode_rle
from mimicbrush.pictures.mask_geometry import mask_box


def describe_still(file_name: str, number: int, masks: Sequence[tuple[NDArray[np.bool_], float]], **facts: str) -> dict:
    """Describe a picture and its masks (H, W), of which there is at least one, each with the rating of its quality.

    number: distinguishes the stills of a folder. facts: further facts about the picture, such as its licence.
    """
    height, width = masks[0][0].shape
    image = {"image_id": number, "width": width, "height": height, "file_name": file_name, **facts}
    return {
        "image": image,
        "annotations": [_annotation(1000 * number + place, mask, rating) for place, (mask, rating) in enumerate(masks)],
    }


def _annotation(number: int, mask: NDArray[np.bool_], rating: float) -> dict:
    rows, columns = mask_box(mask)
    return {
        "id": number,
        "area": int(mask.sum()),
        "bbox": [columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start],
        "predicted_iou": rating,
        "stability_score": rating,
        "crop_box": [0, 0, mask.shape[1], mask.shape[0]],
        "point_coords": [[float(np.flatnonzero(mask.any(axis=axis)).mean()) for axis in (0, 1)]],
        "segmentation": {"size": list(mask.shape), "counts": encode_rle(mask)},
    }

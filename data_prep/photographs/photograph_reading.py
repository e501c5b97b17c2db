"""Read a photograph from a file, with the cut-out that its alpha shows."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_prep.frames.images import shrink
from data_prep.inputs.input_files import check_file
from mimicbrush.data.picture_limits import is_storable
from mimicbrush.errors import UnusableInput, first_line
from mimicbrush.pictures.conversion import is_masked, rgb_bytes
from mimicbrush.pictures.decoding import decode_bytes
from mimicbrush.pictures.headers import UnreadablePictureError
from mimicbrush.pictures.jpeg_damage import find_jpeg_damage


class Photograph(NamedTuple):
    """A photograph as it is stored in a shard."""

    image: NDArray[np.uint8]
    """(H, W, 3) RGB, upright, on white."""
    cut_out: NDArray[np.bool_] | None
    """(H, W), True where the picture is opaque; None if it is opaque everywhere."""
    full_size: tuple[int, int]
    """Width and height of the file's picture, upright."""


def read_photograph(path: Path, *, short_side: int) -> Photograph:
    """Read a photograph, scaled down to a short side of at most `short_side`.

    Raises UnusableInput (missing, not_a_file, no_permission, bad_picture, too_small, mask_empty).
    """
    check_file(path)
    try:
        encoded = path.read_bytes()
    except PermissionError:
        raise UnusableInput("no_permission", path.name) from None
    try:
        levels = decode_bytes(encoded).levels
    except UnreadablePictureError as error:
        raise UnusableInput("bad_picture", f"{path.name}: {first_line(error)}") from None
    if damage := find_jpeg_damage(encoded):
        raise UnusableInput("bad_picture", f"{path.name}: {damage}")
    image = shrink(rgb_bytes(levels), short_side)
    full_size = levels.shape[1], levels.shape[0]
    if not is_storable(*full_size) or not is_storable(*image.shape[1::-1]):
        raise UnusableInput("too_small", f"{path.name}: {full_size[0]} x {full_size[1]} pixels")
    return Photograph(image, _cut_out(levels, path, short_side), full_size)


def _cut_out(levels: NDArray, path: Path, short_side: int) -> NDArray[np.bool_] | None:
    if levels.shape[2] < 4:
        return None
    alpha = (levels[..., 3] / np.iinfo(levels.dtype).max * 255).astype(np.uint8)
    opaque = is_masked(shrink(alpha, short_side))
    if not opaque.any():
        raise UnusableInput("mask_empty", f"{path.name}: it is transparent everywhere")
    return None if opaque.all() else opaque

"""Decode stored pairs into padded squares, in a worker: pictures, keypoints, and a choice of objects."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mimicbrush.data.picture_limits import LIMITS, MAX_OBJECT_AREA, MIN_OBJECT_AREA, is_storable
from mimicbrush.data.shards import DamagedSampleError, FramePair
from mimicbrush.pictures.conversion import is_masked, mask_bytes, rgb_bytes
from mimicbrush.pictures.decoding import EncodedPicture
from mimicbrush.pictures.geometry import Placement, place, resize
from mimicbrush.pictures.headers import UnreadablePictureError

MAX_KEYPOINTS = 64
"""Largest number of matched keypoints per sample in a batch; more hardly change any cell of a mask."""
MAX_SEGMENTS = 3
"""Largest number of a still's segments that are hidden together."""
DRAFT_MARGIN = 1.5
"""A JPEG is decoded at a half, a quarter or an eighth of its size if that is larger than needed by this factor: then no
grey level differs by more than 2 from a full decoding."""


class PairBatch(NamedTuple):
    """Decoded pairs, padded to squares, before augmentation and masking on the device.

    Pictures are stored as bytes, which take a quarter of the memory and transfer time of floats.
    """

    source: Tensor
    """(B, 3, S, S) uint8, white padding."""
    reference: Tensor
    """(B, 3, S, S) uint8, white padding; equal to the source if the sample is a still."""
    keypoints: Tensor
    """(B, K, 4): matched keypoints, x, y in the square source and x, y in the square reference, in [0, 1]; rows of
    NaN if there are fewer than K."""
    is_still: Tensor
    """(B,) bool: the reference is the source's own picture, so every point matches itself."""
    object_mask: Tensor
    """(B, 1, S, S) bool: objects of the source to hide; all False if there are none."""
    source_box: list[Placement]
    """Position of each source in its square; the rest is padding."""
    reference_box: list[Placement]
    """Position of each reference in its square."""
    key: list[str]
    group: list[str]
    position: list[int]
    """Positions in the run's endless order of samples; the random numbers of a batch depend only on them."""
    skipped: list[str]
    """Keys and faults of damaged samples that were replaced."""


def decode_pair(
    pair: FramePair, size: int, rng: random.Random, *, position: int = 0, skipped: Sequence[str] = ()
) -> PairBatch:
    """Decode one pair as a batch of one: pad pictures to white squares, move keypoints along, choose objects.

    Raises DamagedSampleError, which names the sample, if a picture, a mask or the keypoints cannot be used.
    """
    try:
        source, source_box = _decode_square(pair.source, size)
        reference, reference_box = (
            (source, source_box) if pair.reference is None else _decode_square(pair.reference, size)
        )
        keypoints = _square_keypoints(pair.keypoints, source_box, reference_box, size, rng)
        object_mask = _choose_objects(pair.masks, source_box, size, rng)
    except DamagedSampleError as error:
        raise DamagedSampleError(f"{pair.key}: {error}") from None
    return PairBatch(
        source=source[None],
        reference=reference[None],
        keypoints=keypoints[None],
        is_still=torch.tensor([pair.reference is None]),
        object_mask=object_mask[None],
        source_box=[source_box],
        reference_box=[reference_box],
        key=[pair.key],
        group=[str(pair.origin.get("group", pair.key))],
        position=[position],
        skipped=list(skipped),
    )


def collate(samples: Sequence[PairBatch]) -> PairBatch:
    """Join batches of one."""
    columns = zip(*samples, strict=True)
    return PairBatch(
        *(
            torch.cat(column) if isinstance(column[0], Tensor) else list(chain.from_iterable(column))
            for column in columns
        )
    )


def decode_image(encoded: bytes, mode: Literal["RGB", "L"]) -> Tensor:
    """Decode (3, H, W), or (1, H, W) for mode L, in [0, 1]; raises DamagedSampleError if the picture is damaged."""
    with _naming_damage():
        return to_float(_to_bytes(_plausible(encoded).decode(), mode))


def _decode_square(encoded: bytes, size: int) -> tuple[Tensor, Placement]:
    """Decode (3, size, size) uint8 with white padding; also gives the picture's position in the square."""
    with _naming_damage():
        picture = _plausible(encoded)
        box = _place_upright(picture, size)
        enough = (math.ceil(box.width * DRAFT_MARGIN), math.ceil(box.height * DRAFT_MARGIN))
        scaled = resize(_to_bytes(picture.decode(at_least=enough), "RGB"), box.height, box.width)
    canvas = torch.full((3, size, size), 255, dtype=torch.uint8)
    canvas[box.inside] = scaled
    return canvas, box


def _choose_objects(masks: list[bytes], box: Placement, size: int, rng: random.Random) -> Tensor:
    """Choose 1 to MAX_SEGMENTS segments in random order, and join them: (1, size, size) bool.

    Together they cover MIN_OBJECT_AREA to MAX_OBJECT_AREA of the picture; if no choice does, the mask is empty.
    """
    canvas = torch.zeros(1, size, size, dtype=torch.bool)
    if not masks:
        return canvas
    wanted, taken = rng.randint(1, MAX_SEGMENTS), 0
    union = torch.zeros(box.height, box.width, dtype=torch.bool)
    for encoded in rng.sample(masks, len(masks)):
        joined = union | _decode_mask(encoded, box, size)
        if _share(joined) <= MAX_OBJECT_AREA:
            union, taken = joined, taken + 1
        if taken == wanted:
            break
    if _share(union) >= MIN_OBJECT_AREA:
        canvas[box.inside] = union
    return canvas


def _decode_mask(encoded: bytes, box: Placement, size: int) -> Tensor:
    """Decode a mask (box.height, box.width), True above mid-grey."""
    with _naming_damage():
        mask = _plausible(encoded)
        if _place_upright(mask, size) != box:
            raise DamagedSampleError(f"mask of {mask.stored_size} pixels does not fit its picture")
        return is_masked(resize(_to_bytes(mask.decode(), "L"), box.height, box.width)[0])


def _share(mask: Tensor) -> float:
    return mask.count_nonzero().item() / mask.numel()


@contextmanager
def _naming_damage() -> Iterator[None]:
    try:
        yield
    except UnreadablePictureError as error:
        raise DamagedSampleError(str(error)) from None


def _plausible(encoded: bytes) -> EncodedPicture:
    picture = EncodedPicture(encoded)
    if not is_storable(*picture.stored_size):
        raise DamagedSampleError(f"picture of {picture.stored_size} pixels, expected {LIMITS}")
    return picture


def _to_bytes(levels: NDArray, mode: Literal["RGB", "L"]) -> Tensor:
    """Convert decoded levels to (3, H, W) uint8, or to (1, H, W) for a mask."""
    return torch.from_numpy(rgb_bytes(levels) if mode == "RGB" else mask_bytes(levels)[..., None]).permute(2, 0, 1)


def _place_upright(picture: EncodedPicture, size: int) -> Placement:
    width, height = picture.upright_size
    return place(height, width, size)


def _square_keypoints(
    keypoints: Sequence[Sequence[float]], source: Placement, reference: Placement, size: int, rng: random.Random
) -> Tensor:
    """Move points of the two pictures to their padded squares: (MAX_KEYPOINTS, 4), filled up with NaN."""
    square = torch.full((MAX_KEYPOINTS, 4), float("nan"))
    if not keypoints:
        return square
    chosen = rng.sample(keypoints, MAX_KEYPOINTS) if len(keypoints) > MAX_KEYPOINTS else keypoints
    try:
        points = np.array(keypoints, dtype=np.float64)
    except (TypeError, ValueError):
        points = np.full(1, math.nan)
    # All points are checked: whether a sample counts as damaged must not depend on the random choice.
    if points.shape[1:] != (4,) or not ((points >= 0) & (points <= 1)).all():
        raise DamagedSampleError("keypoints must be four numbers from 0 to 1 each: source x, y, reference x, y")
    sides = (source.width, source.height, reference.width, reference.height)
    points = np.array(chosen) * sides + (source.left, source.top, reference.left, reference.top)
    square[: len(points)] = torch.from_numpy(points / size)
    return square


def to_float(images: Tensor) -> Tensor:
    """Convert bytes to floats in [0, 1]; floats are returned unchanged."""
    return images.float().div_(255) if images.dtype == torch.uint8 else images

"""COCO's run-length encoding of masks, compressed as in SA-1B, or plain.

A mask is read column by column; the runs alternate between 0 and 1, starting with 0. From the fourth run on, the
difference to the run two before it is stored. Each number is split into groups of five bits in two's complement, lowest
group first; bit 5 of a group is set if more groups follow, and 48 is added to make a printable character.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def decode_compressed_runs(counts: str, height: int, width: int) -> NDArray[np.bool_]:
    """Decode a (height, width) mask; raises ValueError if the runs are damaged or do not fill it."""
    return decode_runs(_decode_numbers(counts), height, width)


def decode_runs(runs: Sequence[int], height: int, width: int) -> NDArray[np.bool_]:
    """Decode a (height, width) mask from plain run lengths; raises ValueError if they are damaged or do not fill it."""
    if not isinstance(runs, list) or not all(isinstance(run, int) for run in runs):
        raise ValueError("run lengths must be a text or a list of whole numbers")
    if any(run < 0 for run in runs) or sum(runs) != height * width:
        raise ValueError(f"run lengths cover {sum(runs)} pixels, the mask has {height * width}")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T


def encode_rle(mask: NDArray[np.bool_]) -> str:
    """Encode a (H, W) mask; the inverse of `decode_compressed_runs`."""
    pixels = mask.T.ravel().astype(np.int8)
    edges = np.flatnonzero(np.diff(pixels, prepend=0))
    runs = np.diff(edges, prepend=0, append=pixels.size).tolist()
    return "".join(_encode_number(run - (runs[i - 2] if i > 2 else 0)) for i, run in enumerate(runs))


def _decode_numbers(counts: str) -> list[int]:
    runs: list[int] = []
    value, shift = 0, 0
    for character in counts:
        group = ord(character) - 48
        if not 0 <= group < 64:
            raise ValueError(f"{character!r} is no character of a compressed mask")
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    if shift:
        raise ValueError("a compressed mask ends in the middle of a number")
    return runs


def _encode_number(value: int) -> str:
    characters = []
    while True:
        group = value & 31
        value >>= 5
        finished = value == (-1 if group & 16 else 0)
        characters.append(chr(48 + group + (0 if finished else 32)))
        if finished:
            return "".join(characters)

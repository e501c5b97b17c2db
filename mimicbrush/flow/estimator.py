"""The interface of networks and algorithms that estimate optical flow, and the check of what they are given."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from mimicbrush.errors import UserError

MIN_SIDE = 16
"""Shortest side, in pixels, of pictures whose flow is estimated."""
MAX_VALUE = 16.0
"""Larger values are taken for levels of 8 bits. A decoder's unclamped pictures leave [0, 1] by far less."""


class FlowEstimator(Protocol):
    """Estimates where the pixels of a first picture are in a second one.

    Called with two batches of pictures (B, 3, H, W) in [0, 1], of which pair b is the b-th of each. Returns the flow
    (B, 2, H, W) in float32: channel 0 is x to the right, channel 1 is y down, in pixels on the first picture's grid.
    Sides may be of any length from 16 pixels. Raises UserError where the pictures do not fit (`check_pictures`).
    """

    def __call__(self, first: Tensor, second: Tensor, /) -> Tensor: ...


def check_pictures(first: Tensor, second: Tensor) -> None:
    """Raise UserError, which names the argument, unless these are pairs of pictures whose flow can be estimated."""
    for name, pictures in (("first", first), ("second", second)):
        _check(name, pictures)
    if first.shape != second.shape:
        raise UserError(
            f"first is {tuple(first.shape)}, second is {tuple(second.shape)}; expected one second picture of the same"
            " size for each first one (for a clip: frames[:-1] and frames[1:])"
        )


def _check(name: str, pictures: Tensor) -> None:
    if not isinstance(pictures, Tensor):
        raise UserError(f"{name} is a {type(pictures).__name__}, expected a tensor (B, 3, H, W) in [0, 1]")
    shape = tuple(pictures.shape)
    if pictures.ndim != 4 or shape[1] != 3 or not len(pictures):
        raise UserError(f"{name} is {shape}, expected (B, 3, H, W), one picture for each pair")
    if min(shape[2:]) < MIN_SIDE:
        raise UserError(f"{name} is {shape[3]}x{shape[2]} pixels, expected at least {MIN_SIDE} a side; enlarge it")
    if not pictures.is_floating_point():
        raise UserError(f"{name} is of {pictures.dtype}, expected floating point; divide levels of 8 bits by 255")
    low, high = map(float, torch.stack(pictures.detach().aminmax()).tolist())
    if not (abs(low) < float("inf") and abs(high) < float("inf")):  # false for NaN as well
        raise UserError(f"{name} holds NaN or infinity; pass finite values")
    if max(-low, high) > MAX_VALUE:
        raise UserError(f"{name} has values from {low:g} to {high:g}, expected [0, 1]; divide levels of 8 bits by 255")

"""Masks of a motion: what moves, where it lands, what may change, and motions that make no sense."""

from __future__ import annotations

import torch
from torch import Tensor

from mimicbrush.errors import UserError
from mimicbrush.flow.config import MARGIN
from mimicbrush.flow.warping import move_layer, points_inside
from mimicbrush.pictures.mask_geometry import grow

STILL = 1e-3
"""Length in pixels up to which a flow, or the mean flow of two neighbours, counts as zero."""
MIN_SHARE = 0.5
"""Share of the moving pixels, and of those where they land, that a mask must let change."""
OPAQUE = 0.5
"""Opacity from which a pixel counts as the object's."""
MAX_LENGTH = 1e6
"""Longest motion in pixels; beyond the size of any picture."""
POLARITY = "1 (white) marks what may change, so invert a mask of what to keep"
"""Advice where a mask keeps what moves."""


def moving_pixels(flow: Tensor) -> Tensor:
    """Pixels that a flow (1, 2, H, W) moves, (1, 1, H, W) of bool: those whose flow is not zero.

    The fixed point or line of a rotation or stretch belongs to the object as well: a pixel without flow between two
    neighbours whose flows are opposite.
    """
    moving = (flow != 0).any(dim=1, keepdim=True)
    fixed = torch.zeros_like(moving)
    for axis in (2, 3):
        length = flow.shape[axis] - 2
        if length < 1:
            continue
        before, after = flow.narrow(axis, 0, length), flow.narrow(axis, 2, length)
        both = moving.narrow(axis, 0, length) & moving.narrow(axis, 2, length)
        opposite = ((before + after) / 2).norm(dim=1, keepdim=True) <= STILL
        fixed.narrow(axis, 1, length).logical_or_(both & opposite)
    return moving | fixed


def propose_mask(flow: Tensor, *, margin: int = MARGIN) -> Tensor:
    """Propose where pixels may change for a flow (1, 2, H, W): a mask (1, 1, H, W) of 0 and 1.

    It covers the object, which uncovers what is behind it, the place where it lands, and a margin around both,
    in pixels.
    """
    moving = moving_pixels(flow)
    place = move_layer(moving.to(flow), moving, flow)[:, -1:] > 0
    grown = grow((moving | place)[0, 0].cpu().numpy(), margin)
    return torch.from_numpy(grown)[None, None].to(flow)


def edit_mask_of_keep_mask(keep: Tensor) -> Tensor:
    """Turn a mask of what must not change, as the release of Motion Guidance has it, into a mask of what may change."""
    return 1 - keep


def check_motion(flow: Tensor, mask: Tensor | None = None, *, advice: str = POLARITY) -> None:
    """Raise UserError for a flow longer than any picture, for one of which nothing would be seen, and for a mask that
    keeps most of what moves.

    flow: (1, 2, H, W); mask: (1, 1, H, W), 1 where pixels may change, or None; advice: what to do about such a mask.
    """
    longest = float(flow.abs().max())
    if longest > MAX_LENGTH:
        raise UserError(
            f"the flow moves a pixel by {longest:.3g} pixels, expected at most {MAX_LENGTH:g}; choose a shorter motion"
        )
    if longest <= STILL:
        raise UserError(
            f"the flow moves no pixel by more than {longest:.3g} pixels, so nothing would move; flow is in pixels"
        )
    moving = moving_pixels(flow)
    if not (moving & points_inside(flow)).any():
        raise UserError("the flow moves every pixel out of the picture; choose a shorter motion")
    if mask is None:
        return
    landed = move_layer(moving.to(flow), moving, flow)[:, -1:] > OPAQUE
    for place, called in ((moving, "the moving pixels"), (landed, "the place where they land")):
        share = float((mask > 0.5)[place].float().mean()) if place.any() else 1.0
        if share < MIN_SHARE:
            raise UserError(
                f"the mask lets {share:.0%} of {called} change, expected at least {MIN_SHARE:.0%}; {advice}"
            )


def describe_motion(flow: Tensor, mask: Tensor | None = None) -> list[str]:
    """Hints for a motion that works, but perhaps not as meant; one sentence each."""
    hints, moving = [], moving_pixels(flow)
    share = float((~points_inside(flow))[moving].float().mean())
    if share > 0:
        hints.append(f"{share:.0%} of the moving pixels leave the picture")
    if mask is not None and bool((mask > 0.5).all()):
        hints.append("the mask is full, so the whole picture may change; leave the mask out to have one proposed")
    return hints

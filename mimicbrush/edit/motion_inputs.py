"""The flow of a motion edit: read, or made of words, and checked before an editor is loaded."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mimicbrush.errors import UserError
from mimicbrush.flow.flow_files import read_flow
from mimicbrush.flow.motion_masks import check_motion, propose_mask
from mimicbrush.flow.worded_motions import worded_flow
from mimicbrush.pictures.edit_inputs import Source

if TYPE_CHECKING:
    from mimicbrush.edit.kinds.motion_edit import MotionEditConfig

log = logging.getLogger(__name__)


def read_motion(config: MotionEditConfig, source: Source, mask: Tensor | None, edit_mask: Tensor | None) -> Tensor:
    """The flow (1, 2, H, W) of an edit, zero outside the object.

    mask: (1, H, W), 1 on the object, or None; edit_mask: (1, H, W), 1 where pixels may change, or None. Raises
    UserError where nothing sensible would move, where the edit mask keeps what moves, and where transparency would stay
    behind.
    """
    flow = _read_flow(config.flow, source, mask) if config.move is None else worded_flow(config.move, mask[None])
    advice = _advice_on_masks(is_inverted=config.keep_mask is not None, has_object=mask is not None)
    check_motion(flow, None if edit_mask is None else edit_mask[None], advice=advice)
    changed = propose_mask(flow)[0] > 0
    if source.layer is not None and bool((source.layer[3:] < 1)[changed].any()):
        raise UserError(
            f"source {config.source} is transparent where the object is or lands, and its transparency would stay where"
            " it is; put the picture on a background first"
        )
    return flow


def _advice_on_masks(*, is_inverted: bool, has_object: bool) -> str:
    """Advice where the edit mask, or the mask of what is kept, keeps what moves."""
    if is_inverted:
        return "white in keep_mask marks what is kept; give a mask of what may change as edit_mask"
    swapped = "; mask is the object, edit_mask what may change: were they swapped?" if has_object else ""
    return f"white in edit_mask marks what may change; give a mask of what is kept as keep_mask{swapped}"


def _read_flow(path: Path, source: Source, mask: Tensor | None) -> Tensor:
    """Read a flow of the source's size, and keep that of the object."""
    fields = torch.from_numpy(read_flow(path).flow)
    height, width = source.pixels.shape[1:]
    if len(fields) != 1:
        raise UserError(f"flow {path} holds {len(fields)} fields, expected 1 for a still picture")
    if fields.shape[2:] != (height, width):
        raise UserError(
            f"flow {path} is {fields.shape[3]} x {fields.shape[2]} pixels and the source {width} x {height}; make the"
            " flow on the source's grid"
        )
    if not fields.any():
        raise UserError(f"flow {path} is zero everywhere, so nothing would move; give a motion")
    if mask is None:
        if (fields != 0).any(dim=1).all():
            log.warning("flow %s moves every pixel; name the object's mask as mask to move it alone", path)
        return fields
    flow = torch.where(mask[None] > 0.5, fields, 0)
    if not flow.any():
        raise UserError(
            f"flow {path} is zero on the whole object; mask is white on the object at its present place, not where it"
            " lands"
        )
    return flow

"""The object of a target picture: alone on white, as the image encoder sees it, and its outline."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mimicbrush.errors import UserError, quoted
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.geometry import letterbox
from mimicbrush.pictures.mask_geometry import mask_box
from mimicbrush.requests import VideoRequest

if TYPE_CHECKING:
    from mimicbrush.segmentation.named_objects import NamedObjects


class TargetObject(NamedTuple):
    """The object of a target picture."""

    picture: Tensor
    """(1, 3, side, side), white around the object."""
    outline: NDArray[np.bool_] | None
    """(h, w), 1 on the object in the whole target picture; None where it is not known."""


def cut_target(request: VideoRequest, finder: NamedObjects | None) -> TargetObject:
    """Cut the object out of the target picture.

    The object is that of the request's mask of the target, or the one that the target prompt names for the finder; with
    neither, it is the whole picture. Raises UserError where the picture has no such object.
    """
    picture, mask = request.target_image, request.target_mask
    if mask is None and finder is not None:
        found = finder.segment(to_pil(picture), request.target_prompt)
        if found is None:
            raise UserError(
                f"target_image shows no object that fits the target prompt {quoted(request.target_prompt)}; describe"
                " the object as it is seen, or give its mask"
            )
        mask = torch.from_numpy(found)[None].to(picture)
    outline = None if mask is None else mask[0].cpu().numpy() > 0.5
    if mask is not None:
        rows, columns = mask_box(outline)
        picture = torch.where(mask > 0.5, picture, 1.0)[:, rows, columns]
    return TargetObject(letterbox(picture[None], max(picture.shape[1:]), fill=1.0)[0], outline)

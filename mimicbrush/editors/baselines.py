"""Editors that need no weights: what any trained network must beat, and what tests can calculate by hand.

All replace exactly the masked pixels; the others stay as they are, bit for bit.
"""

from __future__ import annotations

from typing import Literal

import cv2
import kornia
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mimicbrush.errors import UserError
from mimicbrush.pictures.conversion import to_channels, to_levels
from mimicbrush.pictures.geometry import resize
from mimicbrush.pictures.mask_geometry import mask_box
from mimicbrush.requests import Editor, EditRequest, ReferenceRequest

INPAINTING_FLAGS = {"telea": cv2.INPAINT_TELEA, "navier_stokes": cv2.INPAINT_NS}


class Identity(Editor):
    """Returns the source: the truth on inner-ID, and the worst imitation on inter-ID."""

    def edit(self, request: EditRequest) -> Tensor:
        return request.source.clone()


class MeanColour(Editor):
    """Fills the mask with the mean colour of a ring around it. Knows no reference.

    ring: its width in pixels.
    """

    def __init__(self, ring: int = 16) -> None:
        if ring < 1:
            raise UserError(f"ring is {ring}, expected at least 1 pixel")
        self.ring = ring

    def edit(self, request: EditRequest) -> Tensor:
        mask = request.mask > 0.5
        around = F.max_pool2d(mask.float(), 2 * self.ring + 1, stride=1, padding=self.ring) > 0
        ring = (around & ~mask).to(request.source.dtype)
        count = ring.sum(dim=(2, 3), keepdim=True)
        colour = (request.source * ring).sum(dim=(2, 3), keepdim=True) / count.clamp(min=1)
        # A frame that is masked whole has no surroundings; mid-grey stands in.
        colour = torch.where(count > 0, colour, 0.5)
        return torch.where(mask, colour, request.source)


class ReferencePaste(Editor):
    """Pastes the reference, resized to the mask's bounding box, through the mask.

    The box and not the whole picture: reference and mask both show the thing to imitate at full size.
    """

    def edit(self, request: ReferenceRequest) -> Tensor:
        edited = request.source.clone()
        for frame, mask in zip(edited, request.mask[:, 0] > 0.5, strict=True):
            if mask.any():
                rows, columns = mask_box(mask.cpu())
                pasted = resize(request.reference, rows.stop - rows.start, columns.stop - columns.start)
                frame[:, rows, columns] = torch.where(mask[rows, columns], pasted.to(frame), frame[:, rows, columns])
        return edited


class ColourTransfer(Editor):
    """Moves mean and spread of the masked region's colours to those of the reference's middle (Reinhard et al., 2001).

    In CIE Lab, channel by channel: light and texture of the source stay, the palette becomes the reference's. An editor
    is not told which part of the reference is meant: its middle half, each way, stands for the thing that it shows.
    Like Identity, it looks at what lies under the mask, which on inner-ID is the truth.
    """

    def edit(self, request: ReferenceRequest) -> Tensor:
        mask = request.mask > 0.5
        height, width = request.reference.shape[1:]
        middle = request.reference[:, height // 4 : height - height // 4, width // 4 : width - width // 4]
        wanted = kornia.color.rgb_to_lab(middle.contiguous()).flatten(1)
        lab = kornia.color.rgb_to_lab(request.source)
        for frame, hole in zip(lab, mask[:, 0], strict=True):
            # A frame without a hole has no colours to move.
            if hole.any():
                frame[:, hole] = _match_statistics(frame[:, hole], wanted.to(frame))
        return torch.where(mask, kornia.color.lab_to_rgb(lab).clamp(0, 1), request.source)


class ClassicalInpainting(Editor):
    """OpenCV's inpainting, which continues the surroundings into the mask. Knows no reference.

    method: Telea's fast marching or Navier-Stokes; radius: pixels around a point that are looked at.
    """

    def __init__(self, method: Literal["telea", "navier_stokes"] = "telea", radius: float = 5.0) -> None:
        if radius <= 0:
            raise UserError(f"radius is {radius}, expected a positive number of pixels")
        self.flag = INPAINTING_FLAGS[method]
        self.radius = radius

    def edit(self, request: EditRequest) -> Tensor:
        mask = request.mask > 0.5
        frames = [self._inpaint(frame, hole) for frame, hole in zip(request.source, mask[:, 0], strict=True)]
        return torch.where(mask, torch.stack(frames).to(request.source), request.source)

    def _inpaint(self, frame: Tensor, hole: Tensor) -> Tensor:
        """(3, H, W), (H, W) -> (3, H, W), on 8-bit pixels as OpenCV wants them."""
        filled = cv2.inpaint(to_levels(frame), hole.cpu().numpy().astype(np.uint8), self.radius, self.flag)
        return to_channels(filled)


def _match_statistics(values: Tensor, wanted: Tensor) -> Tensor:
    """(C, N), (C, M) -> (C, N): `values` with the mean and the standard deviation of `wanted`."""
    spread = values.std(dim=1, correction=0, keepdim=True).clamp(min=1e-6)
    normal = (values - values.mean(dim=1, keepdim=True)) / spread
    return normal * wanted.std(dim=1, correction=0, keepdim=True) + wanted.mean(dim=1, keepdim=True)

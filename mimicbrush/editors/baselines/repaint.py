"""Baselines that repaint the masked pixels of each frame: mean colour, pasted reference, colours, classical inpainting.

They change masked pixels only; the others keep their exact values.
"""

from __future__ import annotations

import re

import kornia
import numpy as np
import torch
from PIL import ImageColor
from torch import Tensor

from mimicbrush.editors.baselines.identity import finish
from mimicbrush.errors import UserError
from mimicbrush.pictures.classical_inpainting import RADIUS, InpaintingMethod, fill_hole
from mimicbrush.pictures.geometry import resize
from mimicbrush.pictures.mask_geometry import grow, mask_box
from mimicbrush.requests import Edited, Editor, MaskedRequest, OnProgress, ReferenceRequest, TextRequest


class MeanColour(Editor):
    """Fills the mask with the mean colour of a ring around it. Ignores the reference.

    ring: its width in pixels.
    """

    request_class = MaskedRequest

    def __init__(self, ring: int = 16) -> None:
        if ring < 1:
            raise UserError(f"ring is {ring}, expected at least 1 pixel")
        self.ring = ring

    def edit(self, request: MaskedRequest, *, on_progress: OnProgress | None = None) -> Edited:
        mask = request.mask > 0.5
        grown = np.stack([grow(frame[0].numpy(), self.ring) for frame in mask.cpu()])
        around = torch.from_numpy(grown)[:, None].to(mask.device)
        ring = (around & ~mask).to(request.source.dtype)
        count = ring.sum(dim=(2, 3), keepdim=True)
        colour = (request.source * ring).sum(dim=(2, 3), keepdim=True) / count.clamp(min=1)
        # A frame that is wholly masked has no surroundings; it becomes mid-grey.
        colour = torch.where(count > 0, colour, 0.5)
        return finish(torch.where(mask, colour, request.source), on_progress)


class ReferencePaste(Editor):
    """Pastes the reference, resized to the mask's bounding box, through the mask.

    The reference fills that box because both are expected to show the whole object.
    """

    request_class = ReferenceRequest

    def edit(self, request: ReferenceRequest, *, on_progress: OnProgress | None = None) -> Edited:
        edited = request.source.clone()
        for frame, mask in zip(edited, request.mask[:, 0] > 0.5, strict=True):
            if mask.any():
                rows, columns = mask_box(mask.cpu())
                pasted = resize(request.reference, rows.stop - rows.start, columns.stop - columns.start)
                frame[:, rows, columns] = torch.where(mask[rows, columns], pasted.to(frame), frame[:, rows, columns])
        return finish(edited, on_progress)


class ColourTransfer(Editor):
    """Moves mean and spread of the masked region's colours to those of the reference's middle (Reinhard et al., 2001).

    In CIE Lab, channel by channel: light and texture of the source stay, the palette becomes the reference's. A request
    does not say which part of its reference to imitate, so the middle half, each way, is taken.
    Like Identity, it uses the pixels under the mask, which on the inner-ID track are the ground truth.
    """

    request_class = ReferenceRequest

    def edit(self, request: ReferenceRequest, *, on_progress: OnProgress | None = None) -> Edited:
        mask = request.mask > 0.5
        height, width = request.reference.shape[1:]
        middle = request.reference[:, height // 4 : height - height // 4, width // 4 : width - width // 4]
        wanted = kornia.color.rgb_to_lab(middle.contiguous()).flatten(1)
        lab = kornia.color.rgb_to_lab(request.source)
        for frame, hole in zip(lab, mask[:, 0], strict=True):
            # A frame without a hole has no colours to move.
            if hole.any():
                frame[:, hole] = _match_statistics(frame[:, hole], wanted.to(frame))
        return finish(torch.where(mask, kornia.color.lab_to_rgb(lab).clamp(0, 1), request.source), on_progress)


class NamedColours(Editor):
    """Moves the masked region's colours to those that the prompt names, such as red or dark green (names of CSS).

    In CIE Lab: hue and saturation get the mean and the spread of the named colours, lightness gets their mean and keeps
    the source's light and shade. Patterns stay those of the source. Colours after `on`, `over` or `in front of` are
    the background's and do not count; a prompt that names no other changes nothing.
    """

    request_class = TextRequest

    def edit(self, request: TextRequest, *, on_progress: OnProgress | None = None) -> Edited:
        named = _named_colours(request.prompt)
        if not named:
            return finish(request.source.clone(), on_progress)
        mask = request.mask > 0.5
        wanted = kornia.color.rgb_to_lab(torch.tensor(named).T[:, :, None] / 255).flatten(1)
        lab = kornia.color.rgb_to_lab(request.source)
        for frame, hole in zip(lab, mask[:, 0], strict=True):
            if hole.any():
                inside = frame[:, hole]
                lightness = inside[:1] - inside[:1].mean() + wanted[:1].mean()
                frame[:, hole] = torch.cat([lightness, _match_statistics(inside[1:], wanted[1:].to(inside))])
        return finish(torch.where(mask, kornia.color.lab_to_rgb(lab).clamp(0, 1), request.source), on_progress)


class ClassicalInpainting(Editor):
    """OpenCV's inpainting, which continues the surroundings into the mask. Ignores the reference.

    method: Telea's fast marching or Navier-Stokes; radius: pixels around a point that are looked at.
    """

    request_class = MaskedRequest

    def __init__(self, method: InpaintingMethod = "telea", radius: float = RADIUS) -> None:
        if radius <= 0:
            raise UserError(f"radius is {radius}, expected a positive number of pixels")
        self.method = method
        self.radius = radius

    def edit(self, request: MaskedRequest, *, on_progress: OnProgress | None = None) -> Edited:
        holes = request.mask[:, 0] > 0.5
        frames = [
            fill_hole(frame, hole, method=self.method, radius=self.radius)
            for frame, hole in zip(request.source, holes, strict=True)
        ]
        return finish(torch.stack(frames), on_progress)


def _match_statistics(values: Tensor, wanted: Tensor) -> Tensor:
    """(C, N), (C, M) -> (C, N): `values` with the mean and the standard deviation of `wanted`."""
    spread = values.std(dim=1, correction=0, keepdim=True).clamp(min=1e-6)
    normal = (values - values.mean(dim=1, keepdim=True)) / spread
    return normal * wanted.std(dim=1, correction=0, keepdim=True) + wanted.mean(dim=1, keepdim=True)


def _named_colours(prompt: str) -> list[tuple[int, ...]]:
    """Levels of the colours that a prompt names before its background; `dark green` is one name."""
    words = re.findall("[a-z]+", re.split(r"\b(?:on|over|in front of)\b", prompt.lower())[0])
    found = []
    while words:
        # The longest name counts, so that dark green is not green.
        count = next((count for count in (3, 2, 1) if "".join(words[:count]) in ImageColor.colormap), 0)
        if count:
            found.append(ImageColor.getrgb("".join(words[:count])))
        words = words[max(count, 1) :]
    return found

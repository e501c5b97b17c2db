"""Letterbox pictures, feather masks and paste edits back, exact to the pixel.

Pixels are RGB float in [0, 1], channels first. Masks are 1 where the edit happens.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import kornia
import torch
import torch.nn.functional as F
from torch import Tensor

from mimicbrush.pictures.mask_geometry import mask_box

FEATHER_SIDE = 512
"""Side of the canvas, in pixels, for which the release chose its feather; only `feather_scale` needs it."""
FEATHER_PASSES = 10
"""Number of blurs with [1, 2, 1] / 4 in each direction in the release: together a Gaussian of sqrt(5) pixels."""


class Placement(NamedTuple):
    """Position of a picture on its square canvas, in pixels of the canvas."""

    top: int
    left: int
    height: int
    width: int

    @property
    def inside(self) -> tuple:
        """Index of the picture's pixels in its canvas (..., size, size)."""
        return ..., slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def resize(image: Tensor, height: int, width: int) -> Tensor:
    """Resize (..., C, H, W) to (..., C, height, width), bilinear and antialiased."""
    if tuple(image.shape[-2:]) == (height, width):
        return image
    batch = image if image.ndim == 4 else image[None]
    resized = F.interpolate(batch, (height, width), mode="bilinear", align_corners=False, antialias=True)
    return resized if image.ndim == 4 else resized[0]


def shrink_to(picture: Tensor, side: int) -> Tensor:
    """Scale (C, H, W) down to a longer side of at most `side` pixels."""
    if max(picture.shape[1:]) <= side:
        return picture
    box = place(*picture.shape[1:], side)
    return resize(picture, box.height, box.width)


def place(height: int, width: int, size: int) -> Placement:
    """Find the largest centred box with the picture's aspect ratio on a size x size canvas."""
    scale = size / max(height, width)
    new_height, new_width = max(1, int(height * scale + 1e-6)), max(1, int(width * scale + 1e-6))
    return Placement((size - new_height) // 2, (size - new_width) // 2, new_height, new_width)


def letterbox(image: Tensor, size: int, *, fill: float) -> tuple[Tensor, Placement]:
    """Scale the longer side to `size` and pad the other to a centred square.

    image: (..., C, H, W) -> (..., C, size, size). The release pads pictures white (1) and masks black (0).
    """
    box = place(*image.shape[-2:], size)
    canvas = image.new_full((*image.shape[:-2], size, size), fill)
    scaled = resize(image, box.height, box.width)
    canvas[box.inside] = scaled
    return canvas, box


def unletterbox(canvas: Tensor, height: int, width: int) -> Tensor:
    """Undo `letterbox`: (..., C, size, size) -> (..., C, height, width)."""
    box = place(height, width, canvas.shape[-1])
    return resize(canvas[box.inside], height, width)


def binarise(mask: Tensor) -> Tensor:
    """Threshold a scaled mask above 128 of 255, as the release does: 0 or 1."""
    return (mask > 128 / 255).to(mask.dtype)


def blacken(source: Tensor, mask: Tensor) -> Tensor:
    """Blank the region to be repainted.

    source: (B, 3, H, W) in [0, 1]; mask: (B, 1, H, W), 1 where the edit happens.
    The released weights expect black here, not the mid-grey of SD inpainting.
    """
    return source * (mask < 0.5)


def feather_scale(height: int, width: int) -> float:
    """Width of the feather for a picture of this size, relative to the release's; at least 1.

    The network's canvas is scaled up to the picture's longer side, and the feather with it, so that the seam is as soft
    as the edit.
    """
    return max(1.0, max(height, width) / FEATHER_SIDE)


def feather_reach(height: int, width: int) -> int:
    """Number of pixels beyond the mask that an edit of a picture of this size may change.

    It holds for crops, too, which are not larger than the picture, so that their feather is not wider.
    """
    return math.ceil(FEATHER_PASSES * feather_scale(height, width))


def feather_sigma(height: int, width: int) -> float:
    """Standard deviation in pixels of the Gaussian that `feather` applies in a picture of this size."""
    return math.sqrt(FEATHER_PASSES / 2) * feather_scale(height, width)


def feather(mask: Tensor) -> Tensor:
    """Soften the border of a mask by a Gaussian of `feather_sigma`.

    mask: (B, 1, H, W) of the picture or crop that is pasted; on the CPU if a side is longer than 512 pixels.
    """
    if feather_scale(*mask.shape[-2:]) > 1:
        return _feather_widely(mask)
    kernel = mask.new_tensor([[0.25, 0.5, 0.25]])
    for _ in range(FEATHER_PASSES):
        mask = kornia.filters.filter2d_separable(mask, kernel, kernel, border_type="reflect")
    return mask


def _surroundings(marked: Tensor, margin: int) -> tuple:
    """Index (..., rows, columns) of all that is marked (B, 1, H, W), with a margin; of nothing if nothing is."""
    hit = marked.flatten(0, 1).any(dim=0)
    if not hit.any():
        return ..., slice(0), slice(0)
    return ..., *(slice(max(0, found.start - margin), found.stop + margin) for found in mask_box(hit))


def _feather_widely(mask: Tensor) -> Tensor:
    """Blur (B, 1, H, W) with OpenCV, whose kernel may be wider than the picture, where it is not zero anyway."""
    height, width = mask.shape[-2:]
    side, sigma = 2 * feather_reach(height, width) + 1, feather_sigma(height, width)
    # Twice the reach, so that the border of this part, at which it is mirrored, has no effect.
    near, blurred = _surroundings(mask != 0, side), torch.zeros_like(mask)
    for single, place in zip(mask[near], blurred[near], strict=True):
        if single.numel():
            place[0] = torch.from_numpy(cv2.GaussianBlur(single[0].contiguous().numpy(), (side, side), sigma))
    return blurred


def paste_back(edited: Tensor, source: Tensor, mask: Tensor) -> Tensor:
    """Composite the edited picture over the source through the feathered mask.

    edited, source: (B, 3, H, W); mask: (B, 1, H, W). Where the feathered mask is 0 the source is kept bit for bit.
    """
    alpha = feather(mask)
    pasted = source.expand_as(edited).clone()
    near = _surroundings(alpha > 0, 0)
    alpha, edited, source = alpha[near], edited[near], source[near]
    pasted[near] = torch.where(alpha > 0, alpha * edited + (1 - alpha) * source, source)
    return pasted


def match_colours(edited: Tensor, source: Tensor, mask: Tensor) -> Tensor:
    """Shift the channels of the edited picture so that its mean colour on the seam around the mask is the source's.

    The network also repaints the seam, whose true colours are known, and makes the same error inside the mask.
    edited: (N, 3, H, W); source: (1, 3, H, W); mask: (1, 1, H, W).
    """
    ring = ((feather(mask) > 0) & (mask < 0.5)).to(edited.dtype)
    shift = ((source - edited) * ring).sum(dim=(2, 3), keepdim=True) / ring.sum().clamp(min=1)
    return (edited + shift).clamp(0, 1)

"""Convert sources, masks and references from PIL pictures, arrays or tensors to the tensors that editors take.

Pixels are returned as RGB float in [0, 1], channels first; `decoding` describes how PIL pictures are read. Raises
UserError for pictures that cannot be edited.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mimicbrush.errors import UserError
from mimicbrush.pictures.conversion import mask_levels, on_white
from mimicbrush.pictures.decoding import colour_profile, levels_of
from mimicbrush.pictures.geometry import letterbox
from mimicbrush.pictures.headers import (
    UnknownWhiteError,
    UnreadablePictureError,
    count_frames,
    refuse_animation,
    refuse_large,
    translating_errors,
)
from mimicbrush.pictures.mask_geometry import mask_box

Picture = Image.Image | np.ndarray | Tensor
CropBox = Sequence[int]
"""Left, top, right, bottom, in pixels, as in PIL."""

MAX_PIXELS = 100_000_000
"""Largest number of pixels of a picture, which takes 1.2 GB in float32, as does each result."""
MIN_REFERENCE_SIDE = 32
"""Smallest side of a reference in pixels."""
SOFT = 4 / 255
"""Values of a mask that differ from black and white by more than this count as grey."""
MAX_SOFT = 0.5
"""Largest share of grey pixels of a mask; more are those of a photograph, if they have many levels."""
MANY_LEVELS = 16
"""Number of grey levels, of 255, that a mask painted in two colours does not reach."""

log = logging.getLogger(__name__)


class Source(NamedTuple):
    """A picture to edit."""

    pixels: Tensor
    """(3, H, W), with transparent parts white, as a network sees it."""
    layer: Tensor | None
    """(4, H, W), colours and alpha of a picture with transparency, otherwise None; edits do not change alpha."""
    icc_profile: bytes | None
    """Colour profile of an RGB picture, if it has one."""

    @property
    def picture(self) -> Tensor:
        """(3 or 4, H, W), as it was given: with its transparency, where it has any."""
        return self.pixels if self.layer is None else self.layer

    def restore(self, edited: Tensor) -> Tensor:
        """Give an edit (3, H, W) of `pixels` the source's transparency: (4, H, W), or unchanged if there is none.

        Untouched pixels keep the source's bits, including hidden colours. Other pixels get colours that look like the
        edit when composited on white, as far as their alpha allows.
        """
        if self.layer is None:
            return edited
        colours, alpha = self.layer[:3], self.layer[3:]
        seen_through = ((edited - (1 - alpha)) / alpha.clamp(min=1e-6)).clamp(0, 1)
        repainted = torch.where(alpha > 0, seen_through, edited)
        untouched = (edited == self.pixels).all(dim=0, keepdim=True)
        return torch.cat([torch.where(untouched, colours, repainted), alpha])


def as_source(image: Picture, *, name: str = "image") -> Source:
    """Convert the picture to edit, of any mode. name: its name in messages."""
    channels = _channels(image, name)
    if min(channels.shape[1:]) < 2:
        raise UserError(f"{name} is {_size(channels)} pixels, expected at least 2 a side; choose a larger picture")
    if len(channels) == 4 and not channels[3].any():
        raise UserError(f"{name} is wholly transparent, so no edit of it would be seen; put it on a background first")
    profile = colour_profile(image) if isinstance(image, Image.Image) else None
    return Source(on_white(channels), channels if len(channels) == 4 else None, profile)


def as_mask(mask_image: Picture, pixels: Tensor, *, name: str = "mask_image", of: str = "image") -> Tensor:
    """Convert a mask to (1, H, W), 0 or 1, of the size of `pixels`; transparent is black, the threshold is mid-grey."""
    mask, num_soft = _threshold(mask_image, pixels, name, of)
    _warn_of_greys(num_soft, name)
    return mask


def _threshold(mask_image: Picture, pixels: Tensor, name: str, of: str) -> tuple[Tensor, int]:
    """Return the mask, and the number of its pixels that are neither black nor white."""
    channels = _channels(mask_image, name)
    if channels.shape[1:] != pixels.shape[1:]:
        raise UserError(
            f"{name} is {_size(channels)} pixels and {of} {_size(pixels)}, upright as their EXIF orientation says;"
            " export both at one size"
        )
    if 0 < mask_levels(channels[:3]).max() <= 1.5 / 255:
        raise UserError(f"{name} is at most 1 of 255, nearly black; if 1 means edit, multiply it by 255")
    grey = mask_levels(channels)
    soft = refuse_photograph(grey, name)
    mask = (grey > 127.5 / 255).float()
    if not mask.any():
        hint = "; transparent parts count as black" if len(channels) == 4 else ""
        raise UserError(f"{name} is empty; paint the region to use white{hint}")
    return mask, soft


def refuse_photograph(grey: Tensor, name: str) -> int:
    """Raise UserError if levels in [0, 1] are those of a photograph; returns how many are neither black nor white."""
    is_soft = (grey - grey.round()).abs() > SOFT
    soft = int(is_soft.sum())
    if soft > MAX_SOFT * grey.numel() and len((grey[is_soft] * 255).round().unique()) >= MANY_LEVELS:
        share = soft / grey.numel()
        raise UserError(f"{name} is grey in {share:.0%} of its pixels, as a photograph is; paint it in black and white")
    return soft


def _warn_of_greys(num_soft: int, name: str) -> None:
    if num_soft:
        log.warning("%s has %d grey or half-transparent pixels: those above mid-grey count as white", name, num_soft)


def as_edit_mask(mask_image: Picture, source: Tensor, *, name: str = "mask_image", of: str = "image") -> Tensor:
    """Convert a mask to (1, H, W), 0 or 1, that edits a part of the source and keeps a part."""
    mask, num_soft = _threshold(mask_image, source, name, of)
    if mask.all():
        found = "nowhere darker than mid-grey, which counts as white" if num_soft else "all white"
        raise UserError(f"{name} is {found}, so nothing of the source would be kept; paint the parts to keep black")
    _warn_of_greys(num_soft, name)
    return mask


def as_reference(
    images: Picture | Sequence[Picture],
    *,
    boxes: CropBox | Sequence[CropBox | None] | None = None,
    masks: Picture | Sequence[Picture | None] | None = None,
    size: int = 512,
) -> Tensor:
    """Convert one reference, cropped by its box or mask, or arrange several in a grid: (3, h, w).

    boxes, masks: one for each reference, or None for an uncropped one; hidden parts are white, like padding.
    size: side of the grid's cells in pixels, which is the size that the network sees (paper, 4.4).
    """
    pictures = list(images) if isinstance(images, list | tuple) else [images]
    if not pictures:
        raise UserError("no reference_image; give one picture or a list of pictures")
    if boxes is not None and not (len(boxes) and isinstance(boxes[0], list | tuple | None)):
        boxes = [boxes]
    masks = [masks] if isinstance(masks, Picture) else masks
    for name, given in (("reference_box", boxes), ("reference_mask_image", masks)):
        if given is not None and len(given) != len(pictures):
            raise UserError(f"{len(given)} of {name} for {len(pictures)} references; give one each, or None")
    uncropped = [None] * len(pictures)
    cut = [
        cut_reference(picture, box=box, mask=mask)
        for picture, box, mask in zip(pictures, boxes or uncropped, masks or uncropped, strict=True)
    ]
    return cut[0] if len(cut) == 1 else _tile(cut, size)


def cut_reference(
    image: Picture,
    *,
    box: CropBox | None,
    mask: Picture | None,
    name: str = "reference_image",
    box_name: str = "reference_box",
    mask_name: str = "reference_mask_image",
) -> Tensor:
    """Crop one reference by its box or mask: (3, h, w). The names are used for picture, box and mask in messages."""
    reference = on_white(_channels(image, name))
    if mask is not None:
        shown = as_mask(mask, reference, name=mask_name, of=name)
        reference = torch.where(shown > 0.5, reference, 1.0)
        rows, columns = mask_box(shown[0] > 0.5)
        reference = reference[:, rows, columns]
    if box is not None:
        if mask is not None:
            raise UserError(f"{name} has a box and a mask; give one of the two")
        reference = _crop(reference, box, box_name)
    if min(reference.shape[1:]) < MIN_REFERENCE_SIDE:
        what = name if box is None and mask is None else f"{name}, cropped,"
        raise UserError(
            f"{what} is {_size(reference)} pixels, expected at least {MIN_REFERENCE_SIDE} a side; give a larger one"
        )
    return reference


def _crop(picture: Tensor, box: CropBox, name: str) -> Tensor:
    height, width = picture.shape[1:]
    whole = len(box) == 4 and all(isinstance(side, int | np.integer) for side in box)
    if not whole or not (0 <= box[0] < box[2] <= width and 0 <= box[1] < box[3] <= height):
        raise UserError(
            f"{name} is {list(box)}; expected whole left, top, right, bottom within {width} x {height} pixels"
        )
    left, top, right, bottom = box
    return picture[:, top:bottom, left:right]


def _tile(pictures: Sequence[Tensor], size: int) -> Tensor:
    """Arrange pictures in a grid on white, as square as possible, in reading order."""
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    canvas = torch.ones(3, rows * size, columns * size)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, columns)
        cell = canvas[:, row * size : (row + 1) * size, column * size : (column + 1) * size]
        cell.copy_(letterbox(picture, size, fill=1.0)[0])
    return canvas


def _channels(picture: Picture, name: str) -> Tensor:
    """Convert a picture to (1, 3 or 4, H, W) in [0, 1]; the fourth channel is alpha."""
    if isinstance(picture, Image.Image):
        array = _from_pil(picture, name)
    elif isinstance(picture, np.ndarray):
        array = torch.from_numpy(np.require(picture if picture.ndim == 3 else picture[..., None], requirements="CW"))
        array = array.permute(2, 0, 1) if array.ndim == 3 else array
    elif isinstance(picture, Tensor):
        array = picture.detach().cpu()
        array = array[0] if array.ndim == 4 and len(array) == 1 else array
        array = array[None] if array.ndim == 2 else array
    else:
        raise UserError(f"{name} is a {type(picture).__name__}, expected a PIL picture, an array or a tensor")
    if array.ndim != 3 or len(array) not in (1, 3, 4) or not array.numel():
        raise UserError(f"{name} has shape {tuple(picture.shape)}; expected arrays (H, W, C) and tensors (C, H, W)")
    refuse_large(name, array.shape[2], array.shape[1], max_pixels=MAX_PIXELS)
    return _in_unit_range(array, name)


def _from_pil(picture: Image.Image, name: str) -> Tensor:
    refuse_large(name, *picture.size, max_pixels=MAX_PIXELS)
    try:
        with translating_errors():
            num_frames, levels = count_frames(picture), levels_of(picture)
    except UnknownWhiteError as error:
        raise UserError(f"{name} {error}") from None
    except UnreadablePictureError as error:
        raise UserError(f"{name} is {error}; save or download it again") from None
    refuse_animation(name, num_frames)
    return torch.from_numpy(levels).permute(2, 0, 1)


def _in_unit_range(array: Tensor, name: str) -> Tensor:
    whole = {torch.uint8: 255, torch.uint16: 65535}
    if array.dtype in whole:
        return array.float() / whole[array.dtype]
    array = array.float()
    least, most = array.aminmax()  # each of the two is NaN where there is one
    if not (least.isfinite() and most.isfinite()):
        raise UserError(f"{name} holds NaN or infinity; pass finite values in [0, 1]")
    if least < 0 or most > 1:
        raise UserError(f"{name} has values from {least:g} to {most:g}; expected [0, 1], or 0 to 255 as uint8")
    return array


def _size(picture: Tensor) -> str:
    return f"{picture.shape[-1]} x {picture.shape[-2]}"

"""The internal data set: random crops of the one source, made from 8-bit pictures as in the release."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch import Tensor

from mimicbrush.editors.text2live.drawn_views import ColourChange, DrawnCrop
from mimicbrush.pictures.conversion import to_pil

ENHANCERS = {
    "brightness": ImageEnhance.Brightness,
    "contrast": ImageEnhance.Contrast,
    "saturation": ImageEnhance.Color,
}


def apply_crop(picture: Image.Image, drawn: DrawnCrop) -> Image.Image:
    """Change, mirror, resize and crop an 8-bit picture, or a mask of mode L whose levels are not changed."""
    if picture.mode == "RGB":
        for change in drawn.colours:
            picture = _change_colours(picture, change)
    if drawn.is_mirrored:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    height, width = drawn.size
    picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    if drawn.crop is None:
        return picture
    top, left, height, width = drawn.crop
    return picture.crop((left, top, left + width, top + height))


def crop_places(size: tuple[int, int], drawn: DrawnCrop | None = None) -> Tensor:
    """Coordinates (1, 2, h, w), x and y, of a crop's pixels in the whole picture, which reaches from 0 to 1.

    size: height and width of the whole picture; drawn: as in `apply_crop`, or None for all of it.
    """
    height, width = size if drawn is None else drawn.size
    y, x = (torch.arange(side).add(0.5).div(side) for side in (height, width))
    if drawn is not None and drawn.is_mirrored:
        x = x.flip(0)
    if drawn is not None and drawn.crop is not None:
        top, left, height, width = drawn.crop
        y, x = y[top : top + height], x[left : left + width]
    y, x = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([x, y])[None]


def _change_colours(picture: Image.Image, change: ColourChange) -> Image.Image:
    name, factor = change
    if name != "hue":
        return ENHANCERS[name](picture).enhance(factor)
    hue, saturation, value = picture.convert("HSV").split()
    levels = (np.asarray(hue).astype(np.int32) + int(factor * 255)) % 256
    hue = to_pil(levels.astype(np.uint8))
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")

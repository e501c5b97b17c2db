"""Apply drawn views to pictures, many at once and with gradients.

Geometry and colours follow torchvision 0.11, which the release pins. Kornia's warps place pixel centres differently and
fill the outside in another way, so that neither agrees with the release's numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mimicbrush.editors.text2live.drawn_views import View

GREY_WEIGHTS = (0.2989, 0.587, 0.114)


def apply_views(
    pictures: Sequence[Tensor], views: Sequence[Sequence[View]], *, fill: float, antialias: bool = False
) -> Tensor:
    """Return the views of all pictures as one batch (N, 3, h, w), picture after picture; all have one size.

    pictures: (1, 3, H, W) in [0, 1] each; fill: grey level outside a turned or tilted view.
    """
    drawn = [view for of_picture in views for view in of_picture]
    shown = [
        _mirror(resize_plain(_crop(picture, view), view.size, antialias=antialias), view.is_mirrored)
        for picture, of_picture in zip(pictures, views, strict=True)
        for view in of_picture
    ]
    _change(shown, drawn, lambda view: view.turn, lambda batch, turns: _warp(batch, _turned_grid(batch, turns), fill))
    _change(shown, drawn, lambda view: view.tilt, lambda batch, tilts: _warp(batch, _tilted_grid(batch, tilts), fill))
    for place in range(max((len(view.colours) for view in drawn), default=0)):
        for name, change in COLOUR_CHANGES.items():
            _change(shown, drawn, lambda view, place=place, name=name: _factor(view, place, name), change)
    _change(shown, drawn, lambda view: view.is_grey or None, lambda batch, _: _grey(batch).expand_as(batch))
    return torch.cat(shown)


def resize_plain(picture: Tensor, size: tuple[int, int], *, antialias: bool = False) -> Tensor:
    """Resize (B, C, H, W), bilinear; without antialiasing by default, as in the release."""
    if tuple(picture.shape[-2:]) == tuple(size):
        return picture
    return F.interpolate(picture, size, mode="bilinear", align_corners=False, antialias=antialias)


def _change(
    shown: list[Tensor],
    drawn: Sequence[View],
    argument_of: Callable[[View], object],
    change: Callable[[Tensor, list], Tensor],
) -> None:
    """Change, in one batch, the views (1, 3, h, w) whose argument is not None."""
    arguments = {number: argument for number, view in enumerate(drawn) if (argument := argument_of(view)) is not None}
    if arguments:
        changed = change(torch.cat([shown[number] for number in arguments]), list(arguments.values()))
        for number, view in zip(arguments, changed.split(1), strict=True):
            shown[number] = view


def _crop(picture: Tensor, view: View) -> Tensor:
    if view.crop is None:
        return picture
    top, left, height, width = view.crop
    return picture[..., top : top + height, left : left + width]


def _mirror(picture: Tensor, is_mirrored: bool) -> Tensor:
    return picture.flip(-1) if is_mirrored else picture


def _factor(view: View, place: int, name: str) -> float | None:
    """Factor of the change at a place of the view's order, if it is the change of this name."""
    if place < len(view.colours) and view.colours[place][0] == name:
        return view.colours[place][1]
    return None


def _turned_grid(batch: Tensor, turns: Sequence[tuple[float, tuple[int, int]]]) -> Tensor:
    """Sampling grid (B, h, w, 2) of views that are turned around their centre, then shifted."""
    height, width = batch.shape[-2:]
    y, x = _pixel_centres(batch)
    angle = batch.new_tensor([math.radians(angle) for angle, _ in turns])[:, None, None]
    shift_x, shift_y = batch.new_tensor([shift for _, shift in turns]).T[..., None, None]
    x, y = x - width / 2 - shift_x, y - height / 2 - shift_y
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([(cos * x + sin * y) / (width / 2), (cos * y - sin * x) / (height / 2)], dim=-1)


def _tilted_grid(batch: Tensor, tilts: Sequence[tuple[tuple[int, int], ...]]) -> Tensor:
    """Sampling grid (B, h, w, 2) of views whose corners move to new places (projective)."""
    height, width = batch.shape[-2:]
    y, x = _pixel_centres(batch)
    corners = (0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)
    coefficients = torch.stack([_homography(new, corners) for new in tilts]).to(batch)
    a, b, c, d, e, f, g, h = coefficients.T[..., None, None]
    depth = g * x + h * y + 1
    return torch.stack(
        [(a * x + b * y + c) / depth / (width / 2) - 1, (d * x + e * y + f) / depth / (height / 2) - 1], dim=-1
    )


def _homography(new: Sequence[tuple[int, int]], old: Sequence[tuple[int, int]]) -> Tensor:
    """The eight coefficients of the projective map from four points to four points, in float64."""
    rows, values = [], []
    for (x, y), (old_x, old_y) in zip(new, old, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -old_x * x, -old_x * y])
        rows.append([0, 0, 0, x, y, 1, -old_y * x, -old_y * y])
        values += [old_x, old_y]
    return torch.linalg.solve(torch.tensor(rows, dtype=torch.float64), torch.tensor(values, dtype=torch.float64))


def _pixel_centres(batch: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates (h, 1) and (w,) of the pixels' centres; the first one is at 0.5."""
    height, width = batch.shape[-2:]
    kind = {"dtype": batch.dtype, "device": batch.device}
    return torch.arange(height, **kind)[:, None] + 0.5, torch.arange(width, **kind) + 0.5


def _warp(batch: Tensor, grid: Tensor, fill: float) -> Tensor:
    """Sample a batch along a grid.

    The covered share of a pixel at the border counts twice, as in torchvision 0.11: the sampled colour contains it
    already.
    """
    sampled = F.grid_sample(batch, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    ones = batch.new_ones(1, 1, *batch.shape[-2:]).expand(len(batch), -1, -1, -1)
    covered = F.grid_sample(ones, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return sampled * covered + (1 - covered) * fill


def _column(factors: Sequence[float], batch: Tensor) -> Tensor:
    return batch.new_tensor(factors)[:, None, None, None]


def _grey(batch: Tensor) -> Tensor:
    return torch.einsum("c,bchw->bhw", batch.new_tensor(GREY_WEIGHTS), batch)[:, None]


def _blend(batch: Tensor, other: Tensor, factors: Sequence[float]) -> Tensor:
    return torch.lerp(other, batch, _column(factors, batch)).clamp(0, 1)


def _change_brightness(batch: Tensor, factors: Sequence[float]) -> Tensor:
    return (batch * _column(factors, batch)).clamp(0, 1)


def _change_contrast(batch: Tensor, factors: Sequence[float]) -> Tensor:
    return _blend(batch, _grey(batch).mean(dim=(1, 2, 3), keepdim=True), factors)


def _change_saturation(batch: Tensor, factors: Sequence[float]) -> Tensor:
    return _blend(batch, _grey(batch), factors)


def _shift_hue(batch: Tensor, shifts: Sequence[float]) -> Tensor:
    """Shift the hue by a share of a turn; largest and smallest channel of every pixel keep their values."""
    largest, smallest = batch.amax(dim=1), batch.amin(dim=1)
    chroma = largest - smallest
    red, green, blue = batch.unbind(dim=1)
    divisor = torch.where(chroma == 0, 1, chroma)
    hue = torch.where(
        largest == red,
        (green - blue) / divisor,
        torch.where(largest == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    offsets = batch.new_tensor([5.0, 3.0, 1.0])[:, None, None]
    sixths = (offsets + hue[:, None] + 6 * _column(shifts, batch)) % 6
    return largest[:, None] - chroma[:, None] * torch.minimum(sixths, 4 - sixths).clamp(0, 1)


COLOUR_CHANGES: dict[str, Callable[[Tensor, Sequence[float]], Tensor]] = {
    "brightness": _change_brightness,
    "contrast": _change_contrast,
    "saturation": _change_saturation,
    "hue": _shift_hue,
}

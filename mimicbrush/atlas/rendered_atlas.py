"""Render an atlas: every pixel's place on it, the atlases as pictures, and pictures of atlases mapped to the frames."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mimicbrush.atlas.layered_atlas import FIRST_COORDINATE, LAYERS, ClipShape, Layer, LayeredAtlas

Box = tuple[int, int, int, int]
"""Top, left, height and width in pixels."""

CHUNK = 2**16
"""Points that are computed at once."""
DEFAULT_RESOLUTION = 2000
"""Pixels of an atlas picture to a unit of atlas coordinates, as in the release of Text2LIVE."""


class AtlasLayer(NamedTuple):
    """A layer's atlas as a picture that covers all points at which any pixel of the clip is."""

    picture: Tensor
    """Colours (1, 3, h, w) in [0, 1]."""
    seen: Tensor
    """(1, 1, h, w): 1 where a pixel of the clip is, 0 in parts that no frame shows."""
    points: Tensor
    """Each pixel's place (T, H, W, 2) on the picture: column, then row."""
    origin: tuple[int, int]
    """Column and row of the picture's corner, counted from the layer's smallest coordinate."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture."""
        return tuple(self.picture.shape[-2:])

    @property
    def grid(self) -> Tensor:
        """Each pixel's place (T, H, W, 2) on the picture, from -1 to 1."""
        return grid_in_box(self.points, (0, 0, *self.size))


class RenderedAtlas(NamedTuple):
    """Everything that an atlas says about a clip."""

    opacity: Tensor
    """Opacity of the foreground (T, 1, H, W)."""
    layers: dict[Layer, AtlasLayer]
    colours: dict[Layer, Tensor]
    """Colours (T, 3, H, W) of each layer at every pixel of the clip, from the networks."""

    @property
    def reconstruction(self) -> Tensor:
        """The frames (T, 3, H, W)."""
        return torch.lerp(self.colours["background"], self.colours["foreground"], self.opacity)

    def to(self, device: torch.device | str) -> RenderedAtlas:
        layers = {
            name: layer._replace(**{each: getattr(layer, each).to(device) for each in ("picture", "seen", "points")})
            for name, layer in self.layers.items()
        }
        return RenderedAtlas(
            self.opacity.to(device), layers, {name: colours.to(device) for name, colours in self.colours.items()}
        )


def native_resolution(atlas: LayeredAtlas, clip: ClipShape) -> int:
    """Pixels to a unit of atlas coordinates at which an atlas picture is about as fine as the frames."""
    return round(2 * clip.half_side / min(atlas.scale(layer) for layer in LAYERS))


def grid_in_box(points: Tensor, box: Box) -> Tensor:
    """Places (..., 2) of points in a box, from -1 at its upper left corner to 1 at its lower right one."""
    top, left, height, width = box
    return 2 * (points - points.new_tensor((left, top))) / points.new_tensor((width, height)) - 1


@torch.no_grad()
def render_atlas(
    atlas: LayeredAtlas, clip: ClipShape, *, resolution: int = DEFAULT_RESOLUTION, device: torch.device | str = "cpu"
) -> RenderedAtlas:
    """Render the layers, opacities and atlas pictures of a clip.

    resolution: pixels of an atlas picture to a unit of atlas coordinates.
    """
    frames = [clip.frame_points(number, device).reshape(-1, 3) for number in range(clip.num_frames)]
    shape = (clip.num_frames, clip.height, clip.width, -1)
    opacity = torch.cat([_in_chunks(atlas.opacity, points) for points in frames]).reshape(shape)
    layers, colours = {}, {}
    for layer in LAYERS:
        points = torch.cat([_in_chunks(partial(atlas.atlas_points, layer), each) for each in frames])
        shown = _in_chunks(partial(atlas.colours, layer), points)
        layers[layer] = _draw_layer(atlas, layer, points.reshape(shape), resolution)
        colours[layer] = shown.reshape(shape).permute(0, 3, 1, 2).contiguous()
    return RenderedAtlas(opacity.permute(0, 3, 1, 2).contiguous(), layers, colours)


def map_to_frames(picture: Tensor, grid: Tensor) -> Tensor:
    """Sample a picture of an atlas (1, C, h, w) at a grid (T, H, W, 2) in [-1, 1]: (T, C, H, W).

    As released, with pixel centres half a pixel from where `AtlasLayer.picture` has them.
    """
    pictures = picture.expand(len(grid), -1, -1, -1)
    return F.grid_sample(pictures, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _draw_layer(atlas: LayeredAtlas, layer: Layer, points: Tensor, resolution: int) -> AtlasLayer:
    places = (points - FIRST_COORDINATE[layer]) * resolution
    origin = tuple(int(places[..., axis].min()) for axis in (0, 1))
    width, height = (int(torch.ceil((places[..., axis] - origin[axis]).max())) for axis in (0, 1))
    columns, rows = (
        torch.arange(first, min(first + length, resolution), device=points.device)
        for first, length in zip(origin, (width, height), strict=True)
    )
    v, u = torch.meshgrid(rows / resolution, columns / resolution, indexing="ij")
    grid = torch.stack([u, v], dim=-1) + FIRST_COORDINATE[layer]
    drawn = _in_chunks(partial(atlas.colours, layer), grid.reshape(-1, 2)).reshape(*grid.shape[:2], 3)
    # Beyond the last coordinate, which a point may reach but for a rounding, the atlas is black.
    right, bottom = width - drawn.shape[1], height - drawn.shape[0]
    picture = F.pad(drawn.permute(2, 0, 1)[None], (0, right, 0, bottom))
    return AtlasLayer(
        picture=picture,
        seen=mark_places(places - places.new_tensor(origin), (height, width)),
        points=places - places.new_tensor(origin),
        origin=origin,
    )


def mark_places(points: Tensor, size: tuple[int, int], shares: Tensor | None = None) -> Tensor:
    """Mark the four neighbours of places (..., 2), column and row, in a picture of this size: (1, 1, h, w).

    shares: (...), from 0 to 1, how much is seen of each place, by default 1; a pixel gets the largest share of the
    places beside it.
    """
    shares = points.new_ones(points.shape[:-1]) if shares is None else shares
    height, width = size
    columns, rows = (
        [rounding(points[..., axis]).clamp(min=0).long() for rounding in (torch.floor, torch.ceil)] for axis in (0, 1)
    )
    seen = points.new_zeros(height * width)
    for column in columns:
        for row in rows:
            inside = (column < width) & (row < height)
            seen.scatter_reduce_(0, row[inside] * width + column[inside], shares[inside], "amax")
    return seen.reshape(1, 1, height, width)


def _in_chunks(compute: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """Compute (N, C) of points (N, 2 or 3), some at a time."""
    return torch.cat([compute(chunk) for chunk in points.split(CHUNK)])

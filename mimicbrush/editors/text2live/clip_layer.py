"""A clip's layer for the optimisation: what its steps crop, the items made of them, and the finished layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mimicbrush.atlas.layered_atlas import Layer
from mimicbrush.atlas.object_boxes import at_least, atlas_box, cover_points, cut, frame_boxes
from mimicbrush.atlas.rendered_atlas import AtlasLayer, Box, RenderedAtlas, grid_in_box, map_to_frames
from mimicbrush.editors.text2live.applied_views import COLOUR_CHANGES
from mimicbrush.editors.text2live.clip_draws import ClipStepDraws
from mimicbrush.editors.text2live.clip_settings import ClipLayerSettings
from mimicbrush.editors.text2live.drawn_views import ColourChange
from mimicbrush.editors.text2live.internal_crops import crop_places
from mimicbrush.editors.text2live.losses import GREEN, Item, on_green
from mimicbrush.errors import UserError
from mimicbrush.pictures.conversion import draw_over

DrawLayer = Callable[[Tensor, Tensor], Tensor]
"""The network: from a picture (1, 3, h, w), and the places (1, 2, h, w) of its pixels, to a layer (1, 4, h, w)."""
WHOLE_SHARE = 3
"""The whole background atlas joins a step with each side divided by this."""


class MappedItem(NamedTuple):
    """An item for the losses, like `Item`: a crop of a frame (1, C, h, w) as the atlas shows it.

    The pictures are composed on the atlas and then sampled at the frame's pixels, which is not the same as composing
    the sampled layer and source.
    """

    source: Tensor
    layer: Tensor
    composite: Tensor
    on_green: Tensor
    region: Tensor | None = None

    @property
    def opacity(self) -> Tensor:
        return self.layer[:, 3:]


class ClipLayer(NamedTuple):
    """One layer of a clip, as the steps of an optimisation need it."""

    name: Layer
    frames: Tensor
    """(T, 3, H, W): the foreground on black, or the background as the atlas shows it, also behind the foreground."""
    opacity: Tensor
    """Opacity (T, 1, H, W) of the layer itself in the clip."""
    atlas: AtlasLayer
    boxes: list[Box]
    """Box of each frame from which crops are drawn."""
    whole_box: Box
    """Part of the atlas on which the finished layer is drawn."""
    whole: Tensor
    """That part (1, 3, h, w)."""
    whole_item: Tensor
    """The picture of it that joins some steps."""
    min_side: int
    """Smallest side of a picture that the network can take."""
    is_covered: bool = False
    """Whether the opacity is drawn to that of the whole layer."""

    def make_items(self, draw_layer: DrawLayer, draws: ClipStepDraws) -> list[Item | MappedItem]:
        """Draw the layer on the crop of the atlas that three frames show, on one frame directly, and on the atlas."""
        points = [cut(self.atlas.points[crop.frame], crop.box) for crop in draws.crops]
        box = at_least(cover_points(*points), self.min_side, self.atlas.size)
        atlas_crop = change_colours(_cut_picture(self.atlas.picture, box), draws.atlas_colours)
        grids = [grid_in_box(each, box)[None] for each in points]
        sources = [
            change_colours(_cut_picture(self.frames[crop.frame][None], crop.box), crop.colours) for crop in draws.crops
        ]
        opacities = [_cut_picture(self.opacity[crop.frame][None], crop.box) for crop in draws.crops]
        atlas_places, places = (self._places(each) for each in (_points_of(box), points[draws.direct]))
        if draws.is_mirrored:
            atlas_crop, atlas_places, places = (each.flip(-1) for each in (atlas_crop, atlas_places, places))
            grids = [grid.flip(2) * grid.new_tensor((-1, 1)) for grid in grids]
            sources, opacities = ([each.flip(-1) for each in pictures] for pictures in (sources, opacities))
        items = self._map_items(draw_layer(atlas_crop, atlas_places), atlas_crop, grids, opacities)
        source = sources[draws.direct]
        layer = draw_layer(source, places)
        if self.name == "foreground":
            layer = layer * opacities[draws.direct]
        region = opacities[draws.direct] if self.name == "foreground" else torch.ones_like(layer[:, 3:])
        items.append(Item(source, layer, region if self.is_covered else None))
        if draws.has_whole:
            layer = draw_layer(self.whole_item, crop_places(self.whole_item.shape[-2:]))
            items.append(Item(self.whole_item, layer, torch.ones_like(layer[:, 3:]) if self.is_covered else None))
        return items

    def finish(self, draw_layer: DrawLayer) -> Tensor:
        """Draw the layer on the whole atlas and map it to the frames: (T, 4, H, W), to be drawn over the clip.

        Its opacity is multiplied by that of the edited layer in the clip, which gives the same frames as composing the
        edited layer with the other one.
        """
        layer = self.map_whole(draw_layer(self.whole, crop_places(self.whole.shape[-2:])))
        return torch.cat([layer[:, :3], layer[:, 3:] * self.opacity], dim=1)

    def map_whole(self, layer: Tensor) -> Tensor:
        """Map a layer (1, 4, h, w) on `whole` to the frames (T, 4, H, W); outside of it, its border is repeated."""
        top, left, height, width = self.whole_box
        bottom, right = self.atlas.size[0] - top - height, self.atlas.size[1] - left - width
        padded = F.pad(layer, (left, right, top, bottom), mode="replicate")
        return map_to_frames(padded, self.atlas.grid).clamp(0, 1)

    def _places(self, points: Tensor) -> Tensor:
        """Coordinates (1, 2, h, w) of points (h, w, 2) of the atlas within `whole`, which reaches from 0 to 1."""
        top, left, height, width = self.whole_box
        places = (points - points.new_tensor((left, top))) / points.new_tensor((width, height))
        return places.permute(2, 0, 1)[None]

    def _map_items(
        self, layer: Tensor, atlas_crop: Tensor, grids: Sequence[Tensor], opacities: Sequence[Tensor]
    ) -> list[Item | MappedItem]:
        """Items of frames from a layer drawn on a crop of the atlas."""
        pictures = torch.cat([layer, draw_over(layer, atlas_crop), on_green(layer), atlas_crop], dim=1)
        green = layer.new_tensor(GREEN).reshape(1, 3, 1, 1)
        items = []
        for grid, opacity in zip(grids, opacities, strict=True):
            drawn, composed, screen, source = map_to_frames(pictures, grid).clamp(0, 1).split([4, 3, 3, 3], dim=1)
            if self.name == "foreground":
                drawn, composed = drawn * opacity, composed * opacity
                screen = screen * opacity + (1 - opacity) * green
            items.append(MappedItem(source=source, layer=drawn, composite=composed, on_green=screen))
        return items


def clip_layer(rendered: RenderedAtlas, source: Tensor, settings: ClipLayerSettings) -> ClipLayer:
    """Prepare the edited layer of a clip (T, 3, H, W); raises UserError where its parts are too small or missing."""
    name, smallest = settings.atlas_layer, settings.min_side
    atlas, opacity = rendered.layers[name], rendered.opacity
    height, width = source.shape[-2:]
    if min(height, width) < smallest:
        raise UserError(
            f"frames are {width} x {height} pixels, and a network of {settings.num_scales} scales needs {smallest};"
            " lower num_scales"
        )
    if name == "foreground":
        boxes = frame_boxes(
            opacity, threshold=settings.opacity_threshold, border=settings.box_border, smallest=smallest
        )
        whole_box = at_least(atlas_box(atlas, boxes), smallest, atlas.size)
        whole = _cut_picture(atlas.picture, whole_box)
        return ClipLayer(
            name, source * opacity, opacity, atlas, boxes, whole_box, whole, whole, smallest, settings.cover_layer
        )
    size = [side // WHOLE_SHARE for side in atlas.size]
    if min(size) < smallest:
        raise UserError(
            f"the background's atlas is {atlas.size[1]} x {atlas.size[0]} pixels, and a network of"
            f" {settings.num_scales} scales needs {WHOLE_SHARE * smallest}; raise atlas_resolution, or lower num_scales"
        )
    whole_item = F.interpolate(atlas.picture, size, mode="bilinear", align_corners=False, antialias=True)
    boxes, whole_box = [(0, 0, height, width)] * len(source), (0, 0, *atlas.size)
    colours = rendered.colours[name]
    return ClipLayer(
        name,
        colours,
        1 - opacity,
        atlas,
        boxes,
        whole_box,
        atlas.picture,
        whole_item,
        smallest,
        settings.cover_layer,
    )


def change_colours(pictures: Tensor, colours: Sequence[ColourChange]) -> Tensor:
    """Change the colours of pictures (B, 3, H, W)."""
    for name, factor in colours:
        pictures = COLOUR_CHANGES[name](pictures, [factor])
    return pictures


def _points_of(box: Box) -> Tensor:
    """Column and row of the centres of a box's pixels, as `map_to_frames` places them: (h, w, 2)."""
    top, left, height, width = box
    rows, columns = torch.arange(top, top + height), torch.arange(left, left + width)
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1) + 0.5


def _cut_picture(picture: Tensor, box: Box) -> Tensor:
    top, left, height, width = box
    return picture[..., top : top + height, left : left + width]

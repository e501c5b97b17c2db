"""An edit of one frame, or of an atlas, as a layer over all frames of the clip."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from mimicbrush.atlas.frame_correspondence import places_in_frame, sample_frame
from mimicbrush.atlas.layered_atlas import Layer, from_opacity
from mimicbrush.atlas.rendered_atlas import AtlasLayer, RenderedAtlas

PURE = 0.9
"""Opacity of a layer from which a pixel shows its colour alone."""
SHOWN = 0.5
"""Opacity of a layer from which a pixel belongs to it."""


class EditedOnce(NamedTuple):
    """A picture after its edit, and where it was edited."""

    picture: Tensor
    """(1, 3, h, w)."""
    mask: Tensor
    """(1, 1, h, w), 1 where it was edited."""


def layer_opacity(rendered: RenderedAtlas, layer: Layer) -> Tensor:
    """Opacity (T, 1, H, W) of a layer in the clip, from 0 to 1."""
    foreground = from_opacity(rendered.opacity)
    return foreground if layer == "foreground" else 1 - foreground


def from_frame(edited: EditedOnce, frame: int, atlas: AtlasLayer, opacity: Tensor, *, within_layer: bool) -> Tensor:
    """Map an edited frame to all frames: colours and opacity (T, 4, H, W).

    Each pixel takes its colour from the point of the edited frame that has the same place on the atlas. opacity: of the
    layer (T, 1, H, W); within_layer: colours are those of the layer alone, without what mixes into them at its border.
    """
    shown = edited.mask
    picture = edited.picture
    if within_layer:
        shown = shown * (opacity[frame : frame + 1] >= SHOWN)
        picture = _spread(picture, shown * (opacity[frame : frame + 1] >= PURE))
    layers = []
    for number, points in enumerate(atlas.points):
        places, found = places_in_frame(points, atlas.points[frame])
        colours = sample_frame(picture, places)
        share = sample_frame(shown, places) * found
        if within_layer:
            # At the layer's border the mask ends with the layer, which already fades by its opacity there.
            share = (share >= SHOWN).to(share) * opacity[number]
        layers.append(torch.cat([colours, share], dim=1))
    return torch.cat(layers)


def from_atlas(edited: EditedOnce, atlas: AtlasLayer, opacity: Tensor, *, within_layer: bool) -> Tensor:
    """Map an edited picture of a layer's atlas to all frames: colours and opacity (T, 4, H, W)."""
    height, width = atlas.size
    grid = 2 * atlas.points / atlas.points.new_tensor((max(width - 1, 1), max(height - 1, 1))) - 1
    pictures = torch.cat([edited.picture, edited.mask], dim=1).expand(len(grid), -1, -1, -1)
    colours, share = F.grid_sample(pictures, grid, padding_mode="border", align_corners=True).split([3, 1], dim=1)
    return torch.cat([colours, share * opacity if within_layer else share], dim=1)


def _spread(picture: Tensor, known: Tensor) -> Tensor:
    """Give each pixel of a picture (1, 3, H, W) outside `known` (1, 1, H, W) the colour of the nearest one within."""
    if not (known > 0).any():
        return picture
    hidden = (known[0, 0] <= 0).cpu().numpy()
    rows, columns = distance_transform_edt(hidden, return_distances=False, return_indices=True)
    return picture[:, :, torch.from_numpy(rows), torch.from_numpy(columns)]

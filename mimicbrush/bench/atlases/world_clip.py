"""A clip of the small world whose layers are known: frames and true masks for a training, and the exact motion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mimicbrush.atlas.layered_atlas import Layer, LayeredAtlas
from mimicbrush.atlas.training_clip import TrainingClip, estimate_flow
from mimicbrush.flow.raft_weights import load_raft
from mimicbrush.pictures.conversion import to_channels
from mimicbrush.world.renderer.exact_flow import BACKGROUND, exact_flow
from mimicbrush.world.renderer.render import render
from mimicbrush.world.renderer.scene import Scene
from mimicbrush.world.sets.draws import draw_clip


class WorldClip(NamedTuple):
    """A clip for a training, with the scenes that it was rendered from."""

    training: TrainingClip
    scenes: Sequence[Scene]
    top: int
    """First row of the square render that the frames show."""


def world_clip(number: int, *, num_frames: int, width: int, flow: str, seed: int) -> WorldClip:
    """Render a clip with its true masks, cut to two thirds of its rows around the object, and estimate its flow."""
    scenes = draw_clip(number, seed=seed).motion.scenes(num_frames)
    rendered = [render(scene, width) for scene in scenes]
    height = 2 * width // 3
    rows = np.nonzero(sum(each.mask for each in rendered).sum(axis=1))[0]
    top = int(np.clip((rows.min() + rows.max() - height) // 2, 0, width - height))
    levels = [(np.clip(each.picture[top : top + height], 0, 1) * 255).round().astype(np.uint8) for each in rendered]
    frames = torch.stack([to_channels(picture) for picture in levels])
    masks = torch.stack([torch.from_numpy(each.mask[None, top : top + height] > 0.5).float() for each in rendered])
    return WorldClip(TrainingClip(frames, masks, *estimate_flow(load_raft(flow), frames)), scenes, top)


@torch.no_grad()
def coordinate_error(atlas: LayeredAtlas, clip: WorldClip, layer: Layer) -> float:
    """Measure how far apart an atlas places two views of one point of a layer, in pixels of the middle frame.

    Each point of the layer that the middle frame and another one show is followed exactly. The distance of its two
    atlas points is converted to pixels by the map's derivative, so that a map onto a small area gains nothing. The mean
    is over points and frames.
    """
    shape = clip.training.shape
    middle, size = shape.num_frames // 2, shape.width
    errors = []
    for number, scene in enumerate(clip.scenes):
        if number == middle:
            continue
        flow, visible, front = exact_flow(clip.scenes[middle], scene, size)
        rows = slice(clip.top, clip.top + shape.height)
        own = visible[rows] & ((front[rows] == BACKGROUND) == (layer == "background"))
        y, x = (torch.from_numpy(each).float() for each in np.nonzero(own))
        dx, dy = (torch.from_numpy(each[rows][own]) for each in flow)
        # The atlas knows no pixel below or above its frames.
        inside = (y + dy >= 0) & (y + dy <= shape.height - 1)
        errors.append(_distance(atlas, clip, layer, (x, y), (x + dx, y + dy), middle, number)[inside])
    return float(torch.cat(errors).mean())


def _distance(
    atlas: LayeredAtlas,
    clip: WorldClip,
    layer: Layer,
    here: tuple[Tensor, Tensor],
    there: tuple[Tensor, Tensor],
    middle: int,
    number: int,
) -> Tensor:
    """Distances (N,) in pixels of the middle frame between the atlas points of pixels there and in another frame."""

    def place(x: Tensor, y: Tensor, frame: int) -> Tensor:
        return atlas.atlas_points(layer, clip.training.shape.normalise(x, y, torch.full_like(x, frame)))

    x, y = here
    jacobian = torch.stack([place(x + 1, y, middle) - place(x - 1, y, middle)] * 2, dim=-1) / 2
    jacobian[..., 1] = (place(x, y + 1, middle) - place(x, y - 1, middle)) / 2
    apart = place(*there, number) - place(x, y, middle)
    return torch.linalg.lstsq(jacobian, apart[..., None]).solution[..., 0].norm(dim=-1)

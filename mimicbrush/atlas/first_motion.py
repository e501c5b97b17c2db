"""The maps with which the training of an atlas begins: the affine motion of each layer, fitted to the optical flow."""

from __future__ import annotations

import torch
from torch import Tensor

from mimicbrush.atlas.grid_atlas import MARGIN, GridAtlas, GridAtlasSizes
from mimicbrush.atlas.layered_atlas import LAYERS, PUBLISHED_SCALE, Layer
from mimicbrush.atlas.training_clip import TrainingClip

NUM_FITS = 5
"""Least-squares fits, each of which weighs pixels by how well the one before explains them."""
CLOSE = 0.5
"""Distance in pixels from a fit beyond which a pixel's weight falls."""
MIN_PIXELS = 12.0
"""Sum of weights below which a layer's motion from one frame to the next is not fitted, but taken as none."""
LARGEST_STRETCH = 1.25
"""Largest stretch from one frame to the next that is believed; beyond it, the mean shift is taken instead."""


def first_atlas(clip: TrainingClip) -> GridAtlas:
    """An atlas whose maps follow the motion of each layer, so that the training begins near the right place.

    That motion counts as no deformation: otherwise rigidity would hold back an object that grows.
    """
    shape = clip.shape
    maps = {layer: layer_maps(clip, layer) for layer in LAYERS}
    corners = shape.frame_points(0)[:: shape.height - 1, :: shape.width - 1, :2].reshape(4, 2)
    reach = {layer: float(_moved(maps[layer], corners).abs().max()) for layer in LAYERS}
    # The scale leaves room for everything that comes into the frame.
    scales = tuple(min(PUBLISHED_SCALE, MARGIN / max(reach[layer], 1.0)) for layer in LAYERS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        atlas = GridAtlas(GridAtlasSizes(shape, scales))
    with torch.no_grad():
        for layer in LAYERS:
            atlas.mappings[layer].affine.copy_(maps[layer])
            atlas.undeformed[layer] = maps[layer][:, :, :2].clone()
    return atlas


def layer_maps(clip: TrainingClip, layer: Layer) -> Tensor:
    """Affine maps (T, 2, 3) from each frame to the middle one, in normalised coordinates, that a layer's flow tells.

    Flow is fitted from each frame to the next and joined up, so its errors add up; the training corrects them.
    """
    steps = [_motion(clip, layer, number) for number in range(clip.shape.num_frames - 1)]
    middle = clip.shape.num_frames // 2
    maps = [torch.eye(3, dtype=torch.float64)] * clip.shape.num_frames
    for number in range(middle - 1, -1, -1):
        maps[number] = maps[number + 1] @ steps[number]
    for number in range(middle, clip.shape.num_frames - 1):
        maps[number + 1] = maps[number] @ torch.linalg.inv(steps[number])
    return torch.stack(maps)[:, :2].float()


def _moved(maps: Tensor, points: Tensor) -> Tensor:
    """Points (T, N, 2) to which affine maps (T, 2, 3) move points (N, 2)."""
    return torch.einsum("tij,nj->tni", maps[:, :, :2], points) + maps[:, None, :, 2]


def _motion(clip: TrainingClip, layer: Layer, number: int) -> Tensor:
    """A layer's affine motion (3, 3) from a frame to the next, in normalised coordinates."""
    shape, device = clip.shape, clip.frames.device
    mask = clip.masks[number, 0] if layer == "foreground" else 1 - clip.masks[number, 0]
    weights = (mask * clip.reliable[number, 0]).flatten()
    flow = clip.flow[number].flatten(1)
    motion = torch.eye(3, dtype=torch.float64)
    if weights.sum() < MIN_PIXELS:
        return motion
    here = shape.frame_points(number, device)[..., :2].reshape(-1, 2)
    here, there, weights = (each.double().cpu() for each in (here, here + flow.T / shape.half_side, weights))
    shift = ((there - here) * weights[:, None]).sum(dim=0) / weights.sum()
    linear = torch.cat([here, torch.ones_like(here[:, :1])], dim=1)
    fitted, close = torch.cat([torch.eye(2), shift[None]]).double(), CLOSE / shape.half_side
    for _ in range(NUM_FITS):
        apart = (there - linear @ fitted).norm(dim=1)
        share = (weights * close / apart.clamp(min=close)).sqrt()[:, None]
        fitted = torch.linalg.lstsq(share * linear, share * there).solution
    stretch = torch.linalg.svdvals(fitted[:2])
    if stretch.max() < LARGEST_STRETCH and stretch.min() > 1 / LARGEST_STRETCH:
        motion[:2] = fitted.T
    else:
        motion[:2, 2] = shift
    return motion

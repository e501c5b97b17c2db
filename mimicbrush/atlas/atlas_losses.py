"""The losses of a layered atlas (Kasten et al. 2021, section 3; their code where they differ) on random pixels."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mimicbrush.atlas.config import AtlasLossConfig
from mimicbrush.atlas.layered_atlas import LAYERS, ClipShape, Layer, LayeredAtlas
from mimicbrush.atlas.training_clip import TrainingClip

REGULARISER = 1e-3
"""Added to the diagonal before a matrix is inverted."""


class DrawnPixels(NamedTuple):
    """Random pixels of a clip, (N,) each, as whole numbers."""

    frame: Tensor
    y: Tensor
    x: Tensor


def draw_pixels(clip: ClipShape, count: int, generator: torch.Generator, device: torch.device) -> DrawnPixels:
    """Draw pixels uniformly, with repeats."""
    sides = (clip.num_frames, clip.height, clip.width)
    return DrawnPixels(*(torch.randint(side, (count,), generator=generator).to(device) for side in sides))


def atlas_losses(
    atlas: LayeredAtlas, clip: TrainingClip, pixels: DrawnPixels, config: AtlasLossConfig, step: int
) -> dict[str, Tensor]:
    """Every loss by name, with its weight.

    Differences are taken to the next pixel; the published code takes the deformation from those to the last one, which
    is the same for random pixels.
    """
    shape = clip.shape
    here, right, below = (_points(shape, pixels, dx, dy) for dx, dy in ((0, 0), (1, 0), (0, 1)))
    opacity = [atlas.opacity(points) for points in (here, right, below)]
    places = {layer: [atlas.atlas_points(layer, points) for points in (here, right, below)] for layer in LAYERS}
    colours = {layer: [atlas.colours(layer, each) for each in places[layer]] for layer in LAYERS}
    composed = [
        torch.lerp(behind, front, share)
        for behind, front, share in zip(colours["background"], colours["foreground"], opacity, strict=True)
    ]
    losses = _colour_losses(composed, clip, pixels, config)
    losses["rigidity"] = config.rigidity_weight * sum(
        _deformation(*places[layer], shape.half_side / atlas.scale(layer), _relaxing(atlas, layer, pixels)).mean()
        for layer in LAYERS
    )
    if step < config.global_steps:
        losses["global_rigidity"] = _global_rigidity(atlas, shape, pixels, places, config)
    losses |= _flow_losses(atlas, clip, pixels, places, opacity[0], config)
    if step < config.mask_steps:
        mask = clip.masks[pixels.frame, :, pixels.y, pixels.x]
        losses["mask"] = config.mask_weight * F.binary_cross_entropy(opacity[0], mask)
    hidden = ((1 - opacity[0]) * colours["foreground"][0]).square().sum(dim=-1).mean()
    losses["sparsity"] = config.sparsity_weight * hidden
    return losses


def _colour_losses(
    composed: list[Tensor], clip: TrainingClip, pixels: DrawnPixels, config: AtlasLossConfig
) -> dict[str, Tensor]:
    """Squared errors of colours, and of their differences to the next pixels, of those that are in the frame."""
    _, height, width = clip.shape
    frame, y, x = pixels
    right, below = (x + 1).clamp(max=width - 1), (y + 1).clamp(max=height - 1)
    true = [clip.frames[frame, :, rows, columns] for rows, columns in ((y, x), (y, right), (below, x))]
    steps = sum(
        (((composed[number] - composed[0]) - (true[number] - true[0])).square().sum(dim=-1) * inside).mean()
        for number, inside in ((1, x + 1 < width), (2, y + 1 < height))
    )
    return {
        "colour": config.colour_weight * (composed[0] - true[0]).square().sum(dim=-1).mean(),
        "gradient": config.gradient_weight * steps,
    }


def _global_rigidity(
    atlas: LayeredAtlas,
    shape: ClipShape,
    pixels: DrawnPixels,
    places: dict[Layer, list[Tensor]],
    config: AtlasLossConfig,
) -> Tensor:
    """Deformation of both maps between distant pixels of the frame, to the right and below, or else left and above."""
    distance = max(1, min(config.global_distance, min(shape.height, shape.width) // 2))
    right, below = (
        torch.where(places + distance < side, distance, -distance)
        for places, side in ((pixels.x, shape.width), (pixels.y, shape.height))
    )
    far = [_points(shape, pixels, right, 0), _points(shape, pixels, 0, below)]
    weights = {"foreground": config.foreground_global_weight, "background": config.background_global_weight}
    return sum(
        weight
        * _deformation(
            places[layer][0],
            *(atlas.atlas_points(layer, points) for points in far),
            shape.half_side / distance / atlas.scale(layer),
            _relaxing(atlas, layer, pixels),
        ).mean()
        for layer, weight in weights.items()
    )


def _flow_losses(
    atlas: LayeredAtlas,
    clip: TrainingClip,
    pixels: DrawnPixels,
    places: dict[Layer, list[Tensor]],
    opacity: Tensor,
    config: AtlasLossConfig,
) -> dict[str, Tensor]:
    """Distances on the atlases, and differences of opacity, of points that the flow joins."""
    shape = clip.shape
    frame = pixels.frame.clamp(max=shape.num_frames - 2)
    joined = (clip.reliable[frame, 0, pixels.y, pixels.x] & (pixels.frame < shape.num_frames - 1)).float()
    motion = clip.flow[frame, :, pixels.y, pixels.x]
    ends = shape.normalise(pixels.x + motion[:, 0], pixels.y + motion[:, 1], pixels.frame + 1.0)
    count = joined.sum().clamp(min=1)
    shares = {"foreground": opacity[:, 0], "background": 1 - opacity[:, 0]}
    distance = 0.0
    for layer, share in shares.items():
        apart = 2 * (atlas.atlas_points(layer, ends) - places[layer][0]).norm(dim=-1)
        distance = distance + (shape.half_side / atlas.scale(layer) * apart * share * joined).sum()
    change = ((atlas.opacity(ends) - opacity).abs()[:, 0] * joined).sum()
    return {
        "flow": config.flow_weight * distance / count,
        "opacity_flow": config.opacity_flow_weight * change / count,
    }


def _relaxing(atlas: LayeredAtlas, layer: Layer, pixels: DrawnPixels) -> Tensor | None:
    """Inverses (N, 2, 2) of the Jacobians that count as no deformation; None where these are the identity."""
    undeformed = atlas.undeformed.get(layer)
    return None if undeformed is None else torch.linalg.inv(undeformed.to(pixels.x.device))[pixels.frame]


def _deformation(here: Tensor, right: Tensor, below: Tensor, scale: float, relaxing: Tensor | None) -> Tensor:
    """|J'J| + |(J'J)^-1| of a map (Frobenius norms) from its points (N, 2) on the atlas for three pixels.

    scale: factor from differences of the mapping's outputs to a Jacobian that is the identity without deformation.
    relaxing: matrices (N, 2, 2) by which the Jacobian is multiplied first.
    """
    jacobian = 2 * scale * torch.stack([right - here, below - here], dim=-1)
    if relaxing is not None:
        jacobian = jacobian @ relaxing
    squared = jacobian.transpose(1, 2) @ jacobian
    a, b, d = squared[:, 0, 0] + REGULARISER, squared[:, 0, 1], squared[:, 1, 1] + REGULARISER
    # The inverse of a symmetric 2 x 2 matrix has the same entries, exchanged, over the determinant.
    inverse = (a.square() + 2 * b.square() + d.square()).sqrt() / (a * d - b.square())
    return squared.flatten(1).norm(dim=-1) + inverse


def _points(shape: ClipShape, pixels: DrawnPixels, dx: int | Tensor, dy: int | Tensor) -> Tensor:
    """Normalised coordinates (N, 3) of the pixels that lie this far to the right and down."""
    return shape.normalise((pixels.x + dx).float(), (pixels.y + dy).float(), pixels.frame.float())

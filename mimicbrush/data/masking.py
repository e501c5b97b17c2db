"""Which part of the source is hidden (paper, sections 3.3 and 4.1).

Pictures are padded to white squares, and no mask covers padding: an edit never does (the release pads masks with
zeros), and nothing is to be learnt from repainting white. The loss covers the whole square nevertheless: the authors
say so, and a sampler has to denoise the padding too.

The cells of a grid span the padded square, as in the paper, and are then cut to the picture. Every mask hides a part of
the picture and keeps one, counted without padding.
"""

from __future__ import annotations

from collections.abc import Sequence

import kornia
import torch
import torch.nn.functional as F
from torch import Tensor

from mimicbrush.data.config import OBJECT_SHARES, MaskConfig
from mimicbrush.device import send

MIN_OBJECT_AREA, MAX_OBJECT_AREA = 0.02, 0.5
"""Shares of a still that its chosen segments cover together."""
MIN_PART = 0.01
"""Least share of the picture that any mask but a grid hides, and least that it keeps: less is lost in a latent."""
NUM_DENSEST = 5
"""Hot cells of the release."""
BOX_SIDES = 0.4, 0.9
"""Sides of a box mask as shares of the picture's (the release's code)."""
MAX_STROKES, NUM_VERTICES = 4, 6
STROKE_WIDTHS = 0.06, 0.22
"""Shares of the square's side."""
STROKE_STEPS = 0.1, 0.4
"""Lengths between a stroke's vertices, shares of the picture's sides."""
COARSE = 128
"""Strokes and rough outlines are computed at this size at most and enlarged smoothly: they look alike at all sizes."""
OUTLINE_BLURS = 0.008, 0.04
"""Standard deviations, shares of the side: an object is blurred and cut anew, and grows by up to two of them."""
OUTLINE_LEVELS = 0.02, 0.5
"""Where the blurred object is cut: a half is its own outline."""
NUM_WAVES = 12
"""Independent levels along a side: how rough an outline is."""


def draw_masks(
    keypoints: Tensor, object_mask: Tensor, area: Tensor, config: MaskConfig, generator: torch.Generator
) -> Tensor:
    """One mask per sample: (B, 1, S, S) bool, True where hidden.

    keypoints: (B, K, 2), x and y in [0, 1] of the square source; rows of NaN, and points outside, are none.
    object_mask: (B, 1, S, S) bool, all False where there is no object. area: (B, 1, S, S) bool, where the picture is.
    """
    masks = [grid_masks(keypoints, area, config, generator)]
    kind = _draw_kinds(len(area), (config.grid_share, config.box_share, config.brush_share), generator)
    for number, share, draw in ((1, config.box_share, box_masks), (2, config.brush_share, brush_masks)):
        if share:
            masks.append(draw(area, generator) & _where(kind == number, area))
    objects = object_mask & area
    masks += [objects, shape_objects(objects, area, config, generator)]
    return _last_usable(masks, area)


def grid_masks(keypoints: Tensor, area: Tensor, config: MaskConfig, generator: torch.Generator) -> Tensor:
    """Grid masks (B, 1, S, S): hot cells are hidden more often; at least one cell of the picture hidden, one kept.

    Arguments as of `draw_masks`. N x N cells span the padded square; N need not divide its side, and no strip is left
    out, as it is in the release.
    """
    num, size, most = len(area), area.shape[-1], config.max_cells
    num_cells = torch.randint(config.min_cells, most + 1, (num, 1), generator=generator)
    chance, tie = torch.rand(2, num, most, most, generator=generator)
    num_cells, chance, tie = (send(draw, area.device) for draw in (num_cells, chance, tie))
    cell = torch.arange(size, device=area.device) * num_cells // size
    seen = _count_pixels(area[:, 0], cell, most)
    points = _count_points(send(keypoints, area.device), num_cells, most)
    if config.hot_cells == "matched":
        hot = points > 0
    else:
        # Ties are broken by chance, and cells that the picture does not reach come last.
        rank = (points + tie / 2 + (seen > 0)).flatten(1).argsort(dim=1, descending=True).argsort(dim=1)
        hot = (rank < NUM_DENSEST).view_as(points)
    prob = torch.where(hot, config.keypoint_cell_prob, config.other_cell_prob)
    few = points.sum(dim=(1, 2), keepdim=True) < config.min_keypoints
    hidden = _force_both(chance < torch.where(few, config.uniform_cell_prob, prob), seen, tie)
    sample = torch.arange(num, device=area.device)[:, None, None]
    mask = hidden[sample, cell[:, :, None], cell[:, None, :]][:, None] & area
    # A picture so small that it lies within one cell is halved.
    has_both = mask.flatten(1).any(dim=1) & (area & ~mask).flatten(1).any(dim=1)
    return torch.where(_where(has_both, area), mask, _left_half(area))


def box_masks(area: Tensor, generator: torch.Generator) -> Tensor:
    """One box per sample, (B, 1, S, S): each side a share of the picture's bounding box."""
    share, place = send(torch.rand(2, len(area), 2, generator=generator), area.device)
    share = BOX_SIDES[0] + (BOX_SIDES[1] - BOX_SIDES[0]) * share
    start = place * (1 - share)
    inside = [
        (along >= first[:, None]) & (along < (first + extent)[:, None])
        for along, first, extent in zip(_relative_pixels(area), start.T, share.T, strict=True)
    ]
    return (inside[1][:, :, None] & inside[0][:, None, :])[:, None] & area


def brush_masks(area: Tensor, generator: torch.Generator) -> Tensor:
    """One to MAX_STROKES thick polylines per sample, (B, 1, S, S), each of NUM_VERTICES points inside the picture."""
    num, size = len(area), area.shape[-1]
    num_strokes = torch.randint(1, MAX_STROKES + 1, (num, 1), generator=generator)
    start, step, width = torch.rand(num, MAX_STROKES, 2 * NUM_VERTICES + 1, generator=generator).split(
        [2, 2 * NUM_VERTICES - 2, 1], dim=2
    )
    length, turn = step.chunk(2, dim=2)
    length = STROKE_STEPS[0] + (STROKE_STEPS[1] - STROKE_STEPS[0]) * length
    # The first direction is any; every further vertex turns by up to a third of a circle.
    angle = torch.cat([turn[..., :1] * 2 * torch.pi, (2 * turn[..., 1:] - 1) * 2 * torch.pi / 3], dim=2).cumsum(dim=2)
    steps = length[..., None] * torch.stack([angle.cos(), angle.sin()], dim=-1)
    vertices = torch.cat([start[:, :, None], start[:, :, None] + steps.cumsum(dim=2)], dim=2)
    # Reflected at the picture's border.
    vertices = 1 - (vertices.remainder(2) - 1).abs()
    radius = (STROKE_WIDTHS[0] + (STROKE_WIDTHS[1] - STROKE_WIDTHS[0]) * width[..., 0]) / 2
    radius[torch.arange(MAX_STROKES) >= num_strokes] = -1.0
    vertices, radius = send(vertices, area.device), send(radius, area.device)
    first, extent = _bounds(area)
    vertices = (first[:, None, None] + vertices * extent[:, None, None]) / size
    distance = _distance_to_strokes(vertices, radius, min(COARSE, size))
    return (_enlarge(distance[:, None], size) < 0) & area


def shape_objects(objects: Tensor, area: Tensor, config: MaskConfig, generator: torch.Generator) -> Tensor:
    """Objects as they are, grown and roughened, or boxed, by their shares; (B, 1, S, S) bool each."""
    kind = _draw_kinds(len(area), [getattr(config, name) for name in OBJECT_SHARES], generator)
    rough = _roughen(objects, generator) & area
    boxed = _bounding_box(objects) & area
    return torch.where(_where(kind == 1, area), rough, torch.where(_where(kind == 2, area), boxed, objects))


def _draw_kinds(num: int, shares: Sequence[float], generator: torch.Generator) -> Tensor:
    """(num,) places in `shares`, on the CPU."""
    return torch.multinomial(torch.tensor(shares, dtype=torch.float32), num, replacement=True, generator=generator)


def _where(choice: Tensor, area: Tensor) -> Tensor:
    """(B,) -> (B, 1, 1, 1) on the masks' device."""
    return send(choice, area.device)[:, None, None, None]


def _last_usable(masks: Sequence[Tensor], area: Tensor) -> Tensor:
    """For each sample the last mask that hides and keeps MIN_PART of the picture; the first where none does."""
    chosen, whole = masks[0], area.sum(dim=(1, 2, 3))
    for mask in masks[1:]:
        hidden = mask.sum(dim=(1, 2, 3))
        usable = (hidden >= MIN_PART * whole) & (whole - hidden >= MIN_PART * whole) & (hidden > 0)
        chosen = torch.where(_where(usable, area), mask, chosen)
    return chosen


def _count_pixels(area: Tensor, cell: Tensor, most: int) -> Tensor:
    """Pixels of the picture in each cell: (B, most, most). area: (B, S, S); cell: (B, S), a line's row or column."""
    belongs = (cell[:, None] == torch.arange(most, device=cell.device)[:, None]).float()
    return belongs @ area.float() @ belongs.mT


def _count_points(points: Tensor, num_cells: Tensor, most: int) -> Tensor:
    """Points in each cell: (B, most, most), rows first."""
    inside = ((points >= 0) & (points < 1)).all(dim=2)
    column, row = (points.nan_to_num() * num_cells[:, :, None]).long().unbind(dim=2)
    index = torch.where(inside, row * most + column, most * most)
    counts = points.new_zeros(len(points), most * most + 1).scatter_add_(1, index, inside.to(points))
    return counts[:, :-1].view(-1, most, most)


def _force_both(hidden: Tensor, seen: Tensor, tie: Tensor) -> Tensor:
    """Flip one cell where all or none of the picture is hidden, one that holds not much less of it than any other."""
    one_sided = ((seen * hidden).sum(dim=(1, 2)) == 0) | ((seen * ~hidden).sum(dim=(1, 2)) == 0)
    large = seen >= seen.amax(dim=(1, 2), keepdim=True) / 2
    chosen = torch.where(large, tie, -1.0).flatten(1).argmax(dim=1)
    flip = torch.arange(seen[0].numel(), device=seen.device) == chosen[:, None]
    return hidden ^ (flip & one_sided[:, None]).view_as(hidden)


def _left_half(area: Tensor) -> Tensor:
    """The picture's columns up to half of its pixels."""
    along = area.sum(dim=2).cumsum(dim=-1)
    return (2 * along <= along[..., -1:])[:, :, None, :] & area


def _bounds(mask: Tensor) -> tuple[Tensor, Tensor]:
    """First x and y that a mask (B, 1, S, S) touches, and its extents, in pixels: (B, 2) each."""
    lines = torch.stack([mask.any(dim=2), mask.any(dim=3)], dim=2)[:, 0].int()
    first = lines.argmax(dim=2)
    last = lines.shape[-1] - 1 - lines.flip(-1).argmax(dim=2)
    return first.float(), (last - first + 1).float()


def _relative_pixels(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Pixel centres' x and y, (B, S) each, where 0 to 1 is the mask's bounding box."""
    first, extent = _bounds(mask)
    centres = torch.arange(mask.shape[-1], device=mask.device) + 0.5
    along_x, along_y = ((centres - first[..., None]) / extent[..., None]).unbind(dim=1)
    return along_x, along_y


def _bounding_box(mask: Tensor) -> Tensor:
    """Each sample's smallest box, filled; empty for an empty mask.

    For a whole batch on its own device, where `pictures.mask_geometry` takes one mask on the CPU.
    """
    along_x, along_y = ((along >= 0) & (along <= 1) for along in _relative_pixels(mask))
    return (along_y[:, :, None] & along_x[:, None, :])[:, None] & mask.flatten(1).any(dim=1)[:, None, None, None]


def _distance_to_strokes(vertices: Tensor, radius: Tensor, size: int) -> Tensor:
    """(B, size, size): distance to the nearest stroke's edge, negative inside; the square's side is 1.

    vertices: (B, strokes, vertices, 2); radius: (B, strokes).
    """
    centres = (torch.arange(size, device=vertices.device) + 0.5) / size
    nearest = torch.full((len(vertices), size, size), torch.inf, device=vertices.device)
    for stroke, thickness in zip(vertices.unbind(1), radius.unbind(1), strict=True):
        for start, end in zip(stroke.unbind(1)[:-1], stroke.unbind(1)[1:], strict=True):
            (step_x, step_y), (x, y) = (end - start).T[..., None, None], start.T[..., None, None]
            to_x, to_y = centres - x, centres[:, None] - y
            along = (to_x * step_x + to_y * step_y) / (step_x**2 + step_y**2).clamp(min=1e-9)
            along = along.clamp(0, 1)
            distance = torch.hypot(to_x - along * step_x, to_y - along * step_y) - thickness[:, None, None]
            # A stroke that is not drawn has a negative radius.
            nearest = torch.where(thickness[:, None, None] > 0, torch.minimum(nearest, distance), nearest)
    return nearest


def _roughen(mask: Tensor, generator: torch.Generator) -> Tensor:
    """Grow a mask (B, 1, S, S) unevenly: blurred, and cut at levels that vary over the picture. Never less than it.

    The release dilates and erodes patches one by one, up to 250 times a picture, which a batch on a GPU cannot.
    """
    size, coarse = mask.shape[-1], min(COARSE, mask.shape[-1])
    blur = torch.rand(len(mask), 1, generator=generator)
    level = torch.rand(len(mask), 1, NUM_WAVES, NUM_WAVES, generator=generator)
    blur = coarse * (OUTLINE_BLURS[0] + (OUTLINE_BLURS[1] - OUTLINE_BLURS[0]) * blur)
    # Made on the CPU: kornia's own blur looks at the deviations, for which the host would wait.
    kernel = kornia.filters.get_gaussian_kernel1d(2 * int(3 * OUTLINE_BLURS[1] * coarse) + 1, blur)
    kernel = send(kernel, mask.device)
    small = F.interpolate(mask.float(), (coarse, coarse), mode="area")
    blurred = kornia.filters.filter2d_separable(small, kernel, kernel, border_type="replicate")
    level = OUTLINE_LEVELS[0] + (OUTLINE_LEVELS[1] - OUTLINE_LEVELS[0]) * _enlarge(send(level, mask.device), coarse)
    return (_enlarge(blurred - level, size) > 0) & mask.flatten(1).any(dim=1)[:, None, None, None] | mask


def _enlarge(field: Tensor, size: int) -> Tensor:
    return F.interpolate(field, (size, size), mode="bilinear", align_corners=False)

"""Random masks over the source (paper, sections 3.3 and 4.1).

Pictures are padded to white squares, and no mask covers padding: the mask of an edit never does (the release pads masks
with zeros), and the network learns nothing from repainting white. The loss covers the whole square nevertheless, as in
the paper, because a sampler has to denoise the padding too.

The cells of a grid span the padded square, as in the paper, and are then cut to the picture. Every mask hides a part of
the picture and leaves another part visible.
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
"""Smallest and largest share of a still that its chosen segments cover together."""
MIN_PART = 0.01
"""Smallest share of the picture that any mask but a grid hides, and that it leaves visible; less would vanish in a
latent."""
NUM_DENSEST = 5
"""Number of hot cells in the released code."""
BOX_SIDES = 0.4, 0.9
"""Smallest and largest side of a box mask, as a share of the picture's side (released code)."""
MAX_STROKES, NUM_VERTICES = 4, 6
"""Largest number of strokes of a brush mask, and number of vertices of a stroke."""
STROKE_WIDTHS = 0.06, 0.22
"""Smallest and largest width of a stroke, as a share of the square's side."""
STROKE_STEPS = 0.1, 0.4
"""Smallest and largest distance between a stroke's vertices, as a share of the picture's sides."""
COARSE = 128
"""Largest size in pixels at which strokes and rough outlines are computed, before they are enlarged smoothly; so they
look alike at all sizes."""
OUTLINE_BLURS = 0.008, 0.04
"""Smallest and largest standard deviation, as a share of the side, of the blur that roughens an object's outline. The
blurred object is thresholded anew and grows by up to two standard deviations."""
OUTLINE_LEVELS = 0.02, 0.5
"""Smallest and largest threshold for the blurred object; 0.5 gives its own outline."""
NUM_WAVES = 12
"""Number of independent thresholds along a side; more make outlines rougher."""


def draw_masks(
    keypoints: Tensor, object_mask: Tensor, area: Tensor, config: MaskConfig, generator: torch.Generator
) -> Tensor:
    """Draw one mask per sample: (B, 1, S, S) bool, True where the source is hidden.

    keypoints: (B, K, 2), x and y in [0, 1] of the square source; rows of NaN and points outside are ignored.
    object_mask: (B, 1, S, S) bool, all False if there is no object. area: (B, 1, S, S) bool, True on the picture and
    False on its padding.
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
    """Hide random cells of a grid, hot cells more often: (B, 1, S, S) bool. Arguments as for `draw_masks`.

    Each sample has N x N cells, which span the padded square. N need not divide the square's side, and every pixel
    belongs to a cell; the release leaves a strip out. At least one cell of the picture is hidden, and one is visible.
    """
    num_cells, chance, tie = _draw_grids(len(area), config, generator, area.device)
    size, most = area.shape[-1], config.max_cells
    cell_of_line = torch.arange(size, device=area.device) * num_cells // size
    num_pixels = _count_pixels(area[:, 0], cell_of_line, most)
    num_points = _count_points(send(keypoints, area.device), num_cells, most)
    is_hot = num_points > 0 if config.hot_cells == "matched" else _densest_cells(num_points, num_pixels, tie)
    is_hidden = _keep_both(chance < _hiding_probs(is_hot, num_points, config), num_pixels, tie)
    return _halve_if_uniform(_paint_cells(is_hidden, cell_of_line) & area, area)


def box_masks(area: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one box per sample, (B, 1, S, S) bool, with sides in proportion to the picture's bounding box."""
    share, place = send(torch.rand(2, len(area), 2, generator=generator), area.device)
    share = BOX_SIDES[0] + (BOX_SIDES[1] - BOX_SIDES[0]) * share
    start = place * (1 - share)
    inside = [
        (along >= first[:, None]) & (along < (first + extent)[:, None])
        for along, first, extent in zip(_relative_pixels(area), start.T, share.T, strict=True)
    ]
    return (inside[1][:, :, None] & inside[0][:, None, :])[:, None] & area


def brush_masks(area: Tensor, generator: torch.Generator) -> Tensor:
    """Draw 1 to MAX_STROKES thick polylines per sample, (B, 1, S, S) bool, each with NUM_VERTICES vertices."""
    num, size = len(area), area.shape[-1]
    num_strokes = torch.randint(1, MAX_STROKES + 1, (num, 1), generator=generator)
    start, step, width = torch.rand(num, MAX_STROKES, 2 * NUM_VERTICES + 1, generator=generator).split(
        [2, 2 * NUM_VERTICES - 2, 1], dim=2
    )
    length, turn = step.chunk(2, dim=2)
    length = STROKE_STEPS[0] + (STROKE_STEPS[1] - STROKE_STEPS[0]) * length
    # The first direction is uniform; at every further vertex it turns by up to a third of a circle.
    angle = torch.cat([turn[..., :1] * 2 * torch.pi, (2 * turn[..., 1:] - 1) * 2 * torch.pi / 3], dim=2).cumsum(dim=2)
    steps = length[..., None] * torch.stack([angle.cos(), angle.sin()], dim=-1)
    vertices = torch.cat([start[:, :, None], start[:, :, None] + steps.cumsum(dim=2)], dim=2)
    # Vertices are reflected at the picture's border.
    vertices = 1 - (vertices.remainder(2) - 1).abs()
    radius = (STROKE_WIDTHS[0] + (STROKE_WIDTHS[1] - STROKE_WIDTHS[0]) * width[..., 0]) / 2
    radius[torch.arange(MAX_STROKES) >= num_strokes] = -1.0
    vertices, radius = send(vertices, area.device), send(radius, area.device)
    first, extent = _bounds(area)
    vertices = (first[:, None, None] + vertices * extent[:, None, None]) / size
    distance = _distance_to_strokes(vertices, radius, min(COARSE, size))
    return (_enlarge(distance[:, None], size) < 0) & area


def shape_objects(objects: Tensor, area: Tensor, config: MaskConfig, generator: torch.Generator) -> Tensor:
    """Draw for each object (B, 1, S, S) whether its mask is exact, grown and roughened, or its bounding box."""
    kind = _draw_kinds(len(area), [getattr(config, name) for name in OBJECT_SHARES], generator)
    rough = _roughen(objects, generator) & area
    boxed = _bounding_box(objects) & area
    return torch.where(_where(kind == 1, area), rough, torch.where(_where(kind == 2, area), boxed, objects))


def _draw_kinds(num: int, shares: Sequence[float], generator: torch.Generator) -> Tensor:
    """Draw (num,) indices into `shares`, in proportion to them, on the CPU."""
    return torch.multinomial(torch.tensor(shares, dtype=torch.float32), num, replacement=True, generator=generator)


def _where(choice: Tensor, area: Tensor) -> Tensor:
    """Reshape (B,) to (B, 1, 1, 1), on the masks' device, for torch.where."""
    return send(choice, area.device)[:, None, None, None]


def _last_usable(masks: Sequence[Tensor], area: Tensor) -> Tensor:
    """For each sample the last mask that hides MIN_PART of the picture and leaves as much visible; else the first."""
    chosen, whole = masks[0], area.sum(dim=(1, 2, 3))
    for mask in masks[1:]:
        hidden = mask.sum(dim=(1, 2, 3))
        usable = (hidden >= MIN_PART * whole) & (whole - hidden >= MIN_PART * whole) & (hidden > 0)
        chosen = torch.where(_where(usable, area), mask, chosen)
    return chosen


def _draw_grids(
    num: int, config: MaskConfig, generator: torch.Generator, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw the number of cells along a side (B, 1), and for each cell two numbers in [0, 1) (B, most, most).

    The first decides whether a cell is hidden, the second breaks ties between cells.
    """
    most = config.max_cells
    num_cells = torch.randint(config.min_cells, most + 1, (num, 1), generator=generator)
    chance, tie = torch.rand(2, num, most, most, generator=generator)
    return send(num_cells, device), send(chance, device), send(tie, device)


def _count_pixels(area: Tensor, cell_of_line: Tensor, most: int) -> Tensor:
    """Count the picture's pixels in each cell: (B, most, most).

    area: (B, S, S) bool; cell_of_line: (B, S), the cell of each row, and of each column.
    """
    belongs = (cell_of_line[:, None] == torch.arange(most, device=area.device)[:, None]).float()
    return belongs @ area.float() @ belongs.mT


def _count_points(points: Tensor, num_cells: Tensor, most: int) -> Tensor:
    """Count the points (B, K, 2) in each cell: (B, most, most), rows first."""
    inside = ((points >= 0) & (points < 1)).all(dim=2)
    column, row = (points.nan_to_num() * num_cells[:, :, None]).long().unbind(dim=2)
    index = torch.where(inside, row * most + column, most * most)
    counts = points.new_zeros(len(points), most * most + 1).scatter_add_(1, index, inside.to(points))
    return counts[:, :-1].view(-1, most, most)


def _densest_cells(num_points: Tensor, num_pixels: Tensor, tie: Tensor) -> Tensor:
    """(B, most, most) bool: the NUM_DENSEST cells of each sample with the most points.

    Ties are broken at random, and cells that the picture does not reach come last.
    """
    density = num_points + tie / 2 + (num_pixels > 0)
    rank = density.flatten(1).argsort(dim=1, descending=True).argsort(dim=1)
    return (rank < NUM_DENSEST).view_as(num_points)


def _hiding_probs(is_hot: Tensor, num_points: Tensor, config: MaskConfig) -> Tensor:
    """(B, most, most): the probability that each cell is hidden, equal for all cells of a sample with few points."""
    probs = torch.where(is_hot, config.keypoint_cell_prob, config.other_cell_prob)
    has_few = num_points.sum(dim=(1, 2), keepdim=True) < config.min_keypoints
    return torch.where(has_few, config.uniform_cell_prob, probs)


def _keep_both(is_hidden: Tensor, num_pixels: Tensor, tie: Tensor) -> Tensor:
    """Flip one cell of a sample whose picture is hidden as a whole, or not at all; all are (B, most, most).

    The cell is drawn among those that hold at least half as many of the picture's pixels as any other cell.
    """
    is_uniform = ((num_pixels * is_hidden).sum(dim=(1, 2)) == 0) | ((num_pixels * ~is_hidden).sum(dim=(1, 2)) == 0)
    is_large = num_pixels >= num_pixels.amax(dim=(1, 2), keepdim=True) / 2
    chosen = torch.where(is_large, tie, -1.0).flatten(1).argmax(dim=1)
    is_chosen = torch.arange(num_pixels[0].numel(), device=num_pixels.device) == chosen[:, None]
    return is_hidden ^ (is_chosen & is_uniform[:, None]).view_as(is_hidden)


def _paint_cells(is_hidden: Tensor, cell_of_line: Tensor) -> Tensor:
    """Draw cells (B, most, most) as masks (B, 1, S, S); cell_of_line: (B, S), the cell of each row and column."""
    sample = torch.arange(len(is_hidden), device=is_hidden.device)[:, None, None]
    return is_hidden[sample, cell_of_line[:, :, None], cell_of_line[:, None, :]][:, None]


def _halve_if_uniform(masks: Tensor, area: Tensor) -> Tensor:
    """Hide the left half of a picture that a mask hides as a whole or not at all, as it lies within one cell."""
    has_both = masks.flatten(1).any(dim=1) & (area & ~masks).flatten(1).any(dim=1)
    return torch.where(_where(has_both, area), masks, _left_half(area))


def _left_half(area: Tensor) -> Tensor:
    """The left columns of a picture, up to half of its pixels: (B, 1, S, S)."""
    num_pixels = area.sum(dim=2).cumsum(dim=-1)
    return (2 * num_pixels <= num_pixels[..., -1:])[:, :, None, :] & area


def _bounds(mask: Tensor) -> tuple[Tensor, Tensor]:
    """First x and y of a mask (B, 1, S, S), and its width and height, in pixels: (B, 2) each."""
    lines = torch.stack([mask.any(dim=2), mask.any(dim=3)], dim=2)[:, 0].int()
    first = lines.argmax(dim=2)
    last = lines.shape[-1] - 1 - lines.flip(-1).argmax(dim=2)
    return first.float(), (last - first + 1).float()


def _relative_pixels(mask: Tensor) -> tuple[Tensor, Tensor]:
    """x and y of pixel centres, (B, S) each, relative to the mask's bounding box, where they lie in [0, 1]."""
    first, extent = _bounds(mask)
    centres = torch.arange(mask.shape[-1], device=mask.device) + 0.5
    along_x, along_y = ((centres - first[..., None]) / extent[..., None]).unbind(dim=1)
    return along_x, along_y


def _bounding_box(mask: Tensor) -> Tensor:
    """Fill the bounding box of each sample's mask (B, 1, S, S); empty for an empty mask.

    This works on a whole batch on its device; `pictures.mask_geometry` takes one mask on the CPU.
    """
    along_x, along_y = ((along >= 0) & (along <= 1) for along in _relative_pixels(mask))
    return (along_y[:, :, None] & along_x[:, None, :])[:, None] & mask.flatten(1).any(dim=1)[:, None, None, None]


def _distance_to_strokes(vertices: Tensor, radius: Tensor, size: int) -> Tensor:
    """Distance to the edge of the nearest stroke, (B, size, size), negative inside; the square's side is 1.

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
            # Strokes that are not drawn have a negative radius.
            nearest = torch.where(thickness[:, None, None] > 0, torch.minimum(nearest, distance), nearest)
    return nearest


def _roughen(mask: Tensor, generator: torch.Generator) -> Tensor:
    """Grow a mask (B, 1, S, S) unevenly: blur it, and threshold it at levels that vary over the picture.

    The result contains the mask. The release dilates and erodes patches one by one, up to 250 times a picture, which
    would be slow for a batch on a GPU.
    """
    size, coarse = mask.shape[-1], min(COARSE, mask.shape[-1])
    blur = torch.rand(len(mask), 1, generator=generator)
    level = torch.rand(len(mask), 1, NUM_WAVES, NUM_WAVES, generator=generator)
    blur = coarse * (OUTLINE_BLURS[0] + (OUTLINE_BLURS[1] - OUTLINE_BLURS[0]) * blur)
    # The kernel is made on the CPU: kornia's own blur reads the deviations, for which the host would wait.
    kernel = kornia.filters.get_gaussian_kernel1d(2 * int(3 * OUTLINE_BLURS[1] * coarse) + 1, blur)
    kernel = send(kernel, mask.device)
    small = F.interpolate(mask.float(), (coarse, coarse), mode="area")
    blurred = kornia.filters.filter2d_separable(small, kernel, kernel, border_type="replicate")
    level = OUTLINE_LEVELS[0] + (OUTLINE_LEVELS[1] - OUTLINE_LEVELS[0]) * _enlarge(send(level, mask.device), coarse)
    return (_enlarge(blurred - level, size) > 0) & mask.flatten(1).any(dim=1)[:, None, None, None] | mask


def _enlarge(field: Tensor, size: int) -> Tensor:
    """Resize (B, C, h, w) to (B, C, size, size), bilinearly."""
    return F.interpolate(field, (size, size), mode="bilinear", align_corners=False)

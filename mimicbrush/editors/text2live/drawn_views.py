"""Random draws of the views by which CLIP sees a picture, and of the crop on which a step optimises.

Drawing is apart from applying, so that a step is determined by its draws alone.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch

from mimicbrush.editors.text2live.settings import Text2LiveSettings, ViewChanges

Box = tuple[int, int, int, int]
"""Top, left, height and width in pixels."""
ColourChange = tuple[Literal["brightness", "contrast", "saturation", "hue"], float]
"""A change of colours and its factor; hue is a shift in turns."""

JITTER = 0.1
"""Largest change of brightness, contrast and saturation, and largest shift of hue in turns."""
MIN_VIEW = 0.6
"""Smallest side of a random crop for CLIP, as a share of the picture's."""
MIRROR_PROB, TURN_PROB = 0.5, 0.8
TILT_PROB, JITTER_PROB, GREY_PROB = 0.5, 0.7, 0.15
"""Probabilities of changes of views; the last three are those of the released ones alone."""
MAX_DEGREES = 15.0
MAX_SHIFT = 0.1
"""Largest shift of a turned view, as a share of its sides."""
DISTORTION = 0.4
"""Largest shift of the corners of a tilted view, as a share of half its sides."""


class View(NamedTuple):
    """One view of a picture for CLIP; its parts are applied in this order."""

    size: tuple[int, int]
    """Height and width of the result."""
    crop: Box | None = None
    """Part of the picture that is resized to the size; None: the whole picture."""
    is_mirrored: bool = False
    turn: tuple[float, tuple[int, int]] | None = None
    """Angle in degrees, clockwise, and shift to the right and down in pixels."""
    tilt: tuple[tuple[int, int], ...] | None = None
    """New places (x, y) of the corners, clockwise from the upper left."""
    colours: tuple[ColourChange, ...] = ()
    is_grey: bool = False


class DrawnCrop(NamedTuple):
    """Random crop of the source on which a step optimises; its parts are applied in this order."""

    size: tuple[int, int]
    """Height and width to which the whole picture is resized before the crop."""
    crop: Box | None = None
    """Part that is kept; None: all."""
    colours: tuple[ColourChange, ...] = ()
    is_mirrored: bool = False


def view_size(height: int, width: int, *, shorter: int, longest: int) -> tuple[int, int]:
    """Size of a picture whose shorter side becomes `shorter`, unless the other one would exceed `longest`.

    A picture whose shorter side already is `shorter` keeps its size, whatever its longer side, as in the release.
    """
    short, long = sorted((height, width))
    if short == shorter:
        return height, width
    new_short, new_long = shorter, int(shorter * long / short)
    if new_long > longest:
        new_short, new_long = int(longest * new_short / new_long), longest
    return (new_short, new_long) if height <= width else (new_long, new_short)


def draw_views(
    height: int,
    width: int,
    *,
    size: tuple[int, int],
    num_views: int,
    changes: ViewChanges = "released",
    generator: torch.Generator,
) -> list[View]:
    """Draw the views of a picture: the whole one first, then random crops, all of one size."""
    views = []
    for number in range(num_views):
        crop = None
        if number:
            share = _uniform(MIN_VIEW, 1, generator)
            crop = draw_box(height, width, int(height * share), int(width * share), generator)
        view = _draw_changes(size, crop, generator)
        views.append(view if changes == "released" else view._replace(tilt=None, colours=(), is_grey=False))
    return views


def draw_crop(height: int, width: int, settings: Text2LiveSettings, generator: torch.Generator) -> DrawnCrop:
    """Draw the crop of a step from a picture of this size."""
    colours = draw_colours(generator) if happens(settings.jitter_prob, generator) else ()
    is_mirrored = happens(settings.flip_prob, generator)
    factor = _uniform(settings.min_scale, settings.max_scale, generator)
    height, width = int(height * factor), int(width * factor)
    cover = _uniform(settings.min_cover, 1, generator)
    crop = None if cover == 1 else draw_box(height, width, int(height * cover), int(width * cover), generator)
    return DrawnCrop((height, width), crop, colours, is_mirrored)


def smallest_crop(height: int, width: int, settings: Text2LiveSettings) -> int:
    """Shorter side of the smallest crop that `draw_crop` may draw."""
    return int(int(min(height, width) * settings.min_scale) * settings.min_cover)


def draw_texts(num_texts: int, generator: torch.Generator) -> list[int]:
    """Draw how many of the texts to use, then as many of their numbers, with repeats."""
    num = int(torch.randint(1, num_texts + 1, (), generator=generator))
    return torch.randint(num_texts, (num,), generator=generator).tolist()


def _draw_changes(size: tuple[int, int], crop: Box | None, generator: torch.Generator) -> View:
    height, width = size
    is_mirrored = happens(MIRROR_PROB, generator)
    turn = tilt = None
    if happens(TURN_PROB, generator):
        angle = _uniform(-MAX_DEGREES, MAX_DEGREES, generator)
        shift = tuple(round(_uniform(-MAX_SHIFT * side, MAX_SHIFT * side, generator)) for side in (width, height))
        turn = angle, shift
    if happens(TILT_PROB, generator):
        tilt = _draw_corners(height, width, generator)
    colours = draw_colours(generator) if happens(JITTER_PROB, generator) else ()
    return View(size, crop, is_mirrored, turn, tilt, colours, happens(GREY_PROB, generator))


def _draw_corners(height: int, width: int, generator: torch.Generator) -> tuple[tuple[int, int], ...]:
    """Move the corners of a picture inwards, each by a random whole number of pixels."""
    most_x, most_y = int(DISTORTION * (width // 2)), int(DISTORTION * (height // 2))
    x, y = (torch.randint(0, most + 1, (4,), generator=generator).tolist() for most in (most_x, most_y))
    right, bottom = width - 1, height - 1
    return (x[0], y[0]), (right - x[1], y[1]), (right - x[2], bottom - y[2]), (x[3], bottom - y[3])


def draw_colours(generator: torch.Generator) -> tuple[ColourChange, ...]:
    """Draw a change of brightness, contrast, saturation and hue, in random order."""
    changes = [(name, _uniform(1 - JITTER, 1 + JITTER, generator)) for name in ("brightness", "contrast", "saturation")]
    changes.append(("hue", _uniform(-JITTER, JITTER, generator)))
    return tuple(changes[number] for number in torch.randperm(len(changes), generator=generator).tolist())


def draw_box(height: int, width: int, new_height: int, new_width: int, generator: torch.Generator) -> Box:
    """Draw a box of the new size at a uniform place."""
    top, left = (
        int(torch.randint(most + 1, (), generator=generator)) for most in (height - new_height, width - new_width)
    )
    return top, left, new_height, new_width


def _uniform(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def happens(probability: float, generator: torch.Generator) -> bool:
    """Draw whether something of this probability happens."""
    return float(torch.rand((), generator=generator)) < probability

"""All random draws of one optimisation step on a clip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from mimicbrush.editors.text2live.clip_settings import ClipLayerSettings
from mimicbrush.editors.text2live.drawn_views import Box, ColourChange, draw_box, draw_colours, happens
from mimicbrush.editors.text2live.step_draws import LossDraws, TextNumbers, draw_losses
from mimicbrush.seeds import seed_of


class FrameCrop(NamedTuple):
    """A crop of one frame, and the change of its colours."""

    frame: int
    box: Box
    colours: tuple[ColourChange, ...] = ()


class ClipStepDraws(NamedTuple):
    """The frames and crops of a step, and the draws of the losses on them."""

    crops: tuple[FrameCrop, ...]
    """Crops of three frames at equal distances."""
    atlas_colours: tuple[ColourChange, ...]
    """Change of the colours of the atlas crop that shows the same."""
    is_mirrored: bool
    direct: int
    """Which of the crops the network also sees directly, not through the atlas."""
    has_whole: bool
    """Whether the whole atlas joins them."""
    losses: LossDraws


def draw_clip_step(
    step: int,
    *,
    boxes: Sequence[Box],
    whole_size: tuple[int, int],
    clip_size: int,
    num_texts: TextNumbers,
    settings: ClipLayerSettings,
    seed: int,
) -> ClipStepDraws:
    """Draw a step from the seed and its number alone, so that a resumed run draws the same.

    boxes: the box of every frame from which crops are drawn; whole_size: of the picture of the whole atlas;
    clip_size: side of CLIP's own pictures.
    """
    generator = torch.Generator().manual_seed(seed_of(seed, "text2live clip", step))
    distance = settings.frame_distance
    middle = int(torch.randint(distance, len(boxes) - distance, (), generator=generator))
    frames = (middle - distance, middle, middle + distance)
    if settings.atlas_layer == "background":
        crop, colours = _draw_crop(boxes[middle], settings, generator), _draw_jitter(settings, generator)
        crops = tuple(FrameCrop(frame, crop, colours) for frame in frames)
    else:
        crops = tuple(
            FrameCrop(frame, _draw_crop(boxes[frame], settings, generator), _draw_jitter(settings, generator))
            for frame in frames
        )
    atlas_colours = _draw_jitter(settings, generator)
    is_mirrored = happens(settings.flip_prob, generator)
    direct = int(torch.randint(len(crops), (), generator=generator))
    has_whole = (step + 1) % settings.whole_every == 0
    sizes = [crop.box[2:] for crop in (*crops, crops[direct])] + [whole_size] * has_whole
    losses = draw_losses(sizes, clip_size=clip_size, num_texts=num_texts, settings=settings, generator=generator)
    return ClipStepDraws(crops, atlas_colours, is_mirrored, direct, has_whole, losses)


def _draw_crop(box: Box, settings: ClipLayerSettings, generator: torch.Generator) -> Box:
    """Draw a crop within a box of a frame.

    Each side is drawn from its own length. The released code draws the width of background crops from the longer side,
    and fails for portrait clips.
    """
    top, left, *sides = box
    height, width = (
        max(int(torch.randint(round(settings.min_cover * side), side + 1, (), generator=generator)), settings.min_side)
        for side in sides
    )
    inner_top, inner_left, height, width = draw_box(*sides, height, width, generator)
    return top + inner_top, left + inner_left, height, width


def _draw_jitter(settings: ClipLayerSettings, generator: torch.Generator) -> tuple[ColourChange, ...]:
    return draw_colours(generator) if happens(settings.jitter_prob, generator) else ()

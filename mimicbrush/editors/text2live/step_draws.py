"""All random draws of one optimisation step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from mimicbrush.editors.text2live.drawn_views import DrawnCrop, View, draw_crop, draw_texts, draw_views, view_size
from mimicbrush.editors.text2live.settings import Text2LiveSettings
from mimicbrush.seeds import seed_of

NATIVE = 224
"""Side of the pictures of the released CLIPs, to which the next two numbers belong."""
MAX_VIEW_SIDE = 320
"""Longest side of a view."""
MAX_STRUCTURE_SIDE = 380
"""Longest side of a picture whose structure is compared."""


class TextNumbers(NamedTuple):
    """Numbers of texts that CLIP's text encoder has embedded."""

    composition: int
    source: int
    screen: int


class LossDraws(NamedTuple):
    """Chosen texts by number, and views for each item of the step: the crop, and the whole picture where it is one."""

    composition_texts: list[int]
    composition_views: list[list[View]]
    direction_texts: list[int]
    """Numbers of both source and composition texts."""
    source_views: list[list[View]]
    edited_views: list[list[View]]
    screen_texts: list[int]
    screen_views: list[list[View]]


class StepDraws(NamedTuple):
    """The crop of a step, whether the whole picture joins it, and the draws of the losses."""

    crop: DrawnCrop
    has_whole: bool
    losses: LossDraws


def draw_step(
    step: int,
    *,
    picture_size: tuple[int, int],
    clip_size: int,
    num_texts: TextNumbers,
    settings: Text2LiveSettings,
    seed: int,
) -> StepDraws:
    """Draw a step from the seed and its number alone, so that a resumed run draws the same."""
    generator = torch.Generator().manual_seed(seed_of(seed, "text2live", step))
    crop = draw_crop(*picture_size, settings, generator)
    has_whole = step % settings.whole_every == 0
    sizes = [crop.crop[2:] if crop.crop else crop.size, *([picture_size] if has_whole else [])]
    losses = draw_losses(sizes, clip_size=clip_size, num_texts=num_texts, settings=settings, generator=generator)
    return StepDraws(crop, has_whole, losses)


def draw_losses(
    sizes: Sequence[tuple[int, int]],
    *,
    clip_size: int,
    num_texts: TextNumbers,
    settings: Text2LiveSettings,
    generator: torch.Generator,
) -> LossDraws:
    """Draw texts and views for a step whose items have these sizes (height, width)."""

    def draw() -> list[list[View]]:
        return [
            draw_views(
                *size,
                size=view_size_for(*size, clip_size=clip_size),
                num_views=settings.num_views,
                changes=settings.view_changes,
                generator=generator,
            )
            for size in sizes
        ]

    num_directions = min(num_texts.source, num_texts.composition)
    return LossDraws(
        composition_texts=draw_texts(num_texts.composition, generator),
        composition_views=draw(),
        direction_texts=draw_texts(num_directions, generator) if num_directions else [],
        source_views=draw() if num_directions else [],
        edited_views=draw() if num_directions else [],
        screen_texts=draw_texts(num_texts.screen, generator),
        screen_views=draw(),
    )


def view_size_for(height: int, width: int, *, clip_size: int) -> tuple[int, int]:
    """Size of the views of a picture for a CLIP of this size."""
    return view_size(height, width, shorter=clip_size, longest=MAX_VIEW_SIDE * clip_size // NATIVE)


def structure_size_for(height: int, width: int, *, clip_size: int) -> tuple[int, int]:
    """Size at which the structure of a picture is compared by a CLIP of this size."""
    return view_size(height, width, shorter=clip_size, longest=MAX_STRUCTURE_SIDE * clip_size // NATIVE)

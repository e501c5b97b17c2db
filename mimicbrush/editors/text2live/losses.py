"""The losses of Text2LIVE on one step's items (paper, section 3; released code where they differ)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mimicbrush.editors.text2live.applied_views import apply_views, resize_plain
from mimicbrush.editors.text2live.clip_guide import ClipGuide
from mimicbrush.editors.text2live.drawn_views import View
from mimicbrush.editors.text2live.relevancy import relevancy_maps
from mimicbrush.editors.text2live.settings import Distance, Text2LiveSettings
from mimicbrush.editors.text2live.step_draws import LossDraws, TextNumbers, structure_size_for
from mimicbrush.pictures.conversion import draw_over

GREEN = (0.0, 177 / 255, 64 / 255)
"""Colour of the screen behind the layer."""
EXPONENTIAL_FALL = 0.99
"""Factor of the bootstrap loss's weight after each step of the exponential schedule."""

PictureViews = tuple[Tensor, list[View]]
"""A picture (1, 3, H, W) with its views."""


@dataclass(frozen=True, eq=False)
class Item:
    """A picture (1, 3, H, W) with the layer (1, 4, H, W) drawn over it, and the region (1, 1, H, W) of the mask.

    The losses read only names that `clip_layer.MappedItem` has as well.
    """

    source: Tensor
    layer: Tensor
    region: Tensor | None = None

    @property
    def opacity(self) -> Tensor:
        return self.layer[:, 3:]

    @cached_property
    def composite(self) -> Tensor:
        return draw_over(self.layer, self.source)

    @property
    def on_green(self) -> Tensor:
        return on_green(self.layer)


class TextEmbeddings(NamedTuple):
    """Embeddings (N, D) of the texts in their templates; empty (0, D) where there are none."""

    composition: Tensor
    source: Tensor
    screen: Tensor
    region: Tensor
    negative: Tensor

    @property
    def numbers(self) -> TextNumbers:
        return TextNumbers(len(self.composition), len(self.source), len(self.screen))


class LayerLosses:
    """Computes the losses of a step with one CLIP.

    num_bootstrap_steps: first steps with the bootstrap loss.
    """

    def __init__(
        self, guide: ClipGuide, texts: TextEmbeddings, settings: Text2LiveSettings, *, num_bootstrap_steps: int
    ) -> None:
        self.guide = guide
        self.texts = texts
        self.settings = settings
        self.num_bootstrap_steps = num_bootstrap_steps

    def __call__(self, items: Sequence[Item], draws: LossDraws, step: int) -> dict[str, Tensor]:
        """Return every loss by name, without its weight; one whose weight is 0 is left out."""
        settings, losses = self.settings, {}
        if bootstrap_weight(settings, step, self.num_bootstrap_steps) > 0:
            losses["bootstrap"] = self._bootstrap(items)
        if settings.structure_weight:
            losses["structure"] = torch.stack([self._structure(item) for item in items]).mean()
        losses |= self._similarities(items, draws)
        if settings.sparsity_weight:
            losses["sparsity"] = torch.stack([sparsity(item.opacity, settings) for item in items]).mean()
        return losses

    def total(self, losses: Mapping[str, Tensor], step: int) -> Tensor:
        """Sum of the losses with their weights at a step."""
        weights = loss_weights(self.settings, step, self.num_bootstrap_steps)
        return sum(weights[name] * loss for name, loss in losses.items())

    def _similarities(self, items: Sequence[Item], draws: LossDraws) -> dict[str, Tensor]:
        """The losses on embeddings of views; all views of one size are embedded in one batch."""
        views: dict[str, list[PictureViews]] = {}
        if self.settings.composition_weight:
            composites = [item.composite for item in items]
            views["composition"] = list(zip(composites, draws.composition_views, strict=True))
            if draws.direction_texts:
                views["direction"] = list(zip(composites, draws.edited_views, strict=True))
        if self.settings.screen_weight:
            views["screen"] = list(zip([item.on_green for item in items], draws.screen_views, strict=True))
        embedded = dict(zip(views, self._embed_views(list(views.values())), strict=True))
        losses = {}
        for name, texts, numbers in (
            ("composition", self.texts.composition, draws.composition_texts),
            ("screen", self.texts.screen, draws.screen_texts),
        ):
            if name in embedded:
                distances = [distance(each, texts[numbers], self.settings.distance) for each in embedded[name]]
                losses[name] = torch.stack(distances).mean()
        if "direction" in embedded:
            losses["direction"] = self._direction(items, embedded["direction"], draws)
        return losses

    def _direction(self, items: Sequence[Item], edited: Sequence[Tensor], draws: LossDraws) -> Tensor:
        """One minus the cosine between the change of the picture's embedding and that of the texts'."""
        with torch.no_grad():
            views = list(zip([item.source for item in items], draws.source_views, strict=True))
            (sources,) = self._embed_views([views])
        numbers = draws.direction_texts
        directions = self.texts.composition[numbers] - self.texts.source[numbers]
        cosines = [
            F.cosine_similarity((after - before)[:, None], directions[None], dim=-1).mean()
            for after, before in zip(edited, sources, strict=True)
        ]
        return 1 - torch.stack(cosines).mean()

    def _embed_views(self, requests: Sequence[Sequence[PictureViews]]) -> list[list[Tensor]]:
        """Embeddings (views, D) of pictures' views, in one batch for each size; in the order of the requests."""
        flat = [pair for request in requests for pair in request]
        by_size: dict[tuple[int, int], list[int]] = {}
        for number, (_, views) in enumerate(flat):
            by_size.setdefault(views[0].size, []).append(number)
        found: dict[int, Tensor] = {}
        for numbers in by_size.values():
            pictures, views = zip(*(flat[number] for number in numbers), strict=True)
            batch = apply_views(pictures, views, fill=self.settings.view_fill, antialias=self.settings.antialias)
            embeddings = self.guide.embed(batch).split([len(of_picture) for of_picture in views])
            found |= zip(numbers, embeddings, strict=True)
        ordered = iter(found[number] for number in range(len(flat)))
        return [[next(ordered) for _ in request] for request in requests]

    def _structure(self, item: Item) -> Tensor:
        """Mean squared difference of the self-similarities of CLIP's tokens."""
        with torch.no_grad():
            kept = self.self_similarity(item.source)
        return F.mse_loss(self.self_similarity(item.composite), kept)

    def self_similarity(self, picture: Tensor) -> Tensor:
        """Cosines (1, N, N) between the tokens before CLIP's last block."""
        size = structure_size_for(*picture.shape[-2:], clip_size=self.guide.image_size)
        resized = resize_plain(picture, size, antialias=self.settings.antialias)
        tokens = F.normalize(self.guide.tokens_before_last_block(resized).float(), dim=-1)
        return tokens @ tokens.transpose(1, 2)

    def _bootstrap(self, items: Sequence[Item]) -> Tensor:
        """Distance of the opacity from the region to edit.

        As in the release, the last item counts alone, divided by the number of items.
        """
        item, side = items[-1], self.guide.image_size
        opacity = resize_plain(item.opacity, (side, side))
        picture = resize_plain(item.source, (side, side))
        num_blocks = self.settings.num_relevancy_blocks
        region = self.region_of(picture) if item.region is None else resize_plain(item.region, (side, side))
        loss = F.mse_loss(opacity, region)
        if len(self.texts.negative):
            maps = relevancy_maps(self.guide, picture, self.texts.negative, num_blocks=num_blocks)
            strong = (maps > self.settings.negative_threshold).to(maps)
            loss = loss + ((1 - opacity) * strong - maps * strong).square().mean()
        return loss / len(items)

    def region_of(self, picture: Tensor) -> Tensor:
        """Where in a picture (1, 3, H, W) the region prompts are found: (1, 1, S, S) at CLIP's size, in [0, 1]."""
        side, num_blocks = self.guide.image_size, self.settings.num_relevancy_blocks
        maps = relevancy_maps(self.guide, resize_plain(picture, (side, side)), self.texts.region, num_blocks=num_blocks)
        return maps.mean(dim=0, keepdim=True)


def on_green(layer: Tensor) -> Tensor:
    """Draw a layer (1, 4, H, W) over a green screen: (1, 3, H, W)."""
    return draw_over(layer, layer.new_tensor(GREEN).reshape(1, 3, 1, 1))


def distance(pictures: Tensor, texts: Tensor, kind: Distance) -> Tensor:
    """Mean distance between all embeddings (V, D) of pictures and (N, D) of texts."""
    pictures, texts = F.normalize(pictures, dim=-1), F.normalize(texts, dim=-1)
    if kind == "cosine":
        return 1.2 * (1 - (pictures @ texts.T).mean())
    chords = (pictures[:, None] - texts[None]).norm(dim=-1)
    return (2 * torch.arcsin(chords / 2).square()).mean()


def sparsity(opacity: Tensor, settings: Text2LiveSettings) -> Tensor:
    """Weighted sum of the mean opacity and a smooth count of opaque pixels."""
    count = (2 * torch.sigmoid(5 * opacity) - 1).mean()
    return settings.opacity_l1_weight * opacity.mean() + settings.opacity_l0_weight * count


def bootstrap_weight(settings: Text2LiveSettings, step: int, num_bootstrap_steps: int) -> float:
    """Weight of the bootstrap loss at a step, 0 after the last one."""
    if step >= num_bootstrap_steps or settings.bootstrap_weight == 0:
        return 0.0
    fall = {
        "linear": 1 - (step + 1) / num_bootstrap_steps,
        "exponential": EXPONENTIAL_FALL ** (step + 1),
        "constant": 1.0,
    }[settings.bootstrap_schedule]
    return max(settings.min_bootstrap_weight, settings.bootstrap_weight * fall)


def loss_weights(settings: Text2LiveSettings, step: int, num_bootstrap_steps: int) -> dict[str, float]:
    """Weight of every loss at a step, by name."""
    return {
        "bootstrap": bootstrap_weight(settings, step, num_bootstrap_steps),
        "structure": settings.structure_weight,
        "composition": settings.composition_weight,
        "direction": settings.composition_weight,
        "screen": settings.screen_weight,
        "sparsity": settings.sparsity_weight,
    }

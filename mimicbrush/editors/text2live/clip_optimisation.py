"""Optimise the layer's network on the atlas of a clip."""

from __future__ import annotations

import torch
from torch import Tensor

from mimicbrush.editors.text2live.clip_draws import ClipStepDraws, draw_clip_step
from mimicbrush.editors.text2live.clip_layer import ClipLayer, MappedItem
from mimicbrush.editors.text2live.clip_settings import ClipLayerSettings
from mimicbrush.editors.text2live.layer_network import LayerNetwork
from mimicbrush.editors.text2live.layer_optimisation import LayerOptimisation
from mimicbrush.editors.text2live.losses import Item, LayerLosses


class ClipOptimisation(LayerOptimisation):
    """One optimisation of a layer of a clip; its steps see the atlas and three frames."""

    def __init__(
        self,
        network: LayerNetwork,
        losses: LayerLosses,
        layer: ClipLayer,
        settings: ClipLayerSettings,
        *,
        seed: int,
        device: torch.device,
    ) -> None:
        super().__init__(network, losses, None, settings, seed=seed, device=device)
        self.layer = layer

    def draw(self, step: int) -> ClipStepDraws:
        return draw_clip_step(
            step,
            boxes=self.layer.boxes,
            whole_size=tuple(self.layer.whole_item.shape[-2:]),
            clip_size=self.losses.guide.image_size,
            num_texts=self.losses.texts.numbers,
            settings=self.settings,
            seed=self.seed,
        )

    def make_items(self, draws: ClipStepDraws) -> list[Item | MappedItem]:
        return self.layer.make_items(self.draw_layer, draws)

    @torch.no_grad()
    def render(self) -> Tensor:
        """The layer (T, 4, H, W) of every frame, with the weights of now."""
        return self.layer.finish(self.draw_layer)

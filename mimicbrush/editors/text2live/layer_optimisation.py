"""Optimise the layer's network on crops of one source."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mimicbrush.editors.text2live.internal_crops import apply_crop, crop_places
from mimicbrush.editors.text2live.layer_network import LayerNetwork
from mimicbrush.editors.text2live.losses import Item, LayerLosses, bootstrap_weight
from mimicbrush.editors.text2live.madgrad import Madgrad
from mimicbrush.editors.text2live.settings import Text2LiveSettings
from mimicbrush.editors.text2live.step_draws import StepDraws, draw_step
from mimicbrush.editors.text2live.texture_search import search_texture
from mimicbrush.errors import UserError
from mimicbrush.pictures.conversion import to_channels
from mimicbrush.run_state import RunState, undisturbed
from mimicbrush.seeds import seed_of

OnStep = Callable[[int, bool], None]
"""Receives the number of a finished step and whether it is the last."""


class WorkingPicture(NamedTuple):
    """The source at the size of the optimisation, in 8 bits as in the release, and its mask."""

    source: Image.Image
    mask: Image.Image | None = None
    is_limit: bool = False
    """Whether nothing is drawn outside the mask."""
    is_guide: bool = False
    """Whether the opacity is drawn to the mask."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.source.height, self.source.width


class LayerOptimisation:
    """One optimisation: its network, its optimiser, and the losses of the steps so far.

    picture: the still that the layer is drawn over; None in a subclass that replaces `draw`, `make_items` and `render`.
    """

    def __init__(
        self,
        network: LayerNetwork,
        losses: LayerLosses,
        picture: WorkingPicture | None,
        settings: Text2LiveSettings,
        *,
        seed: int,
        device: torch.device,
    ) -> None:
        self.network = network.to(device)
        self.losses = losses
        self.picture = picture
        self.settings = settings
        self.seed = seed
        self.device = device
        self.optimizer = Madgrad(network.parameters(), lr=settings.learning_rate)
        self.history: list[float] = []
        """Sum of the weighted losses of each step, without that on the region, whose weight changes."""

    def run(self, on_step: OnStep, state: RunState | None = None) -> None:
        """Run the remaining steps; the state is written now and then, and whenever the run ends or is stopped."""
        if state and (stored := state.read()):
            self.load_state_dict(stored)
        elif self.network.colours is not None:
            self.choose_start()
        try:
            while not self.is_finished:
                self.run_step(self.draw(len(self.history)))
                on_step(len(self.history) - 1, self.is_finished)
                if state and state.is_due:
                    self._write(state)
        finally:
            if state and self.history:
                self._write(state)

    @property
    def is_finished(self) -> bool:
        settings = self.settings
        return len(self.history) >= settings.num_steps or stands_still(
            self.history, settings.patience, settings.min_improvement
        )

    def choose_start(self) -> None:
        """Search the texture from which the layer starts, on the region to edit."""
        source, mask = self.whole_picture()
        region = mask if self.picture.is_guide else self.losses.region_of(source)
        colours, shares = search_texture(
            self.losses.guide,
            self.losses.texts.composition,
            source,
            region,
            num=self.settings.num_starts,
            side=self.settings.canvas_side,
            generator=torch.Generator().manual_seed(seed_of(self.seed, "text2live start")),
        )
        self.network.start_from(colours, shares, region)

    def draw(self, step: int) -> StepDraws:
        return draw_step(
            step,
            picture_size=self.picture.size,
            clip_size=self.losses.guide.image_size,
            num_texts=self.losses.texts.numbers,
            settings=self.settings,
            seed=self.seed,
        )

    def run_step(self, draws: StepDraws) -> Mapping[str, float]:
        """Run the next step and return its losses without their weights, and their weighted sum as `total`."""
        step = len(self.history)
        losses = self.losses(self.make_items(draws), draws.losses, step)
        if not losses:
            raise UserError(
                f"no loss has a weight above 0 at step {step + 1}; raise composition_weight, structure_weight or"
                " screen_weight"
            )
        total = self.losses.total(losses, step)
        self.optimizer.zero_grad()
        total.backward()
        values = {name: loss.item() for name, loss in (losses | {"total": total}).items()}
        if not math.isfinite(values["total"]):
            advice = "lower learning_rate, or compute in float32"
            if not step:
                advice = "compute in float32, or copy the CLIP's weights again"
            raise UserError(f"the loss is {values['total']} at step {step + 1}; {advice}")
        with undisturbed():
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(self.settings, step)
            self.optimizer.step()
            weight = bootstrap_weight(self.settings, step, self.losses.num_bootstrap_steps)
            self.history.append(values["total"] - weight * values.get("bootstrap", 0.0))
        return values

    def make_items(self, draws: StepDraws) -> list[Item]:
        """Draw the layer over the crop of a step, and over the whole picture where it is one."""
        crops = [draws.crop, None] if draws.has_whole else [draws.crop]
        items = []
        for crop in crops:
            picture, mask = (
                image if image is None or crop is None else apply_crop(image, crop)
                for image in (self.picture.source, self.picture.mask)
            )
            source = self._to_tensor(picture)
            mask = None if mask is None else self._to_tensor(mask)
            layer = self.draw_layer(source, crop_places(self.picture.size, crop), mask)
            items.append(Item(source, layer, mask if self.picture.is_guide else None))
        return items

    def draw_layer(self, source: Tensor, places: Tensor, mask: Tensor | None = None) -> Tensor:
        """Draw the layer (1, 4, H, W) for a source (1, 3, H, W), within the mask if it is a limit.

        places: coordinates (1, 2, H, W) of its pixels in the whole picture, see `crop_places`.
        """
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.losses.guide.dtype == torch.bfloat16):
            layer = self.network(source, places.to(source))
        if mask is None or not self.picture.is_limit:
            return layer
        return torch.cat([layer[:, :3], layer[:, 3:] * mask], dim=1)

    @torch.no_grad()
    def render(self) -> Tensor:
        """The layer (1, 4, H, W) for the whole picture, with the weights of now."""
        source, mask = self.whole_picture()
        return self.draw_layer(source, crop_places(self.picture.size), mask)

    def whole_picture(self) -> tuple[Tensor, Tensor | None]:
        """The source (1, 3, H, W) and its mask (1, 1, H, W), at the size of the optimisation."""
        mask = self.picture.mask
        return self._to_tensor(self.picture.source), None if mask is None else self._to_tensor(mask)

    def state_dict(self) -> dict:
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": list(self.history),
        }

    def load_state_dict(self, state: dict) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history = list(state["history"])

    def _write(self, state: RunState) -> None:
        """Write the state, unless a step has spoiled the weights: then the last good one is kept."""
        if all(weights.isfinite().all() for weights in self.network.parameters()):
            state.write(self.state_dict())

    def _to_tensor(self, image: Image.Image) -> Tensor:
        levels = np.asarray(image)
        return to_channels(levels if levels.ndim == 3 else levels[..., None])[None].to(self.device)


def learning_rate(settings: Text2LiveSettings, step: int) -> float:
    """Learning rate of a step: it falls by a factor after each step, down to the smallest one."""
    return max(settings.min_learning_rate, settings.learning_rate * settings.learning_rate_decay**step)


def stands_still(history: Sequence[float], patience: int | None, min_improvement: float) -> bool:
    """Whether the mean of the last `patience` losses has hardly improved on that of as many before them."""
    if patience is None or len(history) < 2 * patience:
        return False
    before, now = sum(history[-2 * patience : -patience]) / patience, sum(history[-patience:]) / patience
    return now > before - min_improvement * abs(before)

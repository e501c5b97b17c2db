"""Settings of a Text2LIVE edit; this module does not import torch.

The defaults are those of the released configuration for pictures.
"""

# Annotations are not postponed here: jsonargparse looks for their names in the modules of a config and of its first
# base alone, and takes any value for every field where it does not find one. This class may be a config's second base.
from dataclasses import dataclass, fields
from typing import Literal, get_args

from mimicbrush.errors import Faults

Distance = Literal["spherical", "cosine"]
"""Distance between embeddings of pictures and texts: 2 arcsin(|x - y| / 2)^2 or 1.2 (1 - cos)."""

BootstrapSchedule = Literal["linear", "exponential", "constant"]
"""Weight of the bootstrap loss over the steps: falling to zero at the last one, multiplied by 0.99 each step, or
constant."""

PositionTable = Literal["released", "row_major"]
"""Order of CLIP's resized position table for pictures of other sizes than its own. The released code puts the width
first, although the patches are in row-major order, so that positions of pictures that are not square are scrambled;
row_major resizes the table to the grid of the patches."""

ViewChanges = Literal["released", "mild"]
"""Random changes of the views by which CLIP sees a picture, besides crops. released: mirrored, turned, tilted, in other
colours, and grey; mild: mirrored and turned alone. A small CLIP that was trained without such changes takes other
colours, grey and tilts for other materials, and the layer would be drawn to those."""

MIN_PATIENCE = 2
"""Smallest patience; single steps would compare noise."""
MIN_CANVAS = 16
"""Smallest side of a canvas, whose smallest level has a pixel."""


@dataclass(frozen=True, kw_only=True)
class Text2LiveSettings:
    """Settings of the layer's network, its optimisation and its losses."""

    num_steps: int = 1000
    """Optimiser steps of an edit."""
    resolution: int | None = 512
    """Shorter side in pixels of the picture that the layer is optimised on; the finished layer is resized to the
    source. null: the source's own size."""
    crop_to_mask: bool = False
    """Optimise the layer on a square crop around the mask, so that CLIP sees what is edited in more detail; the release
    knows no masks."""
    context: float = 1.7
    """Side of that crop divided by the longer side of the mask."""
    num_scales: int = 7
    """Scales of the layer's network, each half as large as the one before."""
    num_channels: int = 128
    """Channels of the network at every scale."""
    num_skip_channels: int = 4
    """Channels of the skip connection at every scale."""
    canvas_side: int = 0
    """Side in pixels of a canvas that is stretched over the picture and added to the network's colours, so that a few
    steps can draw patterns that the source does not have; 0: none, as in the release."""
    num_starts: int = 0
    """Random textures of two colours that are tried on the region before the first step. The canvas starts as the one
    that CLIP finds nearest to the prompts; the layer has these two colours, which are optimised, and network and canvas
    draw how they are mixed. Without region prompts and guide it has no effect. 0: none, as in the release."""
    learning_rate: float = 2.5e-3
    """Learning rate of MADGRAD in the first step."""
    learning_rate_decay: float = 0.99
    """Factor of the learning rate after each step."""
    min_learning_rate: float = 1e-5
    """Value at which the learning rate stops falling."""
    patience: int | None = None
    """Steps over which the mean loss must improve on that of as many steps before, or the optimisation ends early;
    null: all steps are run."""
    min_improvement: float = 0.01
    """Smallest relative improvement that `patience` accepts."""

    whole_every: int = 75
    """Steps from one with the whole picture beside the random crop to the next; the first step is one."""
    min_cover: float = 0.85
    """Smallest side of a crop, as a share of the picture's."""
    min_scale: float = 0.8
    """Smallest factor by which the picture is resized before it is cropped."""
    max_scale: float = 1.2
    """Largest factor by which the picture is resized before it is cropped."""
    flip_prob: float = 0.5
    """Probability that the crop is mirrored."""
    jitter_prob: float = 0.1
    """Probability that the colours of the crop are changed by up to 10 %."""

    num_views: int = 16
    """Augmented views by which CLIP sees each picture: the whole one, and random crops."""
    view_changes: ViewChanges = "released"
    """Random changes of these views, besides crops: as in the released code, or mirrored and turned alone (mild)."""
    view_fill: float = 1.0
    """Grey level outside a view that is turned or tilted: 1 is white."""
    antialias: bool = False
    """Antialias where pictures are made smaller for CLIP; the released code does not."""
    position_table: PositionTable = "released"
    """Order of CLIP's position table for pictures that are not square: as in the released code, or corrected
    (row_major)."""

    composition_weight: float = 1.0
    """Weight of the losses that compare the edited picture with its prompts, and the change with the change of
    prompts."""
    structure_weight: float = 2.0
    """Weight of the loss that keeps the self-similarity of CLIP's tokens as in the source."""
    screen_weight: float = 1.0
    """Weight of the loss that compares the layer on a green screen with its prompts."""
    sparsity_weight: float = 6.0
    """Weight of the loss on opacity, the sum of the next two."""
    opacity_l1_weight: float = 0.01
    """Weight of the mean opacity within the sparsity loss."""
    opacity_l0_weight: float = 0.01
    """Weight of the smooth count of opaque pixels within the sparsity loss."""
    distance: Distance = "spherical"
    """Distance between embeddings: spherical or cosine."""

    bootstrap_steps: int | None = None
    """First steps in which the opacity is drawn to the region that the region prompts or a guiding mask give; 0: none;
    null: all steps. Without region and guide it has no effect."""
    bootstrap_weight: float = 10.0
    """Weight of that loss in the beginning."""
    min_bootstrap_weight: float = 0.0
    """Value at which its weight stops falling."""
    bootstrap_schedule: BootstrapSchedule = "linear"
    """Fall of that weight: linear, exponential or constant."""
    num_relevancy_blocks: int = 1
    """Last blocks of CLIP's image encoder whose attention gives the region of a region prompt."""
    negative_threshold: float = 0.6
    """Relevancy above which a negative region prompt pushes the opacity down."""

    def __post_init__(self) -> None:
        faults = Faults()
        self._check_numbers(faults)
        self._check_shares(faults)
        for name, kind in (
            ("distance", Distance),
            ("bootstrap_schedule", BootstrapSchedule),
            ("position_table", PositionTable),
            ("view_changes", ViewChanges),
        ):
            value, allowed = getattr(self, name), get_args(kind)
            faults.check(value in allowed, f"{name} is {value}, expected one of {', '.join(allowed)}")
        faults.refuse()

    @property
    def min_side(self) -> int:
        """Smallest side in pixels of a picture that the network can take."""
        return 2**self.num_scales + 1

    @property
    def settings(self) -> "Text2LiveSettings":
        """Only the fields of Text2LiveSettings, taken from a config that inherits them."""
        return Text2LiveSettings(**{each.name: getattr(self, each.name) for each in fields(Text2LiveSettings)})

    def _check_numbers(self, faults: Faults) -> None:
        least = {"num_steps": 1, "num_scales": 1, "num_channels": 1, "num_skip_channels": 1, "whole_every": 1}
        least |= {"num_views": 1, "num_relevancy_blocks": 1, "resolution": 2, "bootstrap_steps": 0, "num_starts": 0}
        least |= {"patience": MIN_PATIENCE}
        for name, smallest in least.items():
            value = getattr(self, name)
            faults.check(value is None or value >= smallest, f"{name} is {value}, expected at least {smallest}")
        weights = [each.name for each in fields(Text2LiveSettings) if each.name.endswith("_weight")]
        for name in (*weights, "min_learning_rate", "min_improvement"):
            value = getattr(self, name)
            faults.check(0 <= value < float("inf"), f"{name} is {value:g}, expected 0 or a positive number")
        value = self.learning_rate
        faults.check(0 < value < float("inf"), f"learning_rate is {value:g}, expected a positive number")
        faults.check(1 <= self.context < float("inf"), f"context is {self.context:g}, expected at least 1")
        value = self.canvas_side
        faults.check(value == 0 or value >= MIN_CANVAS, f"canvas_side is {value}, expected 0 or at least {MIN_CANVAS}")

    def _check_shares(self, faults: Faults) -> None:
        for name in ("flip_prob", "jitter_prob", "view_fill", "negative_threshold"):
            faults.check(0 <= getattr(self, name) <= 1, f"{name} is {getattr(self, name):g}, expected 0 to 1")
        for name in ("min_cover", "learning_rate_decay", "min_scale"):
            value = getattr(self, name)
            faults.check(0 < value < float("inf"), f"{name} is {value:g}, expected a positive number")
        for name in ("min_cover", "learning_rate_decay"):
            faults.check(getattr(self, name) <= 1, f"{name} is {getattr(self, name):g}, expected at most 1")
        faults.check(
            self.min_scale <= self.max_scale < float("inf"),
            f"max_scale is {self.max_scale:g}, expected at least min_scale, {self.min_scale:g}",
        )


PRESETS: dict[str, Text2LiveSettings] = {
    "release": Text2LiveSettings(),
    "small": Text2LiveSettings(
        num_steps=60,
        resolution=128,
        crop_to_mask=True,
        num_scales=5,
        num_channels=32,
        canvas_side=128,
        num_starts=512,
        learning_rate=0.01,
        learning_rate_decay=0.97,
        num_views=6,
        view_changes="mild",
        structure_weight=0.0,
        bootstrap_weight=30.0,
        min_bootstrap_weight=10.0,
        patience=20,
    ),
}
"""Settings by name: the released configuration, and one for small machines and a small CLIP."""

"""Settings of a Text2LIVE edit of a clip; this module does not import torch.

The defaults are those of the released configuration for clips.
"""

# Annotations are not postponed here, for the reason that `settings.py` gives.
from dataclasses import dataclass
from typing import Literal, get_args

from mimicbrush.editors.text2live.settings import BootstrapSchedule, Text2LiveSettings
from mimicbrush.errors import Faults

AtlasLayerName = Literal["foreground", "background"]
"""Which layer of the atlas the edit is drawn on."""


@dataclass(frozen=True, kw_only=True)
class AtlasLayerSettings:
    """Settings that only clips have: the part of the atlas that is edited, and its size."""

    atlas_layer: AtlasLayerName = "foreground"
    """Layer of the atlas that is edited: foreground or background."""
    frame_distance: int = 2
    """Frames between the three frames of a step."""
    atlas_resolution: int = 2000
    """Pixels of the atlas as a picture, to a unit of its coordinates."""
    opacity_threshold: float = 0.95
    """Opacity of the atlas from which a pixel belongs to the box around the foreground."""
    box_border: int = 30
    """Pixels around that box."""
    cover_layer: bool = False
    """Draw the opacity to that of the whole edited layer, as a guiding mask does for stills, with the weight of the
    bootstrap loss, instead of to the region that region prompts name, as in the release."""

    def __post_init__(self) -> None:
        faults = Faults()
        allowed = get_args(AtlasLayerName)
        faults.check(
            self.atlas_layer in allowed, f"atlas_layer is {self.atlas_layer}, expected one of {', '.join(allowed)}"
        )
        for name, smallest in {"frame_distance": 1, "atlas_resolution": 2, "box_border": 0}.items():
            value = getattr(self, name)
            faults.check(value >= smallest, f"{name} is {value}, expected at least {smallest}")
        faults.check(
            0 < self.opacity_threshold < 1,
            f"opacity_threshold is {self.opacity_threshold:g}, expected above 0, below 1",
        )
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class ClipLayerSettings(AtlasLayerSettings, Text2LiveSettings):
    """Settings of an edit of a clip through its atlas.

    `resolution`, `min_scale`, `max_scale`, `crop_to_mask` and `context` have no effect.
    """

    num_steps: int = 3000
    """Optimiser steps of an edit."""
    learning_rate_decay: float = 0.999
    """Factor of the learning rate after each step."""
    min_cover: float = 0.95
    """Smallest side of a frame's crop, as a share of the foreground's box or of the frame."""
    num_views: int = 6
    """Augmented views by which CLIP sees each picture: the whole one, and random crops."""
    view_fill: float = 0.0
    """Grey level outside a view that is turned or tilted: 0 is black."""
    structure_weight: float = 3.0
    """Weight of the loss that keeps the self-similarity of CLIP's tokens as in the source."""
    sparsity_weight: float = 0.1
    """Weight of the loss on opacity, the sum of the next two."""
    opacity_l1_weight: float = 0.01
    """Weight of the mean opacity within the sparsity loss."""
    opacity_l0_weight: float = 0.005
    """Weight of the smooth count of opaque pixels within the sparsity loss."""
    bootstrap_schedule: BootstrapSchedule = "constant"
    """Fall of the bootstrap loss's weight: linear, exponential or constant."""

    def __post_init__(self) -> None:
        faults = Faults()
        for base in (AtlasLayerSettings, Text2LiveSettings):
            with faults.collect():
                base.__post_init__(self)
        faults.check(
            self.num_starts == 0, f"num_starts is {self.num_starts}, and layers of clips start plain; set it to 0"
        )
        faults.refuse()


CLIP_PRESETS: dict[str, ClipLayerSettings] = {
    "release": ClipLayerSettings(),
    "small": ClipLayerSettings(
        num_steps=100,
        frame_distance=1,
        atlas_resolution=160,
        box_border=4,
        cover_layer=True,
        num_scales=4,
        num_channels=32,
        learning_rate=0.03,
        num_views=3,
        view_changes="mild",
        structure_weight=0.0,
        bootstrap_weight=30.0,
        whole_every=15,
        patience=40,
    ),
}
"""Settings by name: the released configuration, and one for clips of about 100 pixels and a small CLIP."""

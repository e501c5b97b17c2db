"""Configuration of the training of an atlas."""

# Annotations are not postponed here: jsonargparse would not find their names.
from dataclasses import dataclass, field
from pathlib import Path

from mimicbrush.errors import Faults

ATLAS_FILE = "atlas.pt"
"""Name of a finished atlas in its folder."""
Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels; x1 and y1 are exclusive."""


@dataclass(frozen=True, kw_only=True)
class AtlasLossConfig:
    """Weights and lengths of the losses; the weights are the published ones."""

    colour_weight: float = 5000.0
    """Squared error of the colours."""
    gradient_weight: float = 1000.0
    """Squared error of the differences between neighbouring pixels."""
    rigidity_weight: float = 1.0
    """Deformation of the maps between neighbouring pixels."""
    foreground_global_weight: float = 5.0
    """Deformation of the foreground's map between distant pixels, in the first `global_steps`."""
    background_global_weight: float = 50.0
    """Deformation of the background's map between distant pixels, in the first `global_steps`."""
    flow_weight: float = 5.0
    """Distance on the atlas, in pixels, between points that the optical flow joins."""
    opacity_flow_weight: float = 49.0
    """Difference of opacity between points that the optical flow joins."""
    mask_weight: float = 2000.0
    """Cross-entropy between opacity and mask, in the first `mask_steps`."""
    sparsity_weight: float = 1000.0
    """Squared foreground colours where the foreground is transparent."""
    global_steps: int = 200
    """First steps with the loss between distant pixels; published: 5000 of 400 000."""
    mask_steps: int = 700
    """First steps with the loss on the mask; published: 10 000 of 400 000."""
    global_distance: int = 100
    """Pixels between distant pixels; at most half of the shorter side is used."""

    def __post_init__(self) -> None:
        faults = Faults()
        for name, value in vars(self).items():
            faults.check(0 <= value < float("inf"), f"{name} is {value}, expected 0 or a positive number")
        faults.check(self.global_distance >= 1, f"global_distance is {self.global_distance}, expected at least 1")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class AtlasTrainingConfig:
    """Options of the training of an atlas, whatever its clip."""

    num_steps: int = 3000
    """Length of the training in optimiser steps."""
    batch_size: int = 8192
    """Random pixels in a step."""
    learning_rate: float = 0.02
    """Learning rate of textures and opacities at the beginning; that of the maps is a twentieth. Both fall to 0."""
    losses: AtlasLossConfig = field(default_factory=AtlasLossConfig)
    """Weights of the losses."""
    flow: str = "asset:flow"
    """Weights of RAFT for the optical flow between frames, such as raft-things.pth."""
    save_every: int = 500
    """Steps between two states from which an interrupted run resumes; each also writes a preview."""
    seed: int = 0
    """Seed for the pixels of the steps."""

    def __post_init__(self) -> None:
        faults = Faults()
        for name in ("num_steps", "batch_size", "save_every"):
            value = getattr(self, name)
            faults.check(value >= 1, f"{name} is {value}, expected at least 1")
        faults.check(
            0 < self.learning_rate < float("inf"), f"learning_rate is {self.learning_rate}, expected a positive number"
        )
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class AtlasConfig(AtlasTrainingConfig):
    """Make the layered atlas of a clip."""

    clip: Path
    """Clip, animated PNG, or folder of frames, which are taken in the order of their numbers."""
    output: Path
    """Folder for the atlas, its pictures, and the state from which an interrupted run resumes."""
    masks: Path | None = None
    """Folder with one mask for each frame, in the order of their numbers, or an animated PNG; white on the object that
    moves by itself."""
    box: Box | None = None
    """Box [x0, y0, x1, y1] around that object in the first frame, in pixels of the clip as given, from which masks are
    made; instead of masks."""
    sam: str | None = None
    """Weights of Segment Anything, which then makes masks of the box, instead of GrabCut."""
    num_frames: int = 70
    """Number of the clip's first frames that are used, at most."""
    short_side: int = 432
    """Largest short side in pixels; larger frames are made smaller."""

    def __post_init__(self) -> None:
        faults = Faults()
        with faults.collect():
            super().__post_init__()
        for name, smallest in {"num_frames": 2, "short_side": 16}.items():
            value = getattr(self, name)
            faults.check(value >= smallest, f"{name} is {value}, expected at least {smallest}")
        faults.check(
            (self.masks is None) != (self.box is None),
            "give either masks, one for each frame, or a box around the object in the first frame",
        )
        faults.check(self.sam is None or self.box is not None, "sam makes masks of a box; give the box as well")
        if self.box is not None:
            x0, y0, x1, y1 = self.box
            faults.check(0 <= x0 < x1 and 0 <= y0 < y1, f"box is {list(self.box)}, expected x0 < x1 and y0 < y1")
        faults.refuse()

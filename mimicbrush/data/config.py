"""Training data: sources of the mixture, batches, masks and augmentations."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mimicbrush.errors import Faults


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Ranges of the augmentations; 0 switches one off.

    The paper names colour jitter, rotation, resizing, flipping and projective transforms, and gives no ranges. Its
    "weak" variant has little colour jitter, no resizing and no projective transform.
    """

    flip_prob: float = 0.5
    """Chance of a left-right flip."""
    rotation: float = 30.0
    """Largest rotation, degrees."""
    rotation_prob: float = 0.5
    """Chance of a rotation."""
    scale: float = 0.4
    """Largest change of size: factors 1 - scale to 1 + scale. Where the crop, or the smaller picture, lies is drawn."""
    scale_prob: float = 0.7
    """Chance of a change of size."""
    perspective: float = 0.24
    """Largest shift of a corner, share of the side; how strong a picture's transform is at most is drawn first."""
    perspective_prob: float = 0.5
    """Chance of a projective transform."""
    brightness: float = 0.4
    """Factors 1 - brightness to 1 + brightness; contrast and saturation likewise."""
    contrast: float = 0.4
    """See brightness."""
    saturation: float = 0.4
    """See brightness."""
    hue: float = 0.1
    """Largest turn of the hue, in turns."""
    colour_prob: float = 0.8
    """Chance that the colour changes happen to a picture at all."""

    def __post_init__(self) -> None:
        faults = Faults()
        # Corners that move by less than a quarter of the side leave every quadrangle convex.
        limits = {"scale": 0.95, "perspective": 0.25, "brightness": 1, "contrast": 1, "saturation": 1, "hue": 0.5}
        probs = dict.fromkeys(("flip_prob", "rotation_prob", "scale_prob", "perspective_prob", "colour_prob"), 1)
        for name, limit in {**limits, **probs, "rotation": 180}.items():
            if not 0 <= getattr(self, name) <= limit:
                faults.add(f"{name} is {getattr(self, name)}, expected 0 to {limit}")
        faults.refuse()


OBJECT_SHARES = "exact_object_share", "rough_object_share", "boxed_object_share"


@dataclass(frozen=True, kw_only=True)
class MaskConfig:
    """Masks over the source. Shares are relative to each other and drawn for each sample on its own.

    Pairs of frames get a grid (the paper), a box or brush strokes; stills get one to three of their segments. Where a
    mask would hide or keep next to nothing of the picture, a grid is drawn instead.
    """

    grid_share: float = 1.0
    """Of grid masks, among pairs of frames; the paper has no others."""
    box_share: float = 0.0
    """Of single boxes, each side 0.4 to 0.9 of the picture's (an ablation of the paper)."""
    brush_share: float = 0.0
    """Of thick random strokes."""
    min_cells: int = 3
    """Fewest cells along a side of a grid."""
    max_cells: int = 10
    """Most cells along a side; the number is drawn uniformly for each sample."""
    hot_cells: Literal["matched", "densest"] = "matched"
    """Cells that are hidden with keypoint_cell_prob: all with a matched keypoint (paper), or the five cells that hold
    most, be they empty (the release's code, with probabilities 0.7 and 0.3)."""
    keypoint_cell_prob: float = 0.75
    """Chance to hide a hot cell."""
    other_cell_prob: float = 0.5
    """Chance to hide any other cell."""
    min_keypoints: int = 8
    """With fewer in sight, no cell is hot: so few are often false matches, and most of five densest cells are empty."""
    uniform_cell_prob: float = 0.5
    """Chance to hide any cell then."""
    exact_object_share: float = 0.25
    """Of stills' segments with their own outline, which tells the shape of what is hidden."""
    rough_object_share: float = 0.5
    """Of segments grown and roughened, as if painted by hand."""
    boxed_object_share: float = 0.25
    """Of segments' bounding boxes."""

    def __post_init__(self) -> None:
        faults = Faults()
        if not 2 <= self.min_cells <= self.max_cells:
            faults.add(f"min_cells={self.min_cells}, max_cells={self.max_cells}: expected 2 <= min <= max")
        for name in ("keypoint_cell_prob", "other_cell_prob", "uniform_cell_prob"):
            if not 0 <= getattr(self, name) <= 1:
                faults.add(f"{name} is {getattr(self, name)}, expected a probability")
        for names in (("grid_share", "box_share", "brush_share"), OBJECT_SHARES):
            shares = [getattr(self, name) for name in names]
            if min(shares) < 0 or sum(shares) <= 0:
                faults.add(f"{', '.join(names)} are {shares}, expected none below 0 and one above")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """What is drawn anew for every batch."""

    mask: MaskConfig = field(default_factory=MaskConfig)
    """Which part of the source is hidden."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """Geometry and colour, of source and reference independently."""


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """One folder of shards in the mixture."""

    shards: Path
    """Folder written by data_prep."""
    weight: float
    """Share of the samples, relative to the other sources' weights."""

    def __post_init__(self) -> None:
        if self.weight <= 0:
            raise ValueError(f"weight of {self.shards} is {self.weight}, expected a positive number")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """What the training reads."""

    sources: list[SourceConfig]
    """Folders of shards and their shares; the paper takes 0.7 video and 0.3 stills."""
    heldout: Path | None = None
    """Folder of shards that training never sees, for previews and reference use."""
    batch_size: int = 8
    """Pairs a batch on each device; at most so many where run.samples_per_step is set."""
    num_workers: int = 1
    """Processes that read and decode; 0 reads in the training process."""
    shuffle_window: int = 10_000
    """Samples of a source that are mixed with each other: whole shards in random order, until they hold so many."""
    timeout: float = 600.0
    """Seconds after which a worker that delivers nothing is taken for dead."""
    batch: BatchConfig = field(default_factory=BatchConfig)
    """Masks and augmentations."""

    def __post_init__(self) -> None:
        faults = Faults()
        if not self.sources:
            faults.add("sources is empty, expected at least one folder of shards")
        if self.batch_size < 1 or self.num_workers < 0 or self.shuffle_window < 1:
            faults.add("batch_size and shuffle_window must be at least 1, num_workers at least 0")
        if self.timeout < 0:
            faults.add(f"timeout is {self.timeout}, expected at least 0 (which waits for ever)")
        faults.refuse()

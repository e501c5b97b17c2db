"""Configuration of training data: shards, batches, masks and augmentations."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

from mimicbrush.errors import Faults


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Random geometry and colour of training pictures; a range of 0 switches one augmentation off.

    The paper names colour jitter, rotation, resizing, flipping and projective transforms, and gives no ranges. Its
    "weak" variant has little colour jitter, no resizing and no projective transform.
    """

    flip_prob: float = 0.5
    """Probability of a left-right flip."""
    rotation: float = 30.0
    """Largest rotation in either direction, in degrees."""
    rotation_prob: float = 0.5
    """Probability of a rotation."""
    scale: float = 0.4
    """Largest change of size: a picture is resized by a factor between 1 - scale and 1 + scale, then cropped or placed
    at random."""
    scale_prob: float = 0.7
    """Probability of a change of size."""
    perspective: float = 0.24
    """Largest shift of a corner by a projective transform, as a share of the side. The strength for each picture is
    drawn between 0 and this."""
    perspective_prob: float = 0.5
    """Probability of a projective transform."""
    brightness: float = 0.4
    """Brightness is multiplied by a factor between 1 - brightness and 1 + brightness."""
    contrast: float = 0.4
    """Contrast is multiplied by a factor between 1 - contrast and 1 + contrast."""
    saturation: float = 0.4
    """Saturation is multiplied by a factor between 1 - saturation and 1 + saturation."""
    hue: float = 0.1
    """Largest shift of the hue in either direction, in turns of the colour circle (0 to 0.5)."""
    colour_prob: float = 0.8
    """Probability that a picture's colours are changed; the four changes then happen together."""

    def __post_init__(self) -> None:
        faults = Faults()
        # Corners that move by less than a quarter of the side leave every quadrangle convex.
        limits = {"scale": 0.95, "perspective": 0.25, "brightness": 1, "contrast": 1, "saturation": 1, "hue": 0.5}
        probs = dict.fromkeys(("flip_prob", "rotation_prob", "scale_prob", "perspective_prob", "colour_prob"), 1)
        for name, limit in {**limits, **probs, "rotation": 180}.items():
            if not 0 <= getattr(self, name) <= limit:
                faults.add(f"{name} is {getattr(self, name)}, expected 0 to {limit}")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class MaskConfig:
    """Random masks over the source, drawn anew for each sample. Shares are relative to each other.

    Pairs of frames get a grid (the paper), a box or brush strokes; stills get one to three of their segments. Where a
    mask would hide or keep next to nothing of the picture, a grid is drawn instead.
    """

    grid_share: float = 1.0
    """Share of grid masks among pairs of frames; the paper uses grids only."""
    box_share: float = 0.0
    """Share of single boxes among pairs of frames; each side is 0.4 to 0.9 of the picture's (the paper's ablation)."""
    brush_share: float = 0.0
    """Share of thick random brush strokes among pairs of frames."""
    min_cells: int = 3
    """Smallest number of cells along a side of a grid mask."""
    max_cells: int = 10
    """Largest number of cells along a side of a grid mask; the number is drawn uniformly for each sample."""
    hot_cells: Literal["matched", "densest"] = "matched"
    """Cells that are hidden with keypoint_cell_prob. matched: all cells with a matched keypoint (paper); densest: the
    five cells with the most keypoints, even if these have none (released code, with probabilities 0.7 and 0.3)."""
    keypoint_cell_prob: float = 0.75
    """Probability that a cell chosen by hot_cells is hidden."""
    other_cell_prob: float = 0.5
    """Probability that any other cell is hidden."""
    min_keypoints: int = 8
    """With fewer matched keypoints in the picture, keypoints are ignored and every cell is hidden with
    uniform_cell_prob: so few matches are often false."""
    uniform_cell_prob: float = 0.5
    """Probability that a cell is hidden in a sample with fewer than min_keypoints matched keypoints."""
    exact_object_share: float = 0.25
    """Share, among stills, of masks with the exact outline of their segments, which reveals the shape of what is
    hidden."""
    rough_object_share: float = 0.5
    """Share, among stills, of segments that are enlarged and roughened, as if painted by hand."""
    boxed_object_share: float = 0.25
    """Share, among stills, of bounding boxes of the segments."""

    def __post_init__(self) -> None:
        faults = Faults()
        if not 2 <= self.min_cells <= self.max_cells:
            faults.add(f"min_cells={self.min_cells}, max_cells={self.max_cells}: expected 2 <= min <= max")
        for name in ("keypoint_cell_prob", "other_cell_prob", "uniform_cell_prob"):
            if not 0 <= getattr(self, name) <= 1:
                faults.add(f"{name} is {getattr(self, name)}, expected a probability")
        for names in (self.frame_shares(), self.object_shares()):
            shares = [getattr(self, name) for name in names]
            if min(shares) < 0 or sum(shares) <= 0:
                faults.add(f"{', '.join(names)} are {shares}, expected none below 0 and one above")
        faults.refuse()

    @classmethod
    def frame_shares(cls) -> list[str]:
        """Names of the options that are shares among pairs of frames."""
        return [one.name for one in fields(cls) if one.name.endswith("_share") and one.name not in cls.object_shares()]

    @classmethod
    def object_shares(cls) -> list[str]:
        """Names of the options that are shares among stills."""
        return [one.name for one in fields(cls) if one.name.endswith("_object_share")]


@dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """Masks and augmentations, drawn anew for every batch."""

    mask: MaskConfig = field(default_factory=MaskConfig)
    """Random masks over the source: a grid, a box or strokes on frames, segments on stills; shares are relative."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """Random geometry and colour, drawn for source and reference independently; a range of 0 switches one off."""


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """One folder of shards, and its share in the mixture."""

    shards: str | Path
    """Folder of shards written by data_prep/shard_videos.py or shard_sam.py, or its address (https://, s3://, ...)."""
    weight: float
    """Share of the samples that come from this folder, relative to the weights of the others."""

    def __post_init__(self) -> None:
        if self.weight <= 0:
            raise ValueError(f"weight of {self.shards} is {self.weight}, expected a positive number")


@dataclass(frozen=True, kw_only=True)
class CacheConfig:
    """Local copies of what was read from an address. Shards in a folder of this machine are read where they lie."""

    folder: Path = Path("~/.cache/mimicbrush/shards")
    """Folder for the copies, best on a local disk; processes share it."""
    gib: float = 32.0
    """Largest size of that folder in GiB: the shards that were not read for the longest time are removed; 0: no
    copies."""

    def __post_init__(self) -> None:
        if not self.gib >= 0:
            raise ValueError(f"gib is {self.gib}, expected at least 0 (which keeps no copies)")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The shards that training reads, and how batches are made of them."""

    sources: list[SourceConfig]
    """Folders of shards with their shares of the samples; the paper uses 0.7 video and 0.3 stills."""
    heldout: str | Path | None = None
    """Folder of shards that training never sees, or its address, for previews, the held-out loss and reference use."""
    batch_size: int = 8
    """Pairs in a batch on each device; the largest allowed batch where run.samples_per_step is set."""
    num_workers: int = 1
    """Worker processes that read and decode on each device; 0: the training process does it itself."""
    shuffle_window: int = 10_000
    """Samples of one source that are shuffled together: whole shards, in random order, are collected until they hold
    this many."""
    timeout: float = 600.0
    """Seconds to wait for a batch from a worker before training ends with an error; 0: wait for ever."""
    cache: CacheConfig = field(default_factory=CacheConfig)
    """Local copies of samples that are read from an address."""
    batch: BatchConfig = field(default_factory=BatchConfig)
    """Masks and augmentations, drawn anew for every batch."""

    def __post_init__(self) -> None:
        faults = Faults()
        if not self.sources:
            faults.add("sources is empty, expected at least one folder of shards")
        for name, least in (("batch_size", 1), ("num_workers", 0), ("shuffle_window", 1)):
            faults.check(getattr(self, name) >= least, f"{name} is {getattr(self, name)}, expected at least {least}")
        if not self.timeout >= 0:
            faults.add(f"timeout is {self.timeout}, expected at least 0 (which waits for ever)")
        faults.refuse()

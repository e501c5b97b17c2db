"""The configs of the commands that prepare data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mimicbrush.errors import Faults
from mimicbrush.work_share import WorkShare

SSIM_WINDOW = 7
"""Side of the uniform window of the structural similarity, scikit-image's default."""


@dataclass(frozen=True, kw_only=True)
class EncodeConfig:
    """How pictures are stored."""

    image_format: Literal["jpeg", "webp"] = "jpeg"
    """webp takes a third less room for half a decibel less, and sixteen times the time (720p, quality 95)."""
    quality: int = 95
    """0 to 100."""

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise ValueError(f"quality is {self.quality}; expected 1 to 100")


@dataclass(frozen=True, kw_only=True)
class PairConfig:
    """Which frames of a clip make a pair."""

    ssim_low: float = 0.25
    """Pairs less alike than this are dropped: the reference would not show the masked part."""
    ssim_high: float = 0.92
    """Pairs more alike than this are dropped: copying in place would solve them."""
    ssim_size: int = 256
    """Short side at which similarity is measured; smaller frames are measured as they are."""
    min_changed: float = 0.05
    """Pairs in which a smaller share of the picture changed are dropped: a still scene, whatever its grain does to the
    SSIM. 0 leaves the SSIM alone to decide, as in the paper."""
    frames_per_clip: int = 16
    """Frames decoded per clip; every two of them are candidates."""
    pairs_per_clip: int = 8
    """At most so many pairs per clip, spread over the band and over distances in time."""
    min_gap: float = 0.25
    """Least distance in time between the two frames, in seconds."""
    min_brightness: float = 12.0
    """Frames with a lower mean grey level (0-255) are near-black and dropped."""
    min_sharpness: float = 8.0
    """Frames whose Laplacian has a lower variance are blurred and dropped."""
    min_difference: float = 1.0
    """A frame that differs from a kept one by less (mean grey levels, 0-255) is a near-duplicate and dropped."""

    def __post_init__(self) -> None:
        faults = Faults()
        for name in ("ssim_low", "ssim_high"):
            if not -1 <= getattr(self, name) <= 1:
                faults.add(f"{name} is {getattr(self, name)}; SSIM lies in [-1, 1]")
        if self.ssim_low >= self.ssim_high:
            faults.add(f"ssim_low ({self.ssim_low}) must be below ssim_high ({self.ssim_high}); swap them")
        if self.ssim_size < SSIM_WINDOW:
            faults.add(f"ssim_size is {self.ssim_size}; the SSIM window needs at least {SSIM_WINDOW}")
        if not 0 <= self.min_changed < 1:
            faults.add(f"min_changed is {self.min_changed}; expected a share in [0, 1)")
        if self.frames_per_clip < 2:
            faults.add(f"frames_per_clip is {self.frames_per_clip}; a pair needs 2")
        if self.pairs_per_clip < 1:
            faults.add(f"pairs_per_clip is {self.pairs_per_clip}; expected 1 or more")
        if self.min_gap < 0:
            faults.add(f"min_gap is {self.min_gap}; expected 0 or more seconds")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class ObjectMaskConfig:
    """Which object masks of a still are used."""

    min_area: float = 0.02
    """Least share of the picture that an object covers."""
    max_area: float = 0.5
    """Greatest share; larger segments are mostly background."""
    min_iou: float = 0.88
    """Least `predicted_iou`, SA-1B's own estimate of a mask's quality."""
    min_stability: float = 0.92
    """Least `stability_score`."""
    max_borders: int = 2
    """Segments that touch more of the picture's four borders are background."""
    masks_per_still: int = 4
    """At most so many masks, drawn at random from the good ones."""

    def __post_init__(self) -> None:
        faults = Faults()
        if not 0 <= self.min_area < self.max_area <= 1:
            faults.add(f"min_area ({self.min_area}) must be below max_area ({self.max_area}), both in [0, 1]")
        if self.masks_per_still < 1:
            faults.add(f"masks_per_still is {self.masks_per_still}; expected 1 or more")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class WarpConfig:
    """How strongly a still is altered; the paper names the kinds, not the ranges."""

    brightness: float = 0.4
    """Brightness is multiplied by 1 +- this."""
    contrast: float = 0.4
    """Contrast is multiplied by 1 +- this."""
    saturation: float = 0.4
    """Saturation is multiplied by 1 +- this."""
    hue: float = 0.1
    """Hues are turned by +- this share of the circle."""
    rotation: float = 30.0
    """Turned by +- so many degrees."""
    min_scale: float = 0.7
    """Least resizing; below 1 the picture gets a white rim."""
    max_scale: float = 1.4
    """Greatest resizing; above 1 its rim is cut off."""
    perspective: float = 0.3
    """Each corner moves inwards by up to this share of half a side."""
    flip: float = 0.5
    """Chance of mirroring left and right."""

    def __post_init__(self) -> None:
        faults = Faults()
        if not 0 < self.min_scale <= self.max_scale:
            faults.add(f"min_scale ({self.min_scale}) must be above 0 and at most max_scale ({self.max_scale})")
        for name in ("brightness", "contrast", "saturation", "perspective", "flip"):
            if not 0 <= getattr(self, name) <= 1:
                faults.add(f"{name} is {getattr(self, name)}; expected a number in [0, 1]")
        if not 0 <= self.hue <= 0.5:
            faults.add(f"hue is {self.hue}; expected a share of the circle in [0, 0.5]")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class WorkConfig(WorkShare):
    """Who does the work; nothing here changes what is stored. Tasks share the inputs by a hash of their names."""

    workers: int = 0
    """Processes; 0: one per usable core."""
    timeout: float = 120.0
    """Seconds that one input may take before its process is killed; the input is tried twice."""
    memory: float = 4.0
    """GiB that one input may claim before its decoder is refused more."""
    retry: list[str] = field(default_factory=list)
    """Reasons, such as timeout, for which inputs were skipped that are now to be tried again."""

    def __post_init__(self) -> None:
        faults = Faults()
        with faults.collect():
            super().__post_init__()
        if self.workers < 0:
            faults.add(f"workers is {self.workers}; expected 0 (one per core) or more")
        if self.timeout <= 0:
            faults.add(f"timeout is {self.timeout}; expected seconds above 0")
        if not 0.5 <= self.memory <= 4096:
            faults.add(f"memory is {self.memory}; expected 0.5 to 4096 GiB")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class VideoShardConfig:
    """Make frame-pair shards from a folder of videos."""

    videos: Path
    """A folder of clips, searched to any depth, or a text file with one path per line, relative to itself."""
    output: Path
    """Folder for the shards, config.yaml, summary.json and report.html."""
    metadata: Path | None = None
    """A CSV with a column `file` and any of group, licence, url; clips of one group are not independent."""
    short_side: int = 576
    """Frames are scaled down to this short side, never up."""
    encode: EncodeConfig = field(default_factory=EncodeConfig)
    """How pictures are stored."""
    decoder: Literal["auto", "decord", "pyav"] = "auto"
    """decord, pyav, or auto: PyAV, which tells damaged frames and was no slower for any codec tried."""
    exact_frames: bool = False
    """Decode the very frames of the random moments, not the reference frames before them: half as slow again."""
    keypoints: bool = True
    """Store matched keypoints, which the paper's masks follow."""
    pairs: PairConfig = field(default_factory=PairConfig)
    """Which frames make a pair."""
    duplicate_share: float = 0.5
    """Clips are excluded whose frames, to this share at least, look like another's; above 1 none is."""
    videos_per_shard: int = 100
    """Clips in one unit of work, which becomes one shard."""
    seed: int = 0
    """Decides the moments, the pairs, and which frame of a pair is the source."""
    work: WorkConfig = field(default_factory=WorkConfig)
    """Who does the work."""

    def __post_init__(self) -> None:
        faults = Faults()
        for name in ("short_side", "videos_per_shard"):
            if getattr(self, name) < 1:
                faults.add(f"{name} is {getattr(self, name)}; expected 1 or more")
        if self.duplicate_share <= 0:
            faults.add(f"duplicate_share is {self.duplicate_share}; expected a share above 0")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class SamShardConfig:
    """Make shards of stills and pseudo-pairs from SA-1B."""

    stills: Path
    """A tar of SA-1B, or a folder with tars or with pictures and JSON files at any depth."""
    output: Path
    """Folder for the shards, config.yaml, summary.json and report.html."""
    metadata: Path | None = None
    """A CSV with a column `file` (the still's name without suffix) and any of group, licence, url."""
    short_side: int = 576
    """Stills are scaled down to this short side, never up."""
    encode: EncodeConfig = field(default_factory=EncodeConfig)
    """How pictures are stored."""
    pairs_per_still: int = 1
    """Pseudo-pairs stored of each still, beside the still itself, of which batches draw anew."""
    masks: ObjectMaskConfig = field(default_factory=ObjectMaskConfig)
    """Which object masks are used."""
    warp: WarpConfig = field(default_factory=WarpConfig)
    """How strongly the two pictures of a pseudo-pair are altered."""
    stills_per_shard: int = 500
    """Stills in one unit of work, which becomes one shard."""
    seed: int = 0
    """Decides masks and augmentations."""
    work: WorkConfig = field(default_factory=WorkConfig)
    """Who does the work."""

    def __post_init__(self) -> None:
        faults = Faults()
        for name in ("short_side", "stills_per_shard"):
            if getattr(self, name) < 1:
                faults.add(f"{name} is {getattr(self, name)}; expected 1 or more")
        if self.pairs_per_still < 0:
            faults.add(f"pairs_per_still is {self.pairs_per_still}; expected 0 or more")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class RenderDemoConfig:
    """Render the demo's videos, stills and benchmark."""

    output: Path = Path("runs/demo")
    """Folder for videos/, stills/ and benchmark/."""
    size: int = 256
    """Side of every picture, in pixels; even, as H.264 wants."""
    train_clips: int = 13
    """Clips of each training photograph."""
    heldout_clips: int = 7
    """Clips of each held-out photograph."""
    stills: int = 12
    """Stills of each training photograph that shows objects."""
    triplets: int = 12
    """Benchmark triplets of each kind."""
    seed: int = 0
    """Decides every view, light and colour."""
    workers: int = 0
    """Processes; 0: one per usable core. Does not change the result."""

    def __post_init__(self) -> None:
        faults = Faults()
        if self.size < 64 or self.size % 2:
            faults.add(f"size is {self.size}; expected an even number of 64 or more")
        for name in ("train_clips", "heldout_clips", "stills", "triplets", "workers"):
            if getattr(self, name) < 0:
                faults.add(f"{name} is {getattr(self, name)}; expected 0 or more")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class ShardFolderConfig:
    """A folder that a sharding command has written to."""

    folder: Path
    """The folder of shards."""

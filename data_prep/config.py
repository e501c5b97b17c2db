"""Configuration of the commands that prepare training data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mimicbrush.data.picture_limits import MIN_SIDE
from mimicbrush.data.remote_files import Address, is_address
from mimicbrush.errors import Faults
from mimicbrush.segmentation.config import PhotographMaskConfig
from mimicbrush.work_share import WorkShare

SSIM_WINDOW = 7
"""Side of the uniform window of SSIM in pixels, scikit-image's default."""


@dataclass(frozen=True, kw_only=True)
class EncodeConfig:
    """Format and quality of the pictures in shards."""

    image_format: Literal["jpeg", "webp"] = "jpeg"
    """Format of stored pictures. webp takes a third less space than jpeg, at half a decibel lower PSNR and sixteen
    times the encoding time (720p, quality 95)."""
    quality: int = 95
    """Quality of the compression, 1 to 100."""

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise ValueError(f"quality is {self.quality}; expected 1 to 100")


@dataclass(frozen=True, kw_only=True)
class PairConfig:
    """Selection of frame pairs: limits on similarity, distance in time and quality."""

    ssim_low: float = 0.25
    """Smallest SSIM of a pair; in less similar pairs the reference does not show the masked part."""
    ssim_high: float = 0.92
    """Largest SSIM of a pair; more similar pairs could be solved by copying in place."""
    ssim_size: int = 256
    """Short side at which SSIM is measured, in pixels; smaller frames are measured at their own size."""
    vouching: bool = True
    """Where a shot has too few pairs in the band, keep pairs below it if matched keypoints vouch for them: frames of
    grass, gravel or leaves, filmed by hand, are unlike in SSIM. false: only the band decides, as in the paper."""
    min_changed: float = 0.05
    """Smallest share of the picture that must change between the frames of a pair, which excludes still scenes even if
    grain lowers their SSIM. 0: only SSIM decides, as in the paper."""
    frames_per_shot: int = 16
    """Number of frames decoded for each shot; every two of them are a candidate pair."""
    pairs_per_shot: int = 8
    """Largest number of pairs kept from each shot, spread over similarities and distances in time."""
    shots_per_clip: int = 90
    """Largest number of shots of a film of which pairs are kept. Clips longer than 18 s are read in stretches of 12 s;
    of a long film a third as many stretches are read, spread evenly, and fewer if its frames are large."""
    min_gap: float = 0.25
    """Smallest distance in time between the frames of a pair, in seconds."""
    min_brightness: float = 12.0
    """Frames with a mean grey level (0 to 255) below this are too dark and dropped."""
    min_sharpness: float = 8.0
    """Frames whose Laplacian has a variance below this are blurred and dropped."""
    min_difference: float = 1.0
    """A frame that differs from a kept frame by less than this (mean difference of grey levels, 0 to 255) is a
    near-duplicate and dropped."""

    def __post_init__(self) -> None:
        faults = Faults()
        outside = [name for name in ("ssim_low", "ssim_high") if not -1 <= getattr(self, name) <= 1]
        for name in outside:
            faults.add(f"{name} is {getattr(self, name)}; SSIM lies in [-1, 1]")
        if not outside and self.ssim_low >= self.ssim_high:
            faults.add(f"ssim_low ({self.ssim_low}) must be below ssim_high ({self.ssim_high}); swap them")
        if self.ssim_size < SSIM_WINDOW:
            faults.add(f"ssim_size is {self.ssim_size}; the SSIM window needs at least {SSIM_WINDOW}")
        if not 0 <= self.min_changed < 1:
            faults.add(f"min_changed is {self.min_changed}; expected a share in [0, 1)")
        if self.frames_per_shot < 2:
            faults.add(f"frames_per_shot is {self.frames_per_shot}; a pair needs 2")
        if self.pairs_per_shot < 1:
            faults.add(f"pairs_per_shot is {self.pairs_per_shot}; expected 1 or more")
        if self.shots_per_clip < 1:
            faults.add(f"shots_per_clip is {self.shots_per_clip}; expected 1 or more")
        if self.min_gap < 0:
            faults.add(f"min_gap is {self.min_gap}; expected 0 or more seconds")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class ObjectMaskConfig:
    """Selection of object masks in stills: limits on size and quality."""

    min_area: float = 0.02
    """Smallest object, as a share of the picture."""
    max_area: float = 0.5
    """Largest object, as a share of the picture; larger segments are mostly background."""
    min_iou: float = 0.88
    """Smallest `predicted_iou` in SA-1B, its own estimate of a mask's quality."""
    min_stability: float = 0.92
    """Smallest `stability_score` in SA-1B."""
    max_borders: int = 2
    """Largest number of picture borders (of four) that a segment may touch; others are background."""
    masks_per_still: int = 4
    """Largest number of masks of each still, drawn at random from the good ones."""

    def __post_init__(self) -> None:
        faults = Faults()
        if not 0 <= self.min_area < self.max_area <= 1:
            faults.add(f"min_area ({self.min_area}) must be below max_area ({self.max_area}), both in [0, 1]")
        if self.masks_per_still < 1:
            faults.add(f"masks_per_still is {self.masks_per_still}; expected 1 or more")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class WarpConfig:
    """Ranges of the random changes that turn a still into a pseudo-pair; the paper names the changes, but no ranges."""

    brightness: float = 0.4
    """Brightness is multiplied by a factor between 1 - brightness and 1 + brightness."""
    contrast: float = 0.4
    """Contrast is multiplied by a factor between 1 - contrast and 1 + contrast."""
    saturation: float = 0.4
    """Saturation is multiplied by a factor between 1 - saturation and 1 + saturation."""
    hue: float = 0.1
    """Largest shift of the hue in either direction, in turns of the colour circle (0 to 0.5)."""
    rotation: float = 30.0
    """Largest rotation in either direction, in degrees."""
    min_scale: float = 0.7
    """Smallest resize factor; below 1 the picture gets a white border."""
    max_scale: float = 1.4
    """Largest resize factor; above 1 the picture is cropped."""
    perspective: float = 0.3
    """Largest inward shift of a corner by a projective transform, as a share of half a side."""
    flip: float = 0.5
    """Probability of a left-right flip."""

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
    """Processes, limits and tasks; these options do not change what is stored. Inputs are assigned to tasks by their
    names."""

    workers: int = 0
    """Number of worker processes; 0: one for each usable CPU core."""
    timeout: float = 120.0
    """Longest time for one input, in seconds; then its process is killed. The input is tried twice."""
    memory: float = 4.0
    """Memory that the processing of one input may use, in GiB; inputs that need more are skipped."""
    retry: list[str] = field(default_factory=list)
    """Reasons, such as timeout, for which inputs were skipped earlier; inputs skipped for them are tried again."""

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
    """Make shards of frame pairs from a folder of videos."""

    videos: Path
    """Folder of clips, searched at any depth, or a text file with one path per line, relative to that file."""
    output: Path
    """Folder for the shards, config.yaml, summary.json and report.html."""
    metadata: Path | None = None
    """CSV with a column `file` and any of group, licence, url. Clips of one group are not independent of each other."""
    short_side: int = 576
    """Short side of stored frames, in pixels; larger frames are scaled down, smaller ones are kept."""
    encode: EncodeConfig = field(default_factory=EncodeConfig)
    """Format and quality of the pictures in shards."""
    decoder: Literal["auto", "decord", "pyav"] = "auto"
    """Video decoder; auto takes PyAV, which detects damaged frames and was as fast for every codec tried. PyAV also
    reads clips of several shots, as decord gives no frames on the way."""
    exact_frames: bool = False
    """Decode the exact frames at the random times instead of the nearest earlier frames that others refer to (I and P
    frames); takes half as long again."""
    keypoints: bool = True
    """Store matched keypoints, which training needs for the paper's masks."""
    pairs: PairConfig = field(default_factory=PairConfig)
    """Selection of frame pairs: limits on similarity, distance in time and quality."""
    duplicate_share: float = 0.5
    """Exclude a clip if at least this share of its frames look like frames of another clip; above 1: exclude none."""
    videos_per_shard: int = 100
    """Number of clips in a shard, which is also the unit of work."""
    seed: int = 0
    """Seed for drawing times, pairs, and which frame of a pair is the source."""
    work: WorkConfig = field(default_factory=WorkConfig)
    """Processes, limits and tasks; these options do not change what is stored."""

    def __post_init__(self) -> None:
        _refuse_unfit(self, videos_per_shard=1)


@dataclass(frozen=True, kw_only=True)
class SamShardConfig:
    """Make shards of stills and pseudo-pairs from SA-1B."""

    stills: Path
    """A tar file of SA-1B, or a folder that contains tar files, or pictures with JSON files, at any depth."""
    output: Path
    """Folder for the shards, config.yaml, summary.json and report.html."""
    metadata: Path | None = None
    """CSV with a column `file` (a still's name without suffix) and any of group, licence, url."""
    short_side: int = 576
    """Short side of stored stills, in pixels; larger stills are scaled down, smaller ones are kept."""
    encode: EncodeConfig = field(default_factory=EncodeConfig)
    """Format and quality of the pictures in shards."""
    pairs_per_still: int = 1
    """Number of pseudo-pairs stored for each still, beside the still itself; training makes new ones from the still."""
    masks: ObjectMaskConfig = field(default_factory=ObjectMaskConfig)
    """Selection of object masks in stills: limits on size and quality."""
    warp: WarpConfig = field(default_factory=WarpConfig)
    """Ranges of the random changes that turn a still into a pseudo-pair."""
    stills_per_shard: int = 500
    """Number of stills in a shard, which is also the unit of work."""
    seed: int = 0
    """Seed for drawing masks and changes."""
    work: WorkConfig = field(default_factory=WorkConfig)
    """Processes, limits and tasks; these options do not change what is stored."""

    def __post_init__(self) -> None:
        _refuse_unfit(self, stills_per_shard=1, pairs_per_still=0)


@dataclass(frozen=True, kw_only=True)
class PhotographShardConfig:
    """Make shards of pairs from your own photographs."""

    photographs: Path
    """A CSV with the columns source, reference and any of mask, group, licence, url, prompt, with paths relative to it;
    a folder of NAME_source, NAME_source_mask and NAME_reference pictures; or a folder in which each subject has a
    folder of several photographs, each of which is paired with others of its subject."""
    output: Path
    """Folder for the shards, config.yaml, summary.json and report.html."""
    metadata: Path | None = None
    """With a folder of subjects: CSV with a column `file` and any of group, licence, url."""
    masks: PhotographMaskConfig = field(default_factory=PhotographMaskConfig)
    """Object masks of sources that have neither a mask of their own nor alpha: method, and limits on size."""
    short_side: int = 576
    """Short side of stored pictures, in pixels; larger ones are scaled down, smaller ones are kept."""
    encode: EncodeConfig = field(default_factory=EncodeConfig)
    """Format and quality of the pictures in shards."""
    pairs_per_photograph: int = 8
    """With a folder of subjects: largest number of references with which each photograph is paired."""
    duplicate_share: float = 0.95
    """Exclude a source if at least this share of its parts, and of its reference's in a CSV, look like those of another
    source; above 1: exclude none."""
    sources_per_shard: int = 500
    """Number of sources in a shard, which is also the unit of work."""
    seed: int = 0
    """Seed for drawing references, and for GrabCut."""
    work: WorkConfig = field(default_factory=WorkConfig)
    """Processes, limits and tasks; these options do not change what is stored."""

    def __post_init__(self) -> None:
        _refuse_unfit(self, pairs_per_photograph=1, sources_per_shard=1)


@dataclass(frozen=True, kw_only=True)
class MergeConfig:
    """Write one index, exclusion list, summary and report for all shards of a folder, as after a Slurm array."""

    folder: str | Path
    """Folder of shards, the output of a sharding command, or its address (https://, s3://, ...)."""
    output: Path | None = None
    """Folder for the merged files, if the shards are at an address that cannot be written, as over HTTP."""

    def __post_init__(self) -> None:
        folder = str(self.folder)
        if self.output is not None and not is_address(folder):
            raise ValueError(f"output is {self.output}, but {folder} is no address: its merged files belong into it")
        if self.output is None and Address(folder).is_http:
            raise ValueError(
                "HTTP cannot write; give --output, a folder of this machine for the merged files, then copy them there"
            )


@dataclass(frozen=True, kw_only=True)
class ShardPushConfig:
    """Upload a folder of shards to the Hugging Face hub, with a card: contents, licences, settings, limits."""

    folder: Path
    """Folder of shards, the output of a sharding command."""
    repo_id: str
    """The repository, OWNER/NAME; it is made if needed."""
    licence: str
    """Licence of the data set, as the hub names it, such as cc-by-4.0 or other; the card lists those of the samples."""
    private: bool = False
    """Make a new repository private."""


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """Write report.html for a folder of shards: statistics, skipped inputs and example pictures."""

    folder: Path
    """Folder of shards, the output of a sharding command."""


def _refuse_unfit(config: VideoShardConfig | SamShardConfig | PhotographShardConfig, **least: int) -> None:
    """Raise ValueError naming every unfit value: those below their least, and what all sharding commands share."""
    faults = Faults()
    if config.short_side < MIN_SIDE:
        faults.add(f"short_side is {config.short_side}; expected {MIN_SIDE} or more, which training accepts")
    for name, lowest in least.items():
        if getattr(config, name) < lowest:
            faults.add(f"{name} is {getattr(config, name)}; expected {lowest} or more")
    if getattr(config, "duplicate_share", 1.0) <= 0:  # stills have none
        faults.add(f"duplicate_share is {config.duplicate_share}; expected a share above 0")
    faults.refuse()

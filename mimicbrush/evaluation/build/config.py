"""Options of the commands that build and check benchmark sets."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mimicbrush.benchmark_layout import ReleasedTask, Task
from mimicbrush.data import config as data_config
from mimicbrush.errors import Faults
from mimicbrush.evaluation.config import Need
from mimicbrush.segmentation.config import PhotographMaskConfig


def require_chosen_parts(task: ReleasedTask, **masks: PhotographMaskConfig) -> None:
    """Raise ValueError if masks are guessed although the task is `parts`; masks: by the name of their collection."""
    for name, config in masks.items():
        if task == "parts" and config.guesses:
            raise ValueError(
                f"task parts needs to know which part: give {name}.masks.regions, or {name}.masks.method files"
            )


@dataclass(frozen=True, kw_only=True)
class CollectionConfig:
    """A folder of photographs."""

    folder: Path
    """Folder of the photographs, searched at any depth."""
    metadata: Path | None = None
    """CSV with columns file, group, licence, url, which are kept in provenance.json. Samples of one group are not
    independent of each other."""
    masks: PhotographMaskConfig = field(default_factory=PhotographMaskConfig)
    """Masks of these photographs: method, and limits on size."""


@dataclass(frozen=True, kw_only=True)
class SizeConfig:
    """Sizes of photographs in the benchmark."""

    max_side: int = 1024
    """Longest side of a picture, in pixels; larger photographs are scaled down to it."""
    min_side: int = 128
    """Photographs with a shorter side below this, in pixels, are skipped."""

    def __post_init__(self) -> None:
        if not 16 <= self.min_side <= self.max_side:
            raise ValueError(f"size.min_side {self.min_side} must lie between 16 and size.max_side {self.max_side}")


@dataclass(frozen=True, kw_only=True)
class InnerIdConfig:
    """Build triplets from two photographs of the same subject; each subject has a folder of several photographs."""

    subjects: CollectionConfig
    """Photographs, in one folder for each subject: dog/00.jpg, dog/01.jpg, ..."""
    output: Path
    """Folder for the set, for instance data/benchmark/TextureTrans/WithinInstance."""
    task: ReleasedTask
    """texture: masks show whole objects; parts: masks show distinctive parts, which need masks.method files, or boxes
    or clicks in masks.regions."""
    triplets_per_subject: int = 1
    """Number of triplets of each subject, with different sources while there are enough photographs."""
    size: SizeConfig = field(default_factory=SizeConfig)
    """Sizes of photographs in the benchmark."""
    seed: int = 0
    """Seed for drawing triplets and for GrabCut."""

    def __post_init__(self) -> None:
        if self.triplets_per_subject < 1:
            raise ValueError(f"triplets_per_subject is {self.triplets_per_subject}, expected at least 1")
        require_chosen_parts(self.task, subjects=self.subjects.masks)


@dataclass(frozen=True, kw_only=True)
class InterIdConfig:
    """Build triplets from a source and a reference that shows another object, from two folders."""

    sources: CollectionConfig
    """Photographs to edit."""
    references: CollectionConfig
    """Photographs to imitate."""
    output: Path
    """Folder for the set, for instance data/benchmark/TextureTrans/CrossInstance."""
    task: ReleasedTask
    """texture: masks show whole objects; parts: masks show the parts to compose, which need masks.method files, or
    boxes or clicks in masks.regions."""
    pairs: Path | None = None
    """CSV with columns source, reference and optionally prompt: the triplets in order; null: they are drawn at
    random."""
    num_triplets: int = 30
    """Number of triplets to draw without `pairs`; no source repeats before all were used."""
    size: SizeConfig = field(default_factory=SizeConfig)
    """Sizes of photographs in the benchmark."""
    seed: int = 0
    """Seed for drawing triplets and for GrabCut."""

    def __post_init__(self) -> None:
        if self.num_triplets < 1:
            raise ValueError(f"num_triplets is {self.num_triplets}, expected at least 1")
        require_chosen_parts(self.task, sources=self.sources.masks, references=self.references.masks)


@dataclass(frozen=True, kw_only=True)
class HeldoutSetConfig:
    """Build triplets from held-out pairs, which training never saw; masks are drawn at random."""

    shards: list[Path]
    """Folders of held-out shards written by data_prep: clips, or stills with stored pseudo-pairs."""
    output: Path
    """Folder for the set."""
    num_pairs: int = 64
    """Number of pairs from each folder, spread evenly over clips and photographs; at least 2."""
    size: int = 512
    """Longer side of the pictures, in pixels."""
    mask: data_config.MaskConfig = field(
        default_factory=lambda: data_config.MaskConfig(grid_share=0, box_share=1, brush_share=1)
    )
    """Random masks; by default one box or brush strokes on clips, as in an edit, and segments on stills."""
    seed: int = 0
    """Seed for drawing masks."""

    def __post_init__(self) -> None:
        faults = Faults()
        faults.check(bool(self.shards), "shards is empty, expected at least one folder of shards")
        faults.check(self.num_pairs >= 2, f"num_pairs is {self.num_pairs}, expected at least 2")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class ClipSetConfig:
    """Build a set of clips from a list of clips or folders of frames, with prompts and target pictures."""

    samples: Path
    """CSV with the columns source (a clip, an animated picture, or a folder of frames in the order of their names),
    source_prompt, target_image and target_prompt, and optionally id, mask (white or any bright colour on the region to
    edit; a folder, clip or picture), target_mask (white on the target's object; else it is what is opaque) and fps.
    Paths are relative to the CSV."""
    output: Path
    """Folder for the set."""
    max_frames: int = 240
    """Largest number of frames of a clip."""
    max_side: int = 512
    """Longest side of a picture, in pixels; larger ones are scaled down to it."""

    def __post_init__(self) -> None:
        faults = Faults()
        faults.check(self.max_frames >= 2, f"max_frames is {self.max_frames}, expected at least 2")
        faults.check(self.max_side >= 16, f"max_side is {self.max_side}, expected at least 16 pixels")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class RebuildConfig:
    """Rebuild a set from its recipe and the same photographs, byte for byte."""

    recipe: Path
    """The recipe.json that building the set wrote into its folder."""
    photographs: list[Path]
    """Folders of the photographs, searched at any depth; they are found by their checksums, under any name."""
    output: Path
    """Folder for the set."""

    def __post_init__(self) -> None:
        if not self.photographs:
            raise ValueError("photographs is empty, expected at least one folder")


@dataclass(frozen=True, kw_only=True)
class OverlapConfig:
    """Find pictures of benchmark sets that training shards hold as well."""

    folder: Path
    """A set's folder, or a folder that contains sets at any depth."""
    shards: list[str]
    """Folders or addresses of the shards that a network was trained on."""

    def __post_init__(self) -> None:
        if not self.shards:
            raise ValueError("shards is empty, expected at least one folder of shards")


@dataclass(frozen=True, kw_only=True)
class CheckConfig:
    """Check benchmark sets and name every fault, without editing anything."""

    folder: Path
    """A set's folder, or a folder that contains sets at any depth."""
    needs: list[Need] = field(default_factory=list)
    """Files or texts that every sample must have: prompt for CLIP-T, reference_mask for DINO-I and CLIP-I."""
    truth_task: Task | None = None
    """Task of sets with a truth: texture, parts, text, motion or video; null: sets in the released layout."""

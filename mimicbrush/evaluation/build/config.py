"""Benchmark sets to build: their photographs, masks and sizes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mimicbrush.benchmark_layout import Task
from mimicbrush.data import config as data_config
from mimicbrush.errors import Faults
from mimicbrush.evaluation.config import Need

Method = Literal["files", "box", "grabcut", "sam"]


@dataclass(frozen=True, kw_only=True)
class MaskConfig:
    """How photographs are masked."""

    method: Method = "grabcut"
    """files: drawn masks; box: the box itself; grabcut: the object in a box; sam: what a box or clicks mean."""
    folder: Path | None = None
    """files: PNG masks under the photographs' names, `dog/00.png` for `dog/00.jpg`."""
    regions: Path | None = None
    """CSV or JSON with a box or clicks for each photograph, in pixels of the upright photograph."""
    central_box: float = 0.9
    """grabcut: share of width and height that the box takes, in the middle, where `regions` is not given."""
    iterations: int = 5
    """grabcut: rounds of its two colour models."""
    sam: str = "facebook/sam-vit-base"
    """sam: a folder or a hub repository of SAM in the format of transformers."""
    sam_download: bool = False
    """sam: fetch the weights from the hub where they are not on this machine."""
    min_area: float = 0.005
    """Smaller masks are skipped; share of the picture."""
    max_area: float = 0.9
    """Larger masks are skipped; share of the picture."""

    def __post_init__(self) -> None:
        faults = Faults()
        if self.method == "files" and self.folder is None:
            faults.add("method files needs the folder of masks; give masks.folder")
        if self.method in ("box", "sam") and self.regions is None:
            faults.add(f"method {self.method} needs a box or clicks for each photograph; give masks.regions")
        if not 0 < self.central_box < 1:
            faults.add(f"masks.central_box is {self.central_box}, expected a share between 0 and 1")
        if self.iterations < 1:
            faults.add(f"masks.iterations is {self.iterations}, expected at least 1")
        if not 0 < self.min_area < self.max_area <= 1:
            faults.add("masks.min_area and masks.max_area must be shares, the first below the second")
        faults.refuse()

    @property
    def guesses(self) -> bool:
        """Whether masks are of whatever stands in the middle."""
        return self.method == "grabcut" and self.regions is None


def require_chosen_parts(task: Task, **masks: MaskConfig) -> None:
    """Raises ValueError where masks of parts would be of whatever stands in the middle, named by collection."""
    for name, config in masks.items():
        if task == "parts" and config.guesses:
            raise ValueError(
                f"task parts needs to know which part: give {name}.masks.regions, or {name}.masks.method files"
            )


@dataclass(frozen=True, kw_only=True)
class CollectionConfig:
    """A folder of photographs."""

    folder: Path
    """Where they lie, at any depth."""
    metadata: Path | None = None
    """CSV with columns file, group, licence, url, kept in provenance.json; samples of one group are not independent."""
    masks: MaskConfig = field(default_factory=MaskConfig)
    """How they are masked."""


@dataclass(frozen=True, kw_only=True)
class SizeConfig:
    """Which sizes go into the benchmark."""

    max_side: int = 1024
    """Larger photographs are shrunk to this longer side, in pixels."""
    min_side: int = 128
    """Photographs whose shorter side is below are skipped, in pixels."""

    def __post_init__(self) -> None:
        if not 16 <= self.min_side <= self.max_side:
            raise ValueError(f"size.min_side {self.min_side} must lie between 16 and size.max_side {self.max_side}")


@dataclass(frozen=True, kw_only=True)
class InnerIdConfig:
    """Triplets of two photographs of one subject, from a folder of subjects with several photographs each."""

    subjects: CollectionConfig
    """Photographs in one folder for each subject: dog/00.jpg, dog/01.jpg, ..."""
    output: Path
    """Folder of the set, data/benchmark/TextureTrans/WithinInstance for instance."""
    task: Task
    """texture: masks are of whole objects; parts: of discriminative parts, which files, boxes or clicks must tell."""
    triplets_per_subject: int = 1
    """Triplets of each subject, with different sources as long as there are enough."""
    size: SizeConfig = field(default_factory=SizeConfig)
    """Which sizes go into the benchmark."""
    seed: int = 0
    """Seed of the draw and of GrabCut."""

    def __post_init__(self) -> None:
        if self.triplets_per_subject < 1:
            raise ValueError(f"triplets_per_subject is {self.triplets_per_subject}, expected at least 1")
        require_chosen_parts(self.task, subjects=self.subjects.masks)


@dataclass(frozen=True, kw_only=True)
class InterIdConfig:
    """Triplets of a source and another thing's reference, from two folders."""

    sources: CollectionConfig
    """Photographs to edit."""
    references: CollectionConfig
    """Photographs to imitate."""
    output: Path
    """Folder of the set, data/benchmark/TextureTrans/CrossInstance for instance."""
    task: Task
    """texture: masks are of whole objects; parts: of the parts to compose, which files, boxes or clicks must tell."""
    pairs: Path | None = None
    """CSV with columns source, reference[, prompt]: the triplets, in order. Without it they are drawn."""
    num_triplets: int = 30
    """Triplets to draw where `pairs` is not given; no source comes twice before all have come once."""
    size: SizeConfig = field(default_factory=SizeConfig)
    """Which sizes go into the benchmark."""
    seed: int = 0
    """Seed of the draw and of GrabCut."""

    def __post_init__(self) -> None:
        if self.num_triplets < 1:
            raise ValueError(f"num_triplets is {self.num_triplets}, expected at least 1")
        require_chosen_parts(self.task, sources=self.sources.masks, references=self.references.masks)


@dataclass(frozen=True, kw_only=True)
class HeldoutSetConfig:
    """Triplets of pairs that training never saw, with masks drawn for them."""

    shards: list[Path]
    """Folders of shards written by data_prep, of clips and of stills with stored pseudo-pairs."""
    output: Path
    """Folder of the set."""
    num_pairs: int = 64
    """Pairs of each folder, spread evenly over clips and photographs."""
    size: int = 512
    """Pixels of the pictures' longer side."""
    mask: data_config.MaskConfig = field(
        default_factory=lambda: data_config.MaskConfig(grid_share=0, box_share=1, brush_share=1)
    )
    """What is hidden: by default one part, a box or brush strokes, as in an edit; stills have their segments."""
    seed: int = 0
    """Of the masks."""

    def __post_init__(self) -> None:
        if not self.shards or self.num_pairs < 2:
            raise ValueError(f"shards is {self.shards}, num_pairs {self.num_pairs}; expected one folder, two pairs")


@dataclass(frozen=True, kw_only=True)
class CheckConfig:
    """Name every fault of a benchmark, without an edit."""

    folder: Path
    """A set's folder, or one in which sets lie, at any depth."""
    needs: list[Need] = field(default_factory=list)
    """What every sample must have for the metrics to come: prompt (CLIP-T), reference_mask (DINO-I, CLIP-I)."""

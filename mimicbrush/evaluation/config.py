"""An evaluation, a comparison of two, and the networks of the metrics."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal, get_args

from mimicbrush.benchmark_layout import Task, Track
from mimicbrush.errors import Faults, UserError
from mimicbrush.work_share import WorkShare

Need = Literal["reference_mask", "prompt"]
"""What a metric may need of a sample beside source, mask, reference and edited picture."""
MetricName = Literal[
    "ssim",
    "psnr",
    "ssim_mask",
    "psnr_mask",
    "colour_distance_truth",
    "lpips",
    "lpips_vgg",
    "dino",
    "dinov2",
    "clip_image",
    "clip_text",
    "colour_distance",
    "source_ssim",
    "source_psnr",
    "edge_agreement",
    "depth_agreement",
    "seam",
    "change_outside",
    "mean_change_outside",
]
"""In the order of the tables; `metrics/table.py` describes and computes each."""
FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
References = Literal["own", "swapped"]
REFERENCES: dict[References, str] = {
    "own": "",
    "swapped": "Each sample is edited with the reference of another group, to see whether the right one matters.",
}
"""What the report says of an editor by the references that it is given."""
HELDOUT = "heldout"
"""What held-out pairs are called where the sets are called by their names."""
SUMMARY_FIELDS = ("noun", "inputs", "kept", "skipped", "pairs")
"""What the report reads of a summary.json."""


@dataclass(frozen=True, kw_only=True)
class BenchmarkSet:
    """One folder of the benchmark."""

    folder: Path
    """Where the pictures lie."""
    task: Task
    """texture: editors follow the source's shape (depth on); parts: they are free (depth off)."""
    track: Track
    """inner_id: the source itself is the truth; inter_id: there is none."""


@dataclass(frozen=True, kw_only=True)
class ModelsConfig:
    """Where the metrics' networks come from: a local folder or file, or what `mimicbrush.evaluation.fetch` has fetched.

    Folders and hub repositories are in transformers' layout; files are torchvision's, by path or URL, and a hash in the
    file's name is checked.
    """

    dino: str = "facebook/dino-vits16"
    """DINO ViT-S/16."""
    dinov2: str = "facebook/dinov2-base"
    """DINOv2 ViT-B/14."""
    clip: str = "openai/clip-vit-base-patch32"
    """CLIP ViT-B/32, for pictures and texts."""
    alexnet: str = "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"
    """AlexNet's features, for LPIPS."""
    vgg16: str = "https://download.pytorch.org/models/vgg16-397923af.pth"
    """VGG16's features, for LPIPS."""
    depth: str = "LiheYoung/depth-anything-base-hf"
    """Depth Anything ViT-B."""


NETWORK_NAMES = tuple(each.name for each in fields(ModelsConfig))


@dataclass(frozen=True, kw_only=True)
class EditorSpec:
    """An editor as the config names it."""

    class_path: str
    """Dotted path of its class."""
    init_args: dict = field(default_factory=dict)
    """Arguments of its constructor."""
    references: References = "own"
    """swapped: each sample is edited with the reference of another group, to see whether the right one matters."""

    def __post_init__(self) -> None:
        faults = Faults()
        if not isinstance(self.class_path, str) or not isinstance(self.init_args, dict):
            faults.add("class_path must be a text and init_args a mapping")
        if self.references not in get_args(References):
            faults.add(f"references is {self.references}, expected {' or '.join(get_args(References))}")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class HeldoutConfig:
    """Pairs that training never saw, on which reference use is measured."""

    shards: Path
    """Folder of shards written by data_prep."""
    num_pairs: int = 144
    """Pairs taken, spread evenly over clips and photographs; more narrow the interval."""

    def __post_init__(self) -> None:
        if self.num_pairs < 2:
            raise ValueError(f"heldout.num_pairs is {self.num_pairs}, expected at least 2")


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Every editor answers every set: pictures, tables, and a report that shows them."""

    output: Path
    """Folder of report.html, results.json, results.csv, and the edited pictures under edits/."""
    sets: dict[str, BenchmarkSet]
    """Benchmark sets by the name that the tables give them: each a folder, a task and a track."""
    editors: dict[str, dict]
    """Editors by the name that the tables give them: each a class_path, its init_args, and whether its references are
    its own or swapped. The first is the one that the others are compared with."""
    seeds: list[int] = field(default_factory=lambda: [1])
    """Each sample is edited once with each seed; one seed for all samples, 1 in the released script."""
    metrics: list[str] = field(default_factory=list)
    """Metrics to compute, each of which must then be computable; empty: all, and what cannot be computed says why."""
    models: ModelsConfig = field(default_factory=ModelsConfig)
    """Where the networks that metrics need lie."""
    batch_size: int = 4
    """Samples that an editor is handed at once; changes speed and memory, and no result."""
    heldout: HeldoutConfig | None = None
    """Where given, reference use is measured on these pairs for every editor that predicts noise."""
    reference_use_of_sets: bool = True
    """Also measure it on inner-ID sets, which takes about half as long as their edits."""
    training_run: Path | None = None
    """A folder written by train.py, whose loss curve and previews the report shows."""
    data_summaries: list[Path] = field(default_factory=list)
    """summary.json files of sharding, which the report lists; those that are absent are left out."""
    work: WorkShare = field(default_factory=WorkShare)
    """Which part of the samples this call edits and scores."""
    inputs_from: str = ""
    """The command that makes the inputs, named where they are missing."""

    def __post_init__(self) -> None:
        faults = Faults()
        if not self.sets or not self.editors:
            faults.add("sets and editors need at least one entry each")
        if self.batch_size < 1:
            faults.add(f"batch_size is {self.batch_size}, expected at least 1")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            faults.add(f"seeds is {self.seeds}, expected at least one, each once")
        if not all(0 <= seed < 2**63 for seed in self.seeds):
            faults.add(f"seeds is {self.seeds}, expected whole numbers from 0 to 2^63 - 1")
        unknown = sorted(set(self.metrics) - set(get_args(MetricName)))
        if unknown:
            faults.add(f"metrics names {', '.join(unknown)}; choose from {', '.join(get_args(MetricName))}")
        if HELDOUT in self.sets:
            faults.add(f"sets: {HELDOUT} is what the held-out pairs are called; choose another name")
        for name in (*self.sets, *self.editors):
            if not (isinstance(name, str) and FOLDER_NAME.fullmatch(name)):
                faults.add(f"{name!r} names a folder; use letters, digits, dots, dashes and underscores")
        for name in self.editors:
            with faults.collect():
                self.editor(name)
        faults.refuse()

    def editor(self, name: str) -> EditorSpec:
        """One editor; raises UserError where the entry is none."""
        try:
            return EditorSpec(**self.editors[name])
        except (TypeError, ValueError) as error:
            raise UserError(f"editors.{name} needs a class_path, may have init_args and references: {error}") from None

    def edits(self, set_name: str, editor: str, seed: int) -> Path:
        """Where an editor's pictures of a set lie."""
        return self.output / "edits" / set_name / editor / str(seed)

    def scores(self, set_name: str, editor: str, seed: int) -> Path:
        """Where these pictures' scores lie."""
        return self.output / "scores" / set_name / editor / str(seed)

    def reference_use(self, editor: str, pairs: str) -> Path:
        """Where an editor's reference use lies; pairs: `heldout` or the name of a set."""
        return self.output / "reference_use" / pairs / f"{editor}.json"


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """An editor of one evaluation against an editor of another, on the samples and seeds that both have."""

    run_a: Path
    """Output folder of the first evaluation; the first word of the command line."""
    run_b: Path
    """Output folder of the second, whose gain is shown; the second word. It may be the same folder."""
    editor_a: str = ""
    """Editor of the first run; empty: its first one."""
    editor_b: str = ""
    """Editor of the second run; empty: its first one."""
    output: Path | None = None
    """Folder of comparison.html, .json and .csv; none: one within the second run, named after both."""


@dataclass(frozen=True, kw_only=True)
class FetchConfig:
    """Fetch the weights of the metrics' networks that are not on this machine yet."""

    models: tuple[str, ...] = NETWORK_NAMES
    """Which: dino, dinov2, clip, alexnet, vgg16, depth."""
    sources: ModelsConfig = field(default_factory=ModelsConfig)
    """Where each comes from: a repository of the hub, or a URL."""

    def __post_init__(self) -> None:
        unknown = [name for name in self.models if name not in NETWORK_NAMES]
        if unknown:
            raise ValueError(f"models: {', '.join(unknown)}: not known; choose from {', '.join(NETWORK_NAMES)}")

"""Options of evaluate.py, of the comparison of two evaluations, and of the metrics' networks."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal, get_args

from mimicbrush.benchmark_layout import ReleasedTask, Task, Track, Vocabulary
from mimicbrush.config_faults import value_faults
from mimicbrush.errors import Faults, UserError
from mimicbrush.reports.display_name import display_name
from mimicbrush.work_share import WorkShare

Need = Literal["reference_mask", "prompt"]
"""Files or texts that a metric may need beside source, mask, truth and edited picture."""
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
    "clip_frames",
    "colour_distance",
    "source_ssim",
    "source_psnr",
    "edge_agreement",
    "depth_agreement",
    "truth_ssim",
    "truth_psnr",
    "truth_colour_distance",
    "uncovered_ssim",
    "uncovered_psnr",
    "motion_error",
    "flow_loss",
    "clip_source",
    "warp_error",
    "realised_motion_error",
    "frame_motion_error",
    "estimated_warp_error",
    "region_change_outside",
    "region_psnr_outside",
    "mask_overlap",
    "judge_object",
    "judge_material",
    "judge_given_material",
    "judge_object_truth",
    "judge_material_truth",
    "world_clip_text",
    "world_clip_image",
    "world_clip_text_truth",
    "world_clip_frames",
    "seam",
    "change_outside",
    "mean_change_outside",
]
"""Metrics in the order of the tables; `metrics/all_metrics.py` describes and computes each."""
FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
References = Literal["own", "swapped"]
MaskSupply = Literal["given", "object", "withheld"]
REFERENCES: dict[References, str] = {
    "own": "",
    "swapped": "Each sample is edited with the reference of another group, to see whether the right one matters.",
}
"""The report's sentence about an editor, by the references it receives."""
HELDOUT = "heldout"
"""The name of held-out pairs in tables and folders; no set may have it."""
SUMMARY_FIELDS = ("noun", "inputs", "kept", "skipped", "pairs")
"""Fields of a summary.json that the report reads."""


def check_seeds(seeds: list[int], faults: Faults) -> None:
    """Add the faults of a list of seeds."""
    if not seeds or len(set(seeds)) < len(seeds):
        faults.add(f"seeds is {seeds}, expected at least one, each once")
    if not all(0 <= seed < 2**63 for seed in seeds):
        faults.add(f"seeds is {seeds}, expected whole numbers from 0 to 2^63 - 1")


@dataclass(frozen=True, kw_only=True)
class BenchmarkSet:
    """One folder of benchmark samples."""

    folder: Path
    """Folder of the samples' pictures."""
    task: Task
    """texture: editors keep the shape of the source (depth on); parts: they are free to change it (depth off); text,
    motion and video are tasks of sets with a truth."""
    track: Track
    """inner_id: the source is the true result; inter_id, or clips for task video: there is no true result; truth: the
    set has the true result of every edit."""
    vocabulary: Vocabulary | None = None
    """Evaluate only the samples whose words and shapes are seen, or unseen, in training (track truth); null: all."""
    ids: str = "*"
    """Evaluate only the samples whose id matches this pattern, such as `*_same` (track truth)."""
    title: str = ""
    """Name in reports, such as "Text, unseen words"; empty: made of the set's name here."""

    def __post_init__(self) -> None:
        allowed = {"truth": get_args(Task), "clips": ("video",)}.get(self.track, get_args(ReleasedTask))
        if self.task not in allowed:
            raise ValueError(f"task is {self.task}, and sets of track {self.track} have {' or '.join(allowed)}")
        if self.track != "truth" and self.vocabulary:
            raise ValueError(f"vocabulary is {self.vocabulary}, but only sets of track truth say it; leave it null")
        if self.track != "truth" and self.ids != "*":
            raise ValueError(f"ids is {self.ids}, but only sets of track truth are filtered; leave it out")


@dataclass(frozen=True, kw_only=True)
class ModelsConfig:
    """The networks that metrics use: local folders or files, or downloads of `mimicbrush.evaluation.fetch`.

    Folders and hub repositories are in transformers' layout; files are torchvision's, by path or URL, and a hash in the
    file's name is checked.
    """

    dino: str = "facebook/dino-vits16"
    """DINO ViT-S/16, for DINO-I: a folder or hub repository in transformers' layout."""
    dinov2: str = "facebook/dinov2-base"
    """DINOv2 ViT-B/14: a folder or hub repository in transformers' layout."""
    clip: str = "openai/clip-vit-base-patch32"
    """CLIP ViT-B/32, for CLIP-I and CLIP-T: a folder or hub repository in transformers' layout."""
    alexnet: str = "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"
    """AlexNet, for LPIPS: a path or URL of torchvision's file; a hash in its name is checked."""
    vgg16: str = "https://download.pytorch.org/models/vgg16-397923af.pth"
    """VGG16, for LPIPS (VGG): a path or URL of torchvision's file; a hash in its name is checked."""
    flow: str = "asset:flow"
    """RAFT, for metrics by estimated flow: its authors' file, torchvision's, or a folder of this project's."""
    depth: str = "LiheYoung/depth-anything-base-hf"
    """Depth Anything ViT-B, for depth agreement: a folder or hub repository in transformers' layout."""
    judge: str = "asset:judge"
    """The judge of sets of the small world: a folder of `python -m mimicbrush.world.judge`; the default is shipped."""
    world_clip: str = "asset:clip"
    """CLIP for sets with a truth, in transformers' layout; the shipped default knows the small world's words alone."""


NETWORK_NAMES = tuple(each.name for each in fields(ModelsConfig))


@dataclass(frozen=True, kw_only=True)
class EditorSpec:
    """The class of an editor, its arguments, and the references that it receives."""

    class_path: str
    """Dotted path of the editor's class."""
    init_args: dict = field(default_factory=dict)
    """Arguments of its constructor."""
    references: References = "own"
    """own: each sample's reference; swapped: that of another group's sample, to see whether the right one matters."""
    mask: MaskSupply = "given"
    """given: the editor receives the mask of the sample's region to edit; object: that of the object in the source,
    which fits more closely; withheld: it proposes its own, if its kind of request allows."""
    title: str = ""
    """Name in reports, such as "Classical inpainting (Telea)"; empty: made of the editor's name here."""
    seeds: list[int] = field(default_factory=list)
    """Seeds of this editor, for instance more than of the others; empty: those of the evaluation."""

    def __post_init__(self) -> None:
        faults = Faults()
        if not isinstance(self.class_path, str) or not isinstance(self.init_args, dict):
            faults.add("class_path must be a text and init_args a mapping")
        if self.references not in get_args(References):
            faults.add(f"references is {self.references}, expected {' or '.join(get_args(References))}")
        if self.mask not in get_args(MaskSupply):
            faults.add(f"mask is {self.mask}, expected one of {', '.join(get_args(MaskSupply))}")
        if self.seeds:
            check_seeds(self.seeds, faults)
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class HeldoutConfig:
    """Held-out pairs, which training never saw, on which reference use is measured."""

    shards: Path
    """Folder of held-out shards written by data_prep."""
    num_pairs: int = 144
    """Number of pairs, spread evenly over clips and photographs; more pairs give a narrower confidence interval."""

    def __post_init__(self) -> None:
        if self.num_pairs < 2:
            raise ValueError(f"heldout.num_pairs is {self.num_pairs}, expected at least 2")


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Run every editor on every benchmark set: edited pictures, metrics, tables and a report."""

    output: Path
    """Folder for report.html, results.json, results.csv, and the edited pictures under edits/."""
    sets: dict[str, BenchmarkSet]
    """Benchmark sets by the names they have in tables."""
    editors: dict[str, dict]
    """Editors by the names they have in tables: each has a class_path, and may have init_args, references (own or
    swapped) and a title. The others are compared with the first."""
    seeds: list[int] = field(default_factory=lambda: [1])
    """Seeds: each sample is edited once with each. The released script uses 1 for all samples."""
    metrics: list[str] = field(default_factory=list)
    """Metrics to compute, such as ssim, lpips, dino or clip_image; an unknown name lists all, and it is an error if one
    cannot be computed. Empty: all that can be computed, and the report gives the reason for the others."""
    models: ModelsConfig = field(default_factory=ModelsConfig)
    """The networks that metrics use: local paths, or what `mimicbrush.evaluation.fetch` has downloaded."""
    batch_size: int = 4
    """Samples that an editor receives at once; it changes speed and memory, but no result."""
    heldout: HeldoutConfig | None = None
    """Held-out pairs on which reference use is measured for every editor that predicts noise; null: none."""
    reference_use_of_sets: bool = True
    """Also measure reference use on inner-ID sets; this takes about half as long as their edits."""
    training_run: Path | None = None
    """A folder written by train.py, whose loss curve and previews are shown in the report."""
    data_summaries: list[Path] = field(default_factory=list)
    """summary.json files written by data_prep, to be listed in the report; missing files are left out."""
    work: WorkShare = field(default_factory=WorkShare)
    """The share of the samples that this command edits and scores, for instance in a Slurm array."""
    inputs_from: str = ""
    """The command that makes the inputs, named in the message when they are missing."""

    def __post_init__(self) -> None:
        faults = Faults()
        if not self.sets or not self.editors:
            faults.add("sets and editors need at least one entry each")
        if self.batch_size < 1:
            faults.add(f"batch_size is {self.batch_size}, expected at least 1")
        check_seeds(self.seeds, faults)
        unknown = sorted(set(self.metrics) - set(get_args(MetricName)))
        if unknown:
            faults.add(f"metrics names {', '.join(unknown)}; choose from {', '.join(get_args(MetricName))}")
        if HELDOUT in self.sets:
            faults.add(f"sets: {HELDOUT} is the name of the held-out pairs; choose another name")
        for name in (*self.sets, *self.editors):
            if not (isinstance(name, str) and FOLDER_NAME.fullmatch(name)):
                faults.add(f"{name!r} names a folder; use letters, digits, dots, dashes and underscores")
        for name in self.editors:
            with faults.collect():
                seeds = self.editor(name).seeds
                faults.check(
                    not seeds or not self.seeds or self.seeds[0] in seeds,
                    f"editors.{name}: seeds is {seeds}, expected {self.seeds[:1]} among them, the first of all editors",
                )
        faults.refuse()
        titles = list(self.editor_titles.values())
        if doubled := [title for title in dict.fromkeys(titles) if titles.count(title) > 1]:
            raise UserError(f"editors: {', '.join(doubled)}: more than one has this title; change `title` of one")

    @property
    def editor_titles(self) -> dict[str, str]:
        """Names of the editors in reports, by the names they have here."""
        return {name: self.editor(name).title or display_name(name) for name in self.editors}

    @property
    def set_titles(self) -> dict[str, str]:
        """Names of the sets in reports, by the names they have here."""
        return {name: members.title or display_name(name) for name, members in self.sets.items()}

    def editor(self, name: str) -> EditorSpec:
        """One editor; raises UserError where its entry is invalid."""
        faults = value_faults(EditorSpec, self.editors[name], f"editors.{name}")
        if faults:
            raise UserError(f"editors.{name} needs a class_path, may have init_args, references and title: {faults[0]}")
        try:
            return EditorSpec(**self.editors[name])
        except ValueError as error:
            raise UserError(f"editors.{name}: {error}") from None


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Compare an editor of one evaluation with an editor of another, on the samples and seeds that both have."""

    run_a: Path
    """Output folder of the first evaluation, the baseline of the comparison."""
    run_b: Path
    """Output folder of the second evaluation, whose gain is shown; it may be the same folder."""
    editor_a: str = ""
    """Name of the editor in the first evaluation; empty: its first one."""
    editor_b: str = ""
    """Name of the editor in the second evaluation; empty: its first one."""
    output: Path | None = None
    """Folder for comparison.html, .json and .csv; null: a folder inside the second run that is named after both."""


@dataclass(frozen=True, kw_only=True)
class FetchConfig:
    """Download the weights of the networks that metrics use, unless they are already on this machine."""

    models: tuple[str, ...] = NETWORK_NAMES
    """Networks to download: dino, dinov2, clip, alexnet, vgg16, depth."""
    sources: ModelsConfig = field(default_factory=ModelsConfig)
    """The hub repository or URL of each network."""

    def __post_init__(self) -> None:
        unknown = [name for name in self.models if name not in NETWORK_NAMES]
        if unknown:
            raise ValueError(f"models: {', '.join(unknown)}: not known; choose from {', '.join(NETWORK_NAMES)}")

"""METRICS: every metric by name. Those of sets with a truth are in `truth_metrics.py`.

A new metric is an entry here or there, a name in `MetricName` of config.py, and a function in one of the files beside.
"""

from __future__ import annotations

from functools import partial

from mimicbrush.benchmark_layout import Task, Track
from mimicbrush.evaluation.config import EvaluateConfig, MetricName
from mimicbrush.evaluation.metrics.border import (
    change_outside,
    mean_change_outside,
    seam_energy,
)
from mimicbrush.evaluation.metrics.judge_metrics import JUDGE_METRICS
from mimicbrush.evaluation.metrics.metric import (
    ALL_TASKS,
    CLIPS,
    INNER,
    INTER,
    TEXTURE,
    TRUTH,
    WITH_CLIPS,
    Metric,
    each,
)
from mimicbrush.evaluation.metrics.pixels import (
    colour_distance,
    colour_distance_truth,
    psnr_box,
    psnr_mask,
    ssim_box,
    ssim_mask,
)
from mimicbrush.evaluation.metrics.shape import depth_agreement, edge_agreement
from mimicbrush.evaluation.metrics.similarity import (
    frame_consistency,
    image_similarity,
    perceptual_distance,
    text_similarity,
)
from mimicbrush.evaluation.metrics.truth_metrics import TRUTH_METRICS
from mimicbrush.evaluation.metrics.world_clip_metrics import WORLD_CLIP_METRICS
from mimicbrush.pictures.geometry import FEATHER_PASSES, FEATHER_SIDE


def metrics_of(task: Task, track: Track) -> dict[str, Metric]:
    """Metrics that apply to a task and a track, by name, in the order of the tables."""
    return {name: metric for name, metric in METRICS.items() if task in metric.tasks and track in metric.tracks}


def set_metrics(config: EvaluateConfig, set_name: str) -> dict[str, Metric]:
    """Metrics in the tables of a set: all that apply to it, or those of them that the config asks for."""
    members = config.sets[set_name]
    return {
        name: metric
        for name, metric in metrics_of(members.task, members.track).items()
        if not config.metrics or name in config.metrics
    }


METRICS: dict[MetricName, Metric] = {
    "ssim": Metric(
        title="SSIM",
        better="higher",
        tracks=INNER,
        column="SSIM",
        meaning="structural similarity of the edit and the truth in the mask's box; 1 for equal pictures",
        compute=each(ssim_box),
    ),
    "psnr": Metric(
        title="PSNR",
        unit="dB",
        better="higher",
        tracks=INNER,
        column="PSNR",
        meaning="peak signal-to-noise ratio of the edit against the truth in the mask's box",
        compute=each(psnr_box),
    ),
    "ssim_mask": Metric(
        title="SSIM in mask",
        better="higher",
        tracks=INNER,
        meaning="structural similarity over the masked pixels only, without the unchanged background inside the box",
        compute=each(ssim_mask),
    ),
    "psnr_mask": Metric(
        title="PSNR in mask",
        unit="dB",
        better="higher",
        tracks=INNER,
        meaning="the same over the masked pixels only",
        compute=each(psnr_mask),
    ),
    "colour_distance_truth": Metric(
        title="Colour distance to the truth",
        unit="0 to 1",
        better="lower",
        tracks=INNER,
        meaning="Hellinger distance of colour histograms, edited region against the truth there",
        compute=each(colour_distance_truth),
    ),
    "lpips": Metric(
        title="LPIPS",
        better="lower",
        tracks=INNER,
        model="alexnet",
        column="LPIPS",
        meaning="perceptual distance of the edit and the truth in the mask's box, by AlexNet's features; 0 for equal "
        "pictures",
        compute=partial(perceptual_distance, network="alexnet"),
    ),
    "lpips_vgg": Metric(
        title="LPIPS, VGG",
        better="lower",
        tracks=INNER,
        model="vgg16",
        meaning="the same by VGG16's features; the paper does not say which of the two it used",
        compute=partial(perceptual_distance, network="vgg16"),
    ),
    "dino": Metric(
        title="DINO-I",
        unit="x 100",
        better="higher",
        tasks=WITH_CLIPS,
        tracks=INTER | CLIPS,
        needs=frozenset({"reference_mask"}),
        model="dino",
        column="DINO-I",
        meaning="cosine of DINO's class tokens, edited region against the reference's masked part, backgrounds white",
        compute=partial(image_similarity, network="dino"),
    ),
    "dinov2": Metric(
        title="DINOv2-I",
        unit="x 100",
        better="higher",
        tasks=WITH_CLIPS,
        tracks=INTER | CLIPS,
        needs=frozenset({"reference_mask"}),
        model="dinov2",
        meaning="the same by DINOv2; the paper cites both without saying which of the two it used",
        compute=partial(image_similarity, network="dinov2"),
    ),
    "clip_image": Metric(
        title="CLIP-I",
        unit="x 100",
        better="higher",
        tasks=WITH_CLIPS,
        tracks=INTER | CLIPS,
        needs=frozenset({"reference_mask"}),
        model="clip",
        column="CLIP-I",
        meaning="the same by CLIP's image embeddings",
        compute=partial(image_similarity, network="clip"),
    ),
    "clip_text": Metric(
        title="CLIP-T",
        unit="x 100",
        better="higher",
        tasks=WITH_CLIPS,
        tracks=INTER | CLIPS,
        needs=frozenset({"prompt"}),
        model="clip",
        column="CLIP-T",
        meaning="cosine of CLIP's embeddings of the whole edited picture and of the prompt",
        looks_inside=False,
        compute=text_similarity,
    ),
    "clip_frames": Metric(
        title="CLIP frame consistency",
        unit="x 100",
        better="higher",
        tasks=frozenset({"video"}),
        tracks=CLIPS,
        model="clip",
        meaning="mean cosine of CLIP's embeddings of each frame and of the next one; a still edit scores 100",
        looks_inside=False,
        compute=partial(frame_consistency, network="clip"),
    ),
    "colour_distance": Metric(
        title="Colour distance",
        unit="0 to 1",
        better="lower",
        tasks=WITH_CLIPS,
        tracks=INTER | CLIPS,
        needs=frozenset({"reference_mask"}),
        meaning="Hellinger distance of colour histograms, edited region against the reference's masked part; "
        "0 if both have the same colours in the same shares",
        compute=each(colour_distance),
    ),
    "source_ssim": Metric(
        title="SSIM with the source",
        better=None,
        tracks=INTER,
        meaning="agreement with the source, not quality: inter-ID has no truth, and a copy of the source scores 1",
        compute=each(ssim_box),
    ),
    "source_psnr": Metric(
        title="PSNR with the source",
        unit="dB",
        better=None,
        tracks=INTER,
        meaning="agreement with the source, not quality",
        compute=each(psnr_box),
    ),
    "edge_agreement": Metric(
        title="Edge agreement",
        unit="-1 to 1",
        better="higher",
        tasks=TEXTURE,
        tracks=INNER | INTER,
        meaning="correlation of edge strength inside the mask, edit against source, fine texture blurred: a copy "
        "of the source scores 1, an unrelated texture about 0",
        compute=each(edge_agreement),
    ),
    "depth_agreement": Metric(
        title="Depth agreement",
        unit="-1 to 1",
        better="higher",
        tasks=TEXTURE,
        tracks=INNER | INTER,
        model="depth",
        meaning="correlation of Depth Anything's maps of edit and source inside the mask; a copy of the source "
        "scores 1",
        compute=depth_agreement,
    ),
    **TRUTH_METRICS,
    **JUDGE_METRICS,
    **WORLD_CLIP_METRICS,
    "seam": Metric(
        title="Seam energy",
        unit="of the source's",
        better="lower",
        tracks=INNER | INTER,
        meaning="how much neighbouring pixels differ across the mask's border, compared with beside it, over the same "
        "in the source: 1 is an invisible seam",
        compute=each(seam_energy),
    ),
    "change_outside": Metric(
        title="Change outside",
        unit="levels",
        better="lower",
        tasks=ALL_TASKS,
        tracks=INNER | INTER | TRUTH | CLIPS,
        meaning=f"largest change, in grey levels of 255, farther from the mask than a feathered edge reaches: "
        f"{FEATHER_PASSES} pixels, in proportion more for pictures longer than {FEATHER_SIDE}; 0 is best",
        looks_inside=False,
        compute=each(change_outside),
    ),
    "mean_change_outside": Metric(
        title="Mean change outside",
        unit="levels",
        better="lower",
        tracks=INNER | INTER,
        meaning="mean change of the same pixels' channels; exactly 0 if nothing changed",
        looks_inside=False,
        compute=each(mean_change_outside),
    ),
}
"""Every metric by name, in the order of the tables."""

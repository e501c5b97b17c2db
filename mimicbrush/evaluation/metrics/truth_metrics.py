"""TRUTH_METRICS: the metrics of sets that know the true result of every edit; `truth.py` computes them."""

from __future__ import annotations

from mimicbrush.evaluation.config import MetricName
from mimicbrush.evaluation.metrics.flow_metrics import FLOW_METRICS
from mimicbrush.evaluation.metrics.flow_similarity import flow_loss, source_similarity
from mimicbrush.evaluation.metrics.metric import ALL_TASKS, TRUTH, Metric, each
from mimicbrush.evaluation.metrics.truth import (
    mask_overlap,
    motion_error,
    region_change_outside,
    region_psnr_outside,
    truth_colour_distance,
    truth_psnr,
    truth_ssim,
    uncovered_psnr,
    uncovered_ssim,
    warp_error,
)

TRUTH_METRICS: dict[MetricName, Metric] = {
    "truth_ssim": Metric(
        title="SSIM in the true object",
        better="higher",
        tasks=ALL_TASKS,
        tracks=TRUTH,
        meaning="structural similarity of edit and truth over the pixels of the true object; 1 for equal pictures; not "
        "computed where the material is stochastic",
        looks_inside=False,
        compute=each(truth_ssim),
    ),
    "truth_psnr": Metric(
        title="PSNR in the true object",
        unit="dB",
        better="higher",
        tasks=ALL_TASKS,
        tracks=TRUTH,
        meaning="peak signal-to-noise ratio of edit and truth over the same pixels, at most 60; not computed where the "
        "material is stochastic",
        looks_inside=False,
        compute=each(truth_psnr),
    ),
    "truth_colour_distance": Metric(
        title="Colour distance in the true object",
        unit="0 to 1",
        better="lower",
        tasks=ALL_TASKS,
        tracks=TRUTH,
        meaning="Hellinger distance of colour histograms, edit against truth over the same pixels",
        looks_inside=False,
        compute=each(truth_colour_distance),
    ),
    "uncovered_ssim": Metric(
        title="SSIM where uncovered",
        better="higher",
        tasks=frozenset({"motion"}),
        tracks=TRUTH,
        meaning="structural similarity of edit and truth over the background that the object in the source hides and "
        "the true object does not; 1 for equal pictures",
        looks_inside=False,
        compute=each(uncovered_ssim),
    ),
    "uncovered_psnr": Metric(
        title="PSNR where uncovered",
        unit="dB",
        better="higher",
        tasks=frozenset({"motion", "video"}),
        tracks=TRUTH,
        meaning="peak signal-to-noise ratio of edit and truth over the background that the object in the source hides "
        "and the true object does not, at most 60",
        looks_inside=False,
        compute=each(uncovered_psnr),
    ),
    "motion_error": Metric(
        title="Motion error",
        unit="pixels",
        better="lower",
        tasks=frozenset({"motion"}),
        tracks=TRUTH,
        meaning="distance of the place where the edit looks most like the true object, by template matching, from the "
        "true place; an object that is nowhere matches somewhere",
        looks_inside=False,
        compute=each(motion_error),
    ),
    "flow_loss": Metric(
        title="Flow loss",
        unit="pixels",
        better="lower",
        tasks=frozenset({"motion"}),
        tracks=TRUTH,
        model="flow",
        meaning="mean absolute difference, over all pixels and both directions, of the flow that is asked for and the "
        "one that an optical-flow network estimates from source to edit; it may be the network that guided the edit",
        looks_inside=False,
        compute=flow_loss,
    ),
    "clip_source": Metric(
        title="CLIP similarity to the source",
        unit="x 100",
        better="higher",
        tasks=frozenset({"motion"}),
        tracks=TRUTH,
        model="clip",
        meaning="cosine of CLIP's embeddings of the whole source and the whole edit; an unchanged source has 100",
        looks_inside=False,
        compute=source_similarity,
    ),
    "warp_error": Metric(
        title="Warp error",
        unit="levels",
        better="lower",
        tasks=frozenset({"video"}),
        tracks=TRUTH,
        meaning="mean difference, in grey levels of 255, of each frame and the next one warped back by the truth's "
        "exact flow, over points inside the true object that both show; a flickering edit scores high, a steady one "
        "low, right or wrong; textures that change within a pixel leave the truth itself above 0",
        looks_inside=False,
        compute=each(warp_error),
    ),
    **FLOW_METRICS,
    "region_change_outside": Metric(
        title="Change outside the region",
        unit="0 to 1",
        better="lower",
        tasks=ALL_TASKS,
        tracks=TRUTH,
        meaning="mean change of all pixels outside the region that the true edit changes, right beside it as well",
        looks_inside=False,
        compute=each(region_change_outside),
    ),
    "region_psnr_outside": Metric(
        title="PSNR outside the region",
        unit="dB",
        better="higher",
        tasks=frozenset({"video"}),
        tracks=TRUTH,
        meaning="peak signal-to-noise ratio of edit and source over the same pixels, at most 60",
        looks_inside=False,
        compute=each(region_psnr_outside),
    ),
    "mask_overlap": Metric(
        title="Mask overlap",
        unit="0 to 1",
        better="higher",
        tasks=ALL_TASKS,
        tracks=TRUTH,
        meaning="intersection over union of the mask, or opacity, that the editor proposes with the object in source "
        "and truth together",
        looks_inside=False,
        compute=each(mask_overlap),
    ),
}
"""Metrics against the truth by name, in the order of the tables."""

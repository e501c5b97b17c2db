from __future__ import annotations

from typing import get_args

import pytest

from mimicbrush.evaluation.config import NETWORK_NAMES, MetricName
from mimicbrush.evaluation.metrics.all_metrics import METRICS, metrics_of
from mimicbrush.evaluation.metrics.models import NETWORKS

OURS = ["seam", "change_outside", "mean_change_outside"]
OBJECT = ["truth_ssim", "truth_psnr", "truth_colour_distance"]
UNCOVERED = ["uncovered_ssim", "uncovered_psnr"]
REGION = ["region_change_outside", "mask_overlap"]
CLIP_REGION = ["region_change_outside", "region_psnr_outside", "mask_overlap"]
JUDGE = ["judge_object", "judge_material"]
WORLD_CLIP = ["world_clip_text", "world_clip_image", "world_clip_text_truth"]
JUDGED = ["judge_object_truth", "judge_material_truth", *WORLD_CLIP, "change_outside"]
MOVED = ["motion_error", "flow_loss", "clip_source", "realised_motion_error"]
CLIP = ["uncovered_psnr", "warp_error", "frame_motion_error", "estimated_warp_error"]
SHAPE = ["edge_agreement", "depth_agreement"]
INNER = ["ssim", "psnr", "ssim_mask", "psnr_mask", "colour_distance_truth", "lpips", "lpips_vgg"]
CLIPS = ["dino", "dinov2", "clip_image", "clip_text", "clip_frames", "colour_distance", "estimated_warp_error"]
INTER = ["dino", "dinov2", "clip_image", "clip_text", "colour_distance", "source_ssim", "source_psnr"]


@pytest.mark.parametrize(
    ("task", "track", "expected"),
    [
        ("parts", "inner_id", INNER + OURS),
        ("texture", "inner_id", INNER + SHAPE + OURS),
        ("parts", "inter_id", INTER + OURS),
        ("texture", "inter_id", INTER + SHAPE + OURS),
        ("video", "clips", [*CLIPS, "change_outside"]),
        ("texture", "truth", [*OBJECT, *REGION, *JUDGE, "judge_given_material", *JUDGED]),
        ("parts", "truth", [*OBJECT, *REGION, *WORLD_CLIP, "change_outside"]),
        ("text", "truth", [*OBJECT, *REGION, *JUDGE, *JUDGED]),
        ("motion", "truth", [*OBJECT, *UNCOVERED, *MOVED, *REGION, *JUDGE, *JUDGED]),
        ("video", "truth", [*OBJECT, *CLIP, *CLIP_REGION, *JUDGE, *JUDGED[:-1], "world_clip_frames", JUDGED[-1]]),
    ],
)
def test_metrics_of_each_set(task, track, expected):
    assert list(metrics_of(task, track)) == expected


def test_configs_name_the_metrics_in_the_order_of_the_table():
    assert list(METRICS) == list(get_args(MetricName))


def test_configs_name_the_networks_of_the_metrics():
    assert tuple(NETWORKS) == NETWORK_NAMES


def test_the_papers_columns_are_there_once():
    columns = [metric.column for metric in METRICS.values() if metric.column]
    assert columns == ["SSIM", "PSNR", "LPIPS", "DINO-I", "CLIP-I", "CLIP-T"]


def test_every_metric_says_what_it_means():
    for metric in METRICS.values():
        assert metric.title and metric.meaning and metric.tracks and metric.tasks
        assert metric.better in {"higher", "lower", None}
        assert metric.model is None or metric.model in NETWORKS
    assert len({metric.title for metric in METRICS.values()}) == len(METRICS)

from __future__ import annotations

import numpy as np
import pytest

from mimicbrush.evaluation.config import ModelsConfig
from mimicbrush.evaluation.metrics.all_metrics import METRICS
from mimicbrush.evaluation.metrics.measure import measure
from mimicbrush.evaluation.metrics.models import Models
from mimicbrush.evaluation.metrics.score import FollowingFrame, Score
from tests.evaluation.metrics.edits import make_edit, make_true_edit, score

STILL = FollowingFrame(make_edit(seed=0).edited, np.zeros((2, 48, 60), np.float32), np.ones((48, 60), bool))
EDITS = [
    make_true_edit(edited=make_edit(seed=0).edited, proposed_mask=np.ones((48, 60), np.float32), following=STILL),
    make_edit(seed=1, reference_mask=None),
    make_edit(seed=2, prompt=None),
    make_edit(seed=3, reference=make_edit(seed=0).reference),
    make_edit(seed=4, edited=make_edit(seed=4).source),
]


@pytest.fixture(scope="module")
def together(networks) -> list[dict[str, Score]]:
    return measure(EDITS, METRICS, Models(networks, device="cpu"))


def close(scores: dict[str, Score]) -> dict:
    return {name: (pytest.approx(found.value, abs=1e-4), found.reason) for name, found in scores.items()}


def test_every_edit_has_a_value_or_a_reason_for_every_metric(together):
    for scores in together:
        assert list(scores) == list(METRICS)
        assert all((found.value is None) == bool(found.reason) for found in scores.values())


@pytest.mark.parametrize("row", range(len(EDITS)))
def test_scores_do_not_depend_on_the_batch(row, together, networks):
    (alone,) = measure([EDITS[row]], METRICS, Models(networks, device="cpu"))
    assert alone == close(together[row])


def test_unlike_edits_have_unlike_scores(together):
    for name in ("lpips", "dino", "clip_text", "depth_agreement", "seam"):
        assert abs(together[0][name].value - together[3][name].value) > 1e-3


def test_scores_do_not_depend_on_the_order(together, networks):
    backwards = measure(EDITS[::-1], METRICS, Models(networks, device="cpu"))
    assert backwards[::-1] == [close(scores) for scores in together]


def test_what_was_remembered_changes_nothing(networks):
    models = Models(networks, device="cpu")
    assert measure(EDITS, METRICS, models) == measure(EDITS, METRICS, models)


def test_sample_that_lacks_something_is_named_and_the_others_are_scored(together):
    needs_mask = ("dino", "dinov2", "clip_image", "colour_distance")
    assert {together[1][name] for name in needs_mask} == {(None, "the sample has no reference mask")}
    assert together[2]["clip_text"] == (None, "the sample has no prompt")
    assert all(together[row][name].value is not None for row in (0, 2, 3, 4) for name in needs_mask)
    assert together[1]["clip_text"].value is not None


@pytest.mark.parametrize(
    "name", [name for name, metric in METRICS.items() if metric.model not in (None, "judge", "world_clip", "flow")]
)
def test_absent_weights_give_a_reason_and_a_command_and_never_a_number(name, no_caches):
    found = score(make_edit(), name, Models(ModelsConfig(), device="cpu"))
    assert found.value is None
    assert found.reason.endswith(f"python -m mimicbrush.evaluation.fetch --models '[{METRICS[name].model}]'")


def test_absent_weights_leave_the_other_metrics_alone(networks, no_caches, together):
    some = Models(ModelsConfig(dino=networks.dino), device="cpu")
    (scores,) = measure(EDITS[:1], METRICS, some)
    able = {name for name, found in scores.items() if found.value is not None}
    shipped = {"frame_motion_error", "estimated_warp_error"}  # the edit lacks what the others need
    assert able == shipped | {name for name, metric in METRICS.items() if metric.model in (None, "dino", "world_clip")}
    assert scores["dino"] == together[0]["dino"]


def test_no_edits_have_no_scores(models):
    assert measure([], METRICS, models) == []


def test_progress_names_every_metric():
    titles: list[str] = []
    chosen = {name: METRICS[name] for name in ("psnr", "ssim")}
    measure(EDITS, chosen, Models(), on_metric=titles.append)
    assert titles == ["PSNR", "SSIM"]

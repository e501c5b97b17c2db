"""JUDGE_METRICS: how often the judge names an edit as it names the truth, in sets of the small world."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

from numpy.typing import NDArray

from mimicbrush.benchmark_layout import Task
from mimicbrush.evaluation.config import MetricName
from mimicbrush.evaluation.metrics.judge_network import Judge, crop_around
from mimicbrush.evaluation.metrics.metric import ALL_TASKS, TRUTH, Compute, Metric
from mimicbrush.evaluation.metrics.models import Models
from mimicbrush.evaluation.metrics.network_helpers import exactly
from mimicbrush.evaluation.metrics.score import EditedPicture, NotComputableError, Score, score_each
from mimicbrush.evaluation.metrics.truth import true_object

Head = Literal["object", "material"]
JUDGED_TASKS: frozenset[Task] = ALL_TASKS - {"parts"}
"""Tasks whose truth shows a whole object; the judge knows no parts."""
REFERENCE_TASKS: frozenset[Task] = frozenset({"texture"})
"""Tasks whose reference determines the material."""


def name_edit(edits: Sequence[EditedPicture], models: Models, *, head: Head) -> list[Score]:
    """Score 100 where the judge gives the edit the truth's name, and 0 elsewhere.

    An edit has no score if the judge names its truth wrongly, so the mean is a share of the samples that the judge can
    assess.
    """
    return score_each(lambda edit: _points_of_edit(models, edit, head, _true_name(edit, head)), edits)


def name_given_material(edits: Sequence[EditedPicture], models: Models) -> list[Score]:
    """Score the same edits by the material of the reference that the editor received."""

    def points(edit: EditedPicture) -> float:
        return _points_of_edit(models, edit, "material", edit.given_material or _true_name(edit, "material"))

    return score_each(points, edits)


def name_truth(edits: Sequence[EditedPicture], models: Models, *, head: Head) -> list[Score]:
    """Score 100 where the judge names the truth correctly, and 0 elsewhere."""
    return score_each(lambda edit: 100.0 * _names_truth(models, edit, head), edits)


def _points_of_edit(models: Models, edit: EditedPicture, head: Head, expected: str) -> float:
    true_name = _true_name(edit, head)
    if head == "material" and edit.given_material == true_name:
        raise NotComputableError("the reference of the other sample has the same material")
    if not _names_truth(models, edit, head):
        raise NotComputableError(f"the judge names another {head} in the truth itself")
    return 100.0 * (_name(models, edit.edited, edit.truth_mask, head) == expected)


def _names_truth(models: Models, edit: EditedPicture, head: Head) -> bool:
    true_name, judge = _true_name(edit, head), models.load("judge")
    if true_name not in (judge.objects if head == "object" else judge.materials):
        raise NotComputableError(f"the judge knows no {head} called {true_name}")
    return _name(models, edit.truth, edit.truth_mask, head) == true_name


def _true_name(edit: EditedPicture, head: Head) -> str:
    true_object(edit)  # raises if there is none
    found = getattr(edit.facts, head)
    if found is None:
        raise NotComputableError(f"the sample names no {head}")
    return found


@exactly()
def _name(models: Models, picture: NDArray, mask: NDArray, head: Head) -> str:
    judge: Judge = models.load("judge")
    crop = crop_around(picture, mask, size=judge.size, context=judge.context)
    (named,) = judge.name(crop[None].to(models.device))
    return getattr(named, head)


def _metric(
    title: str, meaning: str, compute: Compute, *, is_score: bool = True, tasks: frozenset[Task] = JUDGED_TASKS
) -> Metric:
    return Metric(
        title=title,
        unit="%",
        better="higher" if is_score else None,
        tasks=tasks,
        tracks=TRUTH,
        model="judge",
        meaning=meaning,
        looks_inside=False,
        is_share=True,
        compute=compute,
    )


OVER = "over the samples whose truth it names correctly, so that the truths themselves would score 100 %"
JUDGE_METRICS: dict[MetricName, Metric] = {
    "judge_object": _metric(
        "Object named",
        f"how often the judge, a classifier that guides nothing, names the true object in the edit, {OVER}",
        partial(name_edit, head="object"),
    ),
    "judge_material": _metric(
        "Material named",
        f"how often it names the true material, {OVER}; with swapped references that is the material of the sample's"
        " own reference, which should be named no more often than by chance",
        partial(name_edit, head="material"),
    ),
    "judge_given_material": _metric(
        "Given material named",
        "the same for the material of the reference that the editor received, which differs with swapped references",
        name_given_material,
        tasks=REFERENCE_TASKS,
    ),
    "judge_object_truth": _metric(
        "Object named in the truth",
        "accuracy of the judge on the true results of all samples",
        partial(name_truth, head="object"),
        is_score=False,
    ),
    "judge_material_truth": _metric(
        "Material named in the truth",
        "accuracy of the judge on the true results of all samples",
        partial(name_truth, head="material"),
        is_score=False,
    ),
}
"""Metrics by the judge, in the order of the tables."""

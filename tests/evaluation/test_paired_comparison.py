from __future__ import annotations

import json
import math
from types import SimpleNamespace

import pytest

from mimicbrush.evaluation.evaluation_rounds import EditResult
from mimicbrush.evaluation.metrics.score import Score
from mimicbrush.evaluation.paired_comparison import compare_editors, compare_edits

METRICS = {
    "quality": SimpleNamespace(better="higher"),
    "error": SimpleNamespace(better="lower"),
    "likeness": SimpleNamespace(better=None),
}


def edit(editor: str, name: str, *, set_name: str = "set", seed: int = 1, **values: float | None) -> EditResult:
    scores = {metric: Score(value, "" if value is not None else "no value") for metric, value in values.items()}
    return EditResult(set_name, editor, seed, name, f"photograph {name}", 1.0, None, "", scores)


def failed(editor: str, name: str) -> EditResult:
    return edit(editor, name)._replace(failure="out of memory")


def compare(first: list[EditResult], second: list[EditResult]) -> dict:
    return {one.metric: one for one in compare_edits(first, second, METRICS, first="a", second="b")}


def test_numbers_by_hand():
    first = [edit("a", "0", quality=1, error=5), edit("a", "1", quality=2, error=5), edit("a", "2", quality=3, error=5)]
    second = [
        edit("b", "0", quality=2, error=4),
        edit("b", "1", quality=2, error=3),
        edit("b", "2", quality=7, error=5),
    ]
    found = compare(first, second)
    assert found["quality"].difference.mean == pytest.approx((1 + 0 + 4) / 3)
    assert found["quality"].win_rate.mean == pytest.approx((1 + 0.5 + 1) / 3)
    assert found["quality"].outcomes == (2, 1, 0)
    assert found["error"].difference.mean == pytest.approx(-1)
    assert found["error"].outcomes == (2, 1, 0)
    assert [sample.difference for sample in found["error"].samples] == [-1, -2, 0]


def test_pairs_match_by_set_id_and_seed_whatever_their_order():
    first = [edit("a", "0", quality=1), edit("a", "0", seed=2, quality=10), edit("a", "0", set_name="other", quality=5)]
    second = [edit("b", "0", seed=2, quality=11), edit("b", "1", quality=9), edit("b", "0", quality=4)]
    (found,) = compare_edits(first, second, METRICS, first="a", second="b")
    assert [(sample.seed, sample.difference) for sample in found.samples] == [(1, 3), (2, 1)]
    assert found.difference.groups == 1


def test_verdict_needs_an_interval_without_zero_and_six_groups():
    def verdict(metric: str, values: list[float]) -> str:
        first = [edit("a", str(number), **{metric: 0.0}) for number in range(len(values))]
        second = [edit("b", str(number), **{metric: value}) for number, value in enumerate(values)]
        return compare(first, second)[metric].verdict

    rising = [1, 2, 3, 1, 2, 3]
    assert verdict("quality", rising) == "better"
    assert verdict("error", rising) == "worse"
    assert verdict("error", [-value for value in rising]) == "better"
    assert verdict("quality", [1, -2, 3, 1, -2, -3]) == "undecided"
    assert verdict("quality", rising[:5]) == "undecided"
    assert verdict("quality", [0, 0, 1e-9]) == "equal"
    assert verdict("quality", [math.inf] * 6) == "better"
    assert verdict("error", [math.inf] * 6) == "worse"
    # A truth that is met more often than not outweighs the finite rest, which alone is worse.
    assert verdict("quality", [math.inf] * 9 + [-0.5]) == "better"
    assert verdict("likeness", rising) == ""


def test_missing_and_infinite_values_are_said():
    first = [edit("a", "0", quality=math.inf), edit("a", "1", quality=1), edit("a", "2", quality=1), failed("a", "3")]
    second = [
        edit("b", "0", quality=3),
        edit("b", "1", quality=2),
        edit("b", "2", quality=None),
        edit("b", "3", quality=1),
    ]
    found = compare(first, second)["quality"]
    assert found.note == (
        "2 of 4 pairs left out, which lack a value: 1 by a, 1 by b; "
        "1 of 2 pairs hold an infinite value, which the difference leaves out, and the win rate counts"
    )
    assert (found.difference.mean, found.difference.count, found.win_rate.mean) == (1, 1, 0.5)


def test_an_editor_that_always_fails_has_comparisons_without_numbers():
    found = compare([edit("a", "0", quality=1)], [failed("b", "0")])["quality"]
    assert (found.samples, found.difference, found.win_rate, found.verdict) == ([], None, None, "")
    assert "1 of 1 pairs left out" in found.note


def test_metric_computed_for_neither_is_no_comparison():
    assert compare([edit("a", "0", quality=None, error=1)], [edit("b", "0", quality=None, error=1)]).keys() == {"error"}


def test_every_editor_against_the_first():
    edits = [edit(name, "0", quality=value) for name, value in (("ours", 3), ("paste", 1), ("fill", 2))]
    found = compare_editors(edits, METRICS)
    assert [(one.first, one.second, one.difference.mean) for one in found] == [
        ("ours", "paste", -2),
        ("ours", "fill", -1),
    ]
    assert compare_editors(edits[:1], METRICS) == []


def test_fields_are_json():
    (found,) = compare([edit("a", "0", quality=math.inf)], [edit("b", "0", quality=1)]).values()
    fields = json.loads(json.dumps(found.fields(), allow_nan=False))
    assert (fields["difference"], fields["losses"], fields["win_rate"]["mean"]) == (None, 1, 0)

"""Which values of a column are marked as best."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from mimicbrush.evaluation.evaluation_rounds import EditResult
from mimicbrush.evaluation.gather_results import Summary
from mimicbrush.evaluation.metrics.score import Score
from mimicbrush.evaluation.report.best_values import mark_best
from mimicbrush.statistics import MIN_GROUPS


def results_of(values: dict[str, list[float]], *, better: str = "higher", groups: int = 8) -> SimpleNamespace:
    """Results of a metric `score` on one set, by editor; each sample has a group of its own, up to that many."""
    edits = [
        EditResult("set", editor, 1, str(number), str(number % groups), 1.0, None, "", {"score": Score(value)})
        for editor, column in values.items()
        for number, value in enumerate(column)
    ]
    means = {editor: sum(column) / len(column) for editor, column in values.items()}
    return SimpleNamespace(
        config=SimpleNamespace(editors=list(values)),
        edits=edits,
        summaries={("set", editor, "score"): Summary(mean, None, None, 8, 8, "") for editor, mean in means.items()},
        metrics={"score": SimpleNamespace(better=better)},
    )


ROUGH = [0.1, 0.9, 0.2, 0.8, 0.3, 0.9, 0.1, 0.7]
"""Undecided against 0.6 for every sample; its mean is 0.5."""


@pytest.mark.parametrize(
    ("values", "better", "marks"),
    [
        ({"good": [0.9] * 8, "bad": [0.1] * 8}, "higher", {"good": "best"}),
        ({"good": [0.9] * 8, "bad": [0.1] * 8}, "lower", {"bad": "best"}),
        ({"good": [0.9] * 8, "same": [0.9] * 8, "bad": [0.1] * 8}, "higher", {"good": "best", "same": "best"}),
        ({"good": [0.6] * 8, "rough": ROUGH, "bad": [0.0] * 8}, "higher", {"good": "best", "rough": "tied"}),
        ({"good": [0.6] * 8, "rough": ROUGH}, "higher", {}),
        ({"good": [0.6] * 8, "rough": ROUGH}, None, {}),
        ({"infinite": [math.inf] * 8, "bad": [1.0] * 8}, "higher", {"infinite": "best"}),
        ({"alone": [0.9] * 8}, "higher", {}),
    ],
)
def test_best_values_are_marked_where_the_difference_is_decided(values, better, marks):
    results = results_of(values, better=better)
    assert mark_best(results, "set", results.metrics) == {(name, "score"): mark for name, mark in marks.items()}


def test_few_photographs_mark_nothing():
    results = results_of({"good": [0.9] * 8, "bad": [0.1] * 8}, groups=MIN_GROUPS - 1)
    assert mark_best(results, "set", results.metrics) == {}

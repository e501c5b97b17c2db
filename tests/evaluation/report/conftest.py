"""A small report, made by evaluate.py."""

from __future__ import annotations

import pytest

from tests.evaluation.small import one_set


@pytest.fixture
def report(evaluate, make_set):
    """report(editors): the text of the report on three inner-ID samples."""

    def make(editors: dict, track: str = "inner_id", **fields) -> str:
        output = evaluate({"sets": one_set(make_set(), track), "editors": editors, **fields})
        return (output / "report.html").read_text()

    return make

from __future__ import annotations

import json

import pytest

from mimicbrush.errors import UserError
from mimicbrush.evaluation.benchmark import list_samples
from mimicbrush.evaluation.config import BenchmarkSet
from mimicbrush.requests import EditRequest, MaskedRequest, MotionRequest


def test_samples_read_as_requests(make_set):
    folder = make_set(number=2)
    (folder / "prompts.json").write_text(json.dumps({"000": "FILL IN: what it shows", "001": "a #red# thing"}))
    first, second = list_samples(BenchmarkSet(folder=folder, task="texture", track="inner_id"))
    request = second.request(seed=7)
    assert (first.id, first.prompt, second.prompt) == ("000", None, "a #red# thing")
    assert request.source.shape == (1, 3, 40, 40) and request.mask.shape == (1, 1, 40, 40)
    assert request.reference.shape == (3, 30, 36)
    assert request.keep_shape and request.seed == 7


def test_parts_are_edited_without_the_shape(make_set):
    parts = BenchmarkSet(folder=make_set(), task="parts", track="inter_id")
    assert not list_samples(parts)[0].request(seed=0).keep_shape


def test_groups_are_read_and_else_samples_of_one_source_are_one_group(make_set):
    folder = make_set(number=4)
    (folder / "groups.json").write_text(json.dumps({"000": "dog"}))
    (folder / "003_source.png").write_bytes((folder / "002_source.png").read_bytes())
    samples = list_samples(BenchmarkSet(folder=folder, task="parts", track="inter_id"))
    first, second, third, fourth = (sample.group for sample in samples)
    assert first == "dog" and third == fourth and len({first, second, third}) == 3


def test_a_request_holds_what_its_kind_needs_and_other_kinds_are_refused(make_set):
    (sample,) = list_samples(BenchmarkSet(folder=make_set(number=1), task="parts", track="inner_id"))
    masked = sample.request(3, guided_by=MaskedRequest)
    assert type(masked) is MaskedRequest and (masked.seed, masked.id) == (3, "000")
    assert type(sample.request(3, guided_by=EditRequest)) is EditRequest
    with pytest.raises(UserError, match="a benchmark set has no flow for a MotionRequest; choose an"):
        sample.request(3, guided_by=MotionRequest)

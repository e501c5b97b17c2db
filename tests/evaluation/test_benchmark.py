from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mimicbrush.errors import UserError
from mimicbrush.evaluation.benchmark import Sample, list_samples
from mimicbrush.evaluation.config import BenchmarkSet
from mimicbrush.pictures.reading import read_image
from mimicbrush.requests import (
    EditRequest,
    LayerRequest,
    MaskedRequest,
    MotionRequest,
    ReferenceRequest,
    TextRequest,
    VideoRequest,
)
from tests.evaluation.truth_sets import NUM_FRAMES, OLD, SHIFT, SIZE, truth_set, write_truth_sample


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


def truth_sample(folder: Path, task: str, **facts) -> Sample:
    write_truth_sample(folder, "000", task, **facts)
    (sample,) = list_samples(truth_set(folder, task))
    return sample


def test_a_text_sample_is_a_request_for_a_prompt_or_for_a_layer(tmp_path):
    sample = truth_sample(tmp_path, "text")
    assert sample.request(0, guided_by=TextRequest).prompt == "a checkered ball on grass"
    layer = sample.request(0, guided_by=LayerRequest)
    assert layer.prompts == ("a checkered ball on grass",) and layer.source_prompts == ("a red ball on grass",)
    assert layer.screen_prompts == ("a checkered ball over a green screen",) and layer.region_prompts == ("a ball",)
    assert layer.mask.sum() == 12 * 14
    assert sample.request(0, guided_by=LayerRequest, mask_supply="withheld").mask is None
    with pytest.raises(UserError, match="has no reference for a ReferenceRequest"):
        sample.request(0)
    with pytest.raises(UserError, match="has no mask for a MaskedRequest"):
        sample.request(0, guided_by=MaskedRequest, mask_supply="withheld")


def test_a_motion_sample_is_a_request_with_its_flow(tmp_path):
    request = truth_sample(tmp_path, "motion").request(0, guided_by=MotionRequest)
    assert request.flow.shape == (1, 2, SIZE, SIZE)
    assert request.flow[0, :, *OLD].amin(dim=(1, 2)).tolist() == list(SHIFT)
    assert request.flow[0, 0].sum() == SHIFT[0] * 12 * 14
    assert request.prompt == "a checkered ball on grass"


def test_a_video_sample_is_a_request_with_its_target(tmp_path):
    sample = truth_sample(tmp_path, "video")
    request = sample.request(0, guided_by=VideoRequest, mask_supply="withheld")
    assert request.source.shape == (NUM_FRAMES, 3, SIZE, SIZE) and request.mask is None
    assert (request.source_prompt, request.target_prompt) == ("a red ball on grass", "a checkered ball on grass")
    assert request.fps == 8 and torch.equal(request.target_image, read_image(sample.reference))
    assert request.target_mask.shape == (1, SIZE, SIZE) and request.target_mask.all()
    sample.reference_mask.unlink()
    assert sample.request(0, guided_by=VideoRequest).target_mask is None
    framewise = sample.request(0, guided_by=ReferenceRequest)
    assert torch.equal(framewise.reference, request.target_image) and not framewise.keep_shape


def test_a_sample_names_all_of_its_files(tmp_path):
    sample = truth_sample(tmp_path, "video")
    assert sorted(sample.paths) == sorted(path for path in tmp_path.iterdir() if path.suffix != ".json")
    assert sample.truth.name == "000_truth.png" and sample.facts.scoring == "exact"


def test_only_the_asked_vocabulary_is_listed(tmp_path):
    for number, vocabulary in enumerate(["seen", "unseen", "seen"]):
        write_truth_sample(tmp_path, f"{number:03d}", "text", seed=number, vocabulary=vocabulary)
    listed = {
        vocabulary: [sample.id for sample in list_samples(truth_set(tmp_path, "text", vocabulary=vocabulary))]
        for vocabulary in ("seen", "unseen", None)
    }
    assert listed == {"seen": ["000", "002"], "unseen": ["001"], None: ["000", "001", "002"]}
    assert [sample.id for sample in list_samples(truth_set(tmp_path, "text", ids="*2"))] == ["002"]


@pytest.mark.parametrize(("track", "has_truth"), [("inner_id", True), ("inter_id", False)])
def test_the_source_is_the_truth_of_inner_id(make_set, track, has_truth):
    (sample,) = list_samples(BenchmarkSet(folder=make_set(number=1), task="parts", track=track))
    assert sample.truth == (sample.source if has_truth else None)
    assert sample.truth_mask is sample.object_mask is sample.flow is None and len(sample.paths) == 4

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mimicbrush.benchmark_layout import read_facts
from mimicbrush.evaluation.benchmark_faults import find_faults
from mimicbrush.evaluation.config import BenchmarkSet
from mimicbrush.flow.flow_files import write_flow
from mimicbrush.pictures.reading import read_frames
from mimicbrush.pictures.writing import write_frames
from tests.evaluation.truth_sets import SIZE, truth_set, write_truth_sample


def sound_set(folder: Path, task: str, number: int = 1) -> Path:
    for index in range(number):
        write_truth_sample(folder, f"{index:03d}", task, seed=index)
    return folder


def change_entry(folder: Path, name: str, **changes) -> None:
    path = folder / "samples.json"
    entries = json.loads(path.read_text())
    entries[name] = {key: value for key, value in (entries[name] | changes).items() if value is not None}
    path.write_text(json.dumps(entries))


@pytest.mark.parametrize("task", ["texture", "parts", "text", "motion", "video"])
def test_a_sound_set_of_each_task_has_no_fault(tmp_path, task):
    folder = sound_set(tmp_path, task, 2)
    (folder / "000_object_mask.png").unlink()
    assert find_faults(truth_set(folder, task)) == []
    assert read_facts(folder)["001"].screen_prompt == "a checkered ball over a green screen"


def test_every_fault_of_pictures_is_named_together(tmp_path):
    folder = sound_set(tmp_path, "text", 6)
    black = torch.zeros(1, 3, SIZE, SIZE)
    (folder / "000_truth.png").unlink()
    write_frames(black[..., :30], folder / "001_truth.png")
    write_frames(black, folder / "002_truth_mask.png")
    write_frames(black[..., :30, :] + 1, folder / "003_object_mask.png")
    (folder / "004_truth.png").rename(folder / "004_truth.webp")
    write_frames(1 - read_frames(folder / "005_source_mask.png"), folder / "005_source_mask.png")
    assert find_faults(truth_set(folder, "text")) == [
        "000: truth is missing (000_truth.png)",
        "001: truth is 30x48, source is 48x48; render both alike",
        "002: truth mask is empty; paint the region to edit white",
        "003: object mask is 48x30, source is 48x48; export both at one size",
        "004: truth is 004_truth.webp; save it as PNG, 004_truth.png",
        "005: 168 pixels of the truth mask lie outside the source mask, the region of the edit",
    ]


def test_a_truth_that_differs_outside_the_region_is_a_fault(tmp_path):
    folder = sound_set(tmp_path, "texture")
    truth = read_frames(folder / "000_truth.png")
    source = read_frames(folder / "000_source.png")
    truth[0, :, 0, 0] = (source[0, :, 0, 0] + 100 / 255).where(source[0, :, 0, 0] < 0.5, source[0, :, 0, 0] - 100 / 255)
    write_frames(truth, folder / "000_truth.png")
    assert find_faults(truth_set(folder, "texture")) == [
        "000: truth differs from the source by up to 100 levels outside the source mask; paint every pixel white that "
        "the true edit changes"
    ]


def test_flow_and_frames_of_a_clip_are_checked(tmp_path):
    folder = sound_set(tmp_path, "video", 4)
    write_frames(read_frames(folder / "000_truth.png")[:2], folder / "000_truth.png")
    write_flow(np.zeros((1, 2, SIZE, SIZE), np.float32), folder / "001_flow.npz")
    (folder / "002_flow.npz").unlink()
    write_frames(read_frames(folder / "003_truth_mask.png")[:2], folder / "003_truth_mask.png")
    assert find_faults(truth_set(folder, "video")) == [
        "000: truth is 2 frames of 48x48, source is 3 frames of 48x48; render both alike",
        "001: flow is (1, 2, 48, 48), expected (2, 2, 48, 48) for a source of 3 frames of 48x48",
        "002: flow is missing (002_flow.npz)",
        "003: truth mask has 2 frames, source has 3; export as many, or one for all",
    ]


def test_flow_of_a_motion_set_is_finite_and_moves_something(tmp_path):
    folder = sound_set(tmp_path, "motion", 3)
    write_flow(np.full((1, 2, SIZE, SIZE), np.nan, np.float32), folder / "000_flow.npz")
    write_flow(np.zeros((1, 2, SIZE, SIZE), np.float32), folder / "001_flow.npz")
    (folder / "002_flow.npz").write_bytes(b"PK nothing")
    first, second, third = find_faults(truth_set(folder, "motion"))
    assert first == "000: 000_flow.npz: its flow holds NaN or infinity; write finite pixels"
    assert second == "001: flow is zero everywhere, so nothing would move"
    assert third.startswith("002: 002_flow.npz: not a readable flow file")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"colour": "red"}, "samples.json, 000: unknown 'colour'; choose from fps, material, object, prompt"),
        ({"scoring": "rough"}, "samples.json, 000.scoring: expected one of exact, stochastic"),
        ({"scoring": None}, "samples.json, 000.scoring is required"),
        ({"prompt": None, "fps": None}, "samples.json, 000: lacks fps, prompt"),
    ],
)
def test_wrong_entries_are_named(tmp_path, changes, fault):
    folder = sound_set(tmp_path, "video")
    change_entry(folder, "000", **changes)
    (found,) = find_faults(truth_set(folder, "video"))
    assert found.startswith(fault)


def test_ids_prompts_and_copies_are_checked(tmp_path):
    folder = sound_set(tmp_path, "text", 2)
    entries = json.loads((folder / "samples.json").read_text())
    (folder / "samples.json").write_text(json.dumps({"000": entries["000"], "zzz": entries["001"]}))
    (folder / "prompts.json").write_text("{}")
    assert find_faults(truth_set(folder, "text")) == [
        "prompts.json is not read in a set with a truth; write its prompts into samples.json",
        "samples.json names zzz, which has no pictures",
        "001: has no entry in samples.json",
    ]
    (folder / "samples.json").unlink()
    (folder / "prompts.json").unlink()
    write_truth_sample(folder, "000", "text", seed=5)
    write_truth_sample(folder, "001", "text", seed=5)
    assert find_faults(truth_set(folder, "text")) == ["001: pictures and facts are those of 000; delete one of the two"]


def test_a_set_without_the_asked_vocabulary_is_a_fault(tmp_path):
    folder = sound_set(tmp_path, "text")
    assert find_faults(truth_set(folder, "text", vocabulary="seen")) == []
    assert find_faults(truth_set(folder, "text", vocabulary="unseen")) == [
        "samples.json: no sample has vocabulary unseen"
    ]


def test_a_set_without_an_id_like_the_asked_one_is_a_fault(tmp_path):
    folder = sound_set(tmp_path, "text")
    assert find_faults(truth_set(folder, "text", ids="000*")) == []
    assert find_faults(truth_set(folder, "text", vocabulary="seen", ids="*_same")) == [
        "samples.json: no sample has an id like *_same"
    ]


def test_task_and_track_must_agree(tmp_path):
    with pytest.raises(ValueError, match="task is motion, and sets of track inner_id have texture or parts"):
        BenchmarkSet(folder=tmp_path, task="motion", track="inner_id")
    with pytest.raises(ValueError, match="vocabulary is seen, but only sets of track truth"):
        BenchmarkSet(folder=tmp_path, task="parts", track="inner_id", vocabulary="seen")
    with pytest.raises(ValueError, match="but only sets of track truth are filtered"):
        BenchmarkSet(folder=tmp_path, task="parts", track="inner_id", ids="*_same")

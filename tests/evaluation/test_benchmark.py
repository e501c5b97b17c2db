from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mimicbrush.errors import UserError
from mimicbrush.evaluation.benchmark import BenchmarkSet, find_faults, read_sets

REAL = Path(os.environ.get("MIMICBRUSH_BENCHMARK", Path(__file__).parents[2] / ".." / "shared" / "data" / "benchmark"))


def texture_set(folder: Path) -> BenchmarkSet:
    return BenchmarkSet(folder=folder, task="texture", track="inner_id")


def save_mask(array: np.ndarray, path: Path) -> None:
    Image.fromarray(array.astype(np.uint8)).save(path)


def test_sound_set_has_no_faults_and_reads_as_requests(make_set):
    folder = make_set(number=2)
    (folder / "prompts.json").write_text(json.dumps({"001": "a #red# thing"}))
    first, second = read_sets({"set": texture_set(folder)})["set"]
    request = second.request(seed=7)
    assert (first.id, first.prompt, second.prompt) == ("000", None, "a #red# thing")
    assert request.source.shape == (1, 3, 40, 40) and request.mask.shape == (1, 1, 40, 40)
    assert request.reference.shape == (3, 30, 36)
    assert request.keep_shape and request.seed == 7


def test_parts_are_edited_without_the_shape(make_set):
    parts = BenchmarkSet(folder=make_set(), task="parts", track="inter_id")
    assert not read_sets({"parts": parts})["parts"][0].request(seed=0).keep_shape


def test_every_fault_is_named_at_once(make_set):
    folder = make_set(number=7)
    (folder / "000_source_mask.png").unlink()
    save_mask(np.zeros((40, 40)), folder / "001_source_mask.png")
    save_mask(np.full((40, 40), 255), folder / "002_source_mask.png")
    save_mask(np.full((20, 30), 255), folder / "003_source_mask.png")
    (folder / "004_source.png").write_bytes(b"no picture")
    (folder / "005_reference.png").unlink()
    save_mask(np.full((9, 9), 255), folder / "006_reference_mask.png")
    (folder / "prompts.json").write_text('{"099": "nothing"}')
    absent = folder.parent / "absent"

    with pytest.raises(UserError) as caught:
        read_sets({"set": texture_set(folder), "absent": texture_set(absent)})

    assert str(caught.value) == (
        f"{folder}: 8 faults: 000: source mask is missing (000_source_mask.png); 001: mask is empty; "
        "002: mask is full, which leaves nothing to keep; 003: mask is 30x20, source is 40x40; "
        "004: source is not a readable picture (004_source.png); 005: reference is missing (005_reference.png); "
        "006: reference mask is 9x9, reference is 36x30; prompts.json names 099, which has no pictures; "
        f"{absent}: 1 fault: no such folder"
    )


def test_folder_without_triplets_is_a_fault(tmp_path):
    assert find_faults(texture_set(tmp_path)) == [
        "no triplet; expected files such as 000_source.png, 000_source_mask.png, 000_reference.png"
    ]


@pytest.mark.parametrize("text", ["{", "[1]", '{"000": 3}'])
def test_broken_prompts_are_a_fault(make_set, text):
    folder = make_set(number=1)
    (folder / "prompts.json").write_text(text)
    (fault,) = find_faults(texture_set(folder))
    assert fault.startswith("prompts.json")


@pytest.mark.skipif(not REAL.is_dir(), reason="the real benchmark is not here; MIMICBRUSH_BENCHMARK names its folder")
@pytest.mark.parametrize(("folder", "number"), [("WithinInstance", 8), ("CrossInstance", 6)])
def test_real_benchmark_is_sound(folder, number):
    sets = {"real": texture_set(REAL / "TextureTrans" / folder)}
    samples = read_sets(sets)["real"]
    assert len(samples) == number
    assert all(sample.reference_mask for sample in samples)

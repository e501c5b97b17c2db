from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mimicbrush.errors import UserError, end_with_error
from mimicbrush.evaluation.benchmark import list_samples
from mimicbrush.evaluation.benchmark_faults import find_faults
from mimicbrush.evaluation.config import BenchmarkSet
from mimicbrush.evaluation.preconditions import refuse_faults
from mimicbrush.pictures.mask_geometry import grey_share
from tests.evaluation.conftest import write_triplet

REAL = Path(os.environ.get("MIMICBRUSH_BENCHMARK", Path(__file__).parents[2] / ".." / "shared" / "data" / "benchmark"))
BOTH = frozenset({"prompt", "reference_mask"})


def texture_set(folder: Path) -> BenchmarkSet:
    return BenchmarkSet(folder=folder, task="texture", track="inner_id")


def save_levels(array: np.ndarray, path: Path) -> None:
    Image.fromarray(array.astype(np.uint8)).save(path)


def test_every_fault_is_named_at_once(make_set):
    folder = make_set(number=9)
    (folder / "000_source_mask.png").unlink()
    save_levels(np.zeros((40, 40)), folder / "001_source_mask.png")
    save_levels(np.full((40, 40), 255), folder / "002_source_mask.png")
    save_levels(np.full((20, 30), 255), folder / "003_source_mask.png")
    (folder / "004_source.png").write_bytes(b"no picture")
    (folder / "005_reference.png").unlink()
    save_levels(np.full((9, 9), 255), folder / "006_reference_mask.png")
    save_levels(np.repeat(np.arange(40)[None] * 6, 40, axis=0), folder / "007_source_mask.png")
    save_levels(np.zeros((40, 12, 3)), folder / "008_reference.png")
    (folder / "008_reference_mask.png").unlink()
    (folder / "prompts.json").write_text('{"099": "nothing"}')

    assert find_faults(texture_set(folder)) == [
        "000: source mask is missing (000_source_mask.png)",
        "001: mask is empty; paint the region to edit white",
        "002: mask is full; leave the region to keep black",
        "003: mask is 30x20, source is 40x40; export both at one size",
        "004: source (004_source.png) is not a readable picture (of no known format)",
        "005: reference is missing (005_reference.png)",
        "006: reference mask is 9x9, reference is 36x30; export both at one size",
        "007: mask is grey in 77.5% of its pixels; paint it in black and white only",
        "008: reference is 12x40, expected at least 16 pixels a side",
        "prompts.json names 099, which has no pictures",
    ]


def test_faults_of_all_sets_come_in_one_list(make_set, tmp_path, capsys):
    folder = make_set("first", number=2)
    (folder / "000_source.png").unlink()
    (folder / "001_source.png").unlink()
    folders = [folder, make_set("sound", number=1), tmp_path / "no"]
    faults = {str(folder): find_faults(texture_set(folder)) for folder in folders}
    with pytest.raises(UserError) as refused:
        refuse_faults(faults, hint="made by: hand")
    with pytest.raises(SystemExit):
        end_with_error(refused.value)
    assert capsys.readouterr().err.splitlines() == [
        "error: 3 faults to fix before the first edit (made by: hand):",
        f"- {folder}",
        "  - 000: source is missing (000_source.png)",
        "  - 001: source is missing (001_source.png)",
        f"- {tmp_path / 'no'}",
        "  - no such folder",
    ]


def test_one_fault_is_one_line_and_none_is_silent():
    with pytest.raises(UserError) as caught:
        refuse_faults({"a": [], "b": ["no such folder"]})
    assert str(caught.value) == "b: no such folder"
    refuse_faults({"a": [], "b": []})


def test_folder_without_triplets_is_a_fault(tmp_path):
    assert find_faults(texture_set(tmp_path)) == [
        "no triplet; expected files such as 000_source.png, 000_source_mask.png, 000_reference.png"
    ]


def test_other_formats_are_named_with_what_to_do(make_set):
    folder = make_set(number=2)
    Image.open(folder / "000_source.png").save(folder / "000_source.jpg")
    (folder / "001_reference.png").rename(folder / "001_reference.PNG")
    (folder / "001_reference_mask.png").rename(folder / "001_reference_mask.bmp")
    assert find_faults(texture_set(folder)) == [
        "000: source is there 2 times (000_source.jpg, 000_source.png); keep only 000_source.png",
        "001: reference is 001_reference.PNG; save it as PNG, 001_reference.png",
        "001: reference mask is 001_reference_mask.bmp; save it as PNG, 001_reference_mask.png",
    ]


def test_partial_and_hidden_files_are_no_samples(make_set):
    folder = make_set(number=1)
    for name in (".000_source.host-1.partial.png", "._000_source.png", "notes.txt", "contact_sheet.png"):
        (folder / name).write_bytes(b"")
    assert find_faults(texture_set(folder)) == []


def test_samples_that_would_count_twice_are_faults(make_set):
    folder = make_set(number=1)
    for part in ("source", "source_mask", "reference", "reference_mask"):
        shutil.copy(folder / f"000_{part}.png", folder / f"001_{part}.png")
    write_triplet(folder, "Hat", seed=7)
    write_triplet(folder, "hat", seed=8)
    assert find_faults(texture_set(folder)) == [
        "ids Hat and hat differ only by case; rename",
        "001: source, mask and reference are those of 000; delete one of the two",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "is not JSON"),
        ("[1]", "must map ids to texts"),
        ('{"000": 3}', "must map ids to texts"),
        ('{"000": "a", "000": "b"}', "names 000 more than once"),
        ('{"000": "a", "zzz": "b"}', "names zzz, which has no pictures"),
    ],
)
@pytest.mark.parametrize("name", ["prompts.json", "groups.json"])
def test_broken_texts_are_faults(make_set, name, text, fault):
    folder = make_set(number=1)
    (folder / name).write_text(text)
    (found,) = find_faults(texture_set(folder))
    assert found.startswith(f"{name} {fault}")


def test_what_a_metric_needs_is_a_fault_only_where_it_is_chosen(make_set):
    folder = make_set(number=3)
    (folder / "001_reference_mask.png").unlink()
    (folder / "prompts.json").write_text(json.dumps({"000": "a #red# hat", "001": "FILL IN: what", "002": " "}))
    assert find_faults(texture_set(folder)) == []
    assert find_faults(texture_set(folder), BOTH) == [
        "no reference mask (such as 000_reference_mask.png), which a chosen metric needs, for 001",
        "no prompt in prompts.json, which a chosen metric needs, for 001, 002 (2 samples)",
    ]
    (folder / "prompts.json").unlink()
    (fault,) = find_faults(texture_set(folder), frozenset({"prompt"}))
    assert fault.endswith("for 000, 001, 002 (3 samples)")


def test_antialiased_border_is_not_grey_and_a_blurred_one_is():
    disc = cv2.circle(np.zeros((200, 200), np.uint8), (100, 100), 60, 255, -1, cv2.LINE_AA)
    assert len(np.unique(disc)) > 10
    assert grey_share(disc) == 0
    assert grey_share(cv2.resize(disc, (512, 512), interpolation=cv2.INTER_LINEAR)) == 0
    assert grey_share(cv2.GaussianBlur(disc, (0, 0), 6)) > 0.05
    assert grey_share(np.full((20, 20), 128, np.uint8)) == 1


@pytest.mark.skipif(not REAL.is_dir(), reason="the real benchmark is not here; MIMICBRUSH_BENCHMARK names its folder")
@pytest.mark.parametrize(("folder", "number", "needs"), [("WithinInstance", 8, ()), ("CrossInstance", 6, BOTH)])
def test_real_benchmark_is_sound(folder, number, needs):
    real = texture_set(REAL / "TextureTrans" / folder)
    assert find_faults(real, frozenset(needs)) == []
    samples = list_samples(real)
    assert len(samples) == number
    assert all(sample.reference_mask for sample in samples)

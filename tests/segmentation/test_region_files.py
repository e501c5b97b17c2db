from __future__ import annotations

import json

import pytest

from mimicbrush.errors import UserError
from mimicbrush.segmentation.prompt import Click, SegmentationPrompt
from mimicbrush.segmentation.region_files import read_regions

FILES = ["dog/00.jpg", "dog/01.jpg"]


def test_csv_and_json_say_the_same(tmp_path):
    (tmp_path / "a.csv").write_text(
        "file,x0,y0,x1,y1,x,y,label\ndog/00.jpg,1,2,30,40,,,\ndog/00.jpg,,,,,5,6,\ndog/01.jpg,,,,,7,8,0\n"
    )
    content = {
        "dog/00.jpg": {"box": [1, 2, 30, 40], "clicks": [[5, 6]]},
        "dog/01.jpg": {"clicks": [[7, 8, 0]]},
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    expected = {
        "dog/00.jpg": SegmentationPrompt(box=(1, 2, 30, 40), clicks=(Click(5, 6, 1),)),
        "dog/01.jpg": SegmentationPrompt(clicks=(Click(7, 8, 0),)),
    }
    assert read_regions(tmp_path / "a.csv", FILES) == read_regions(tmp_path / "a.json", FILES) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y\n1,2\n", "expected the columns file; found x, y"),
        ("file,x0,y0,x1,y1\ndog/00.jpg,1,2,3,\n", "could not convert"),
        ("file,x0,y0,x1,y1\ndog/00.jpg,1,2,3,4\ndog/00.jpg,1,2,3,4\n", "line 3: gives dog/00.jpg a second box"),
        ("file,x,y\ndog/00.jpg,,\n", "neither x0 nor x"),
        ("file,x,y\ndog/07.jpg,1,2\ncat.jpg,1,2\n", "names cat.jpg, dog/07.jpg, which are not there"),
    ],
)
def test_broken_csv_is_explained(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        read_regions(tmp_path / "a.csv", FILES)


@pytest.mark.parametrize(
    "text", ["{", "[1]", '{"dog/00.jpg": 3}', '{"dog/00.jpg": {}}', '{"dog/00.jpg": {"box": [1]}}']
)
def test_broken_json_is_explained(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match="expected a CSV"):
        read_regions(tmp_path / "a.json", FILES)


def test_every_row_that_does_not_fit_is_named_by_its_line(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(
        "file,x0,y0,x1,y1,x,y\ndog/00.jpg,1,2,3,,,\ndog/01.jpg,,,,,,\ncat.jpg,1,2,3,4,,\ndog/01.jpg,,,,,a,2\n"
    )
    with pytest.raises(UserError) as raised:
        read_regions(path, FILES)
    named = [
        "line 2: could not",
        "line 3: gives dog/01.jpg neither",
        "line 5: could not",
        "names cat.jpg, which is not",
    ]
    assert len(raised.value.faults) == 4
    assert all(fault.startswith(f"{path}: {name}") for fault, name in zip(raised.value.faults, named, strict=True))


def test_regions_scale_and_know_whether_they_fit():
    region = SegmentationPrompt(box=(10, 20, 30, 40), clicks=(Click(50, 60),))
    assert region.scaled(0.5) == SegmentationPrompt(box=(5, 10, 15, 20), clicks=(Click(25, 30, 1),))
    assert region.fits(50, 60) and not region.fits(49, 60)
    assert not SegmentationPrompt(box=(10, 20, 10, 40)).fits(100, 100)

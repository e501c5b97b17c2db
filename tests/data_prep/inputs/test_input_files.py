from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from data_prep.inputs.input_files import check_file, find_files, suffix_of
from mimicbrush.errors import UnusableInput, UserError


def test_linked_folders_are_entered_once(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "in" / "deep" / "a.mp4").touch()
    (tmp_path / "elsewhere" / "b.mp4").touch()
    (tmp_path / "in" / "deep" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    found = sorted(path.name for path in find_files(tmp_path / "in", output=tmp_path / "out", passed_over=Counter()))
    assert found == ["a.mp4", "b.mp4"]


def test_hidden_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".cache").mkdir()
    for name in (".cache/a.mp4", ".b.mp4", "c.mp4"):
        (tmp_path / name).touch()
    assert [path.name for path in find_files(tmp_path, output=tmp_path / "out", passed_over=Counter())] == ["c.mp4"]


def test_what_is_no_file_says_what_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, reason in (("pipe", "not_a_file"), ("gone", "missing"), (".", "unreadable_folder")):
        with pytest.raises(UnusableInput) as caught:
            check_file(tmp_path / name)
        assert caught.value.reason == reason


def test_folders_of_shards_are_not_entered(tmp_path: Path) -> None:
    config = "videos: clips\nstills: null\noutput: out\n"
    for folder, name, content in (
        ("shards", "config.yaml", config),
        ("copied", "videos-000000.json", json.dumps({"pairs": 0, "sha256": "", "keys": [], "inputs": {}})),
        ("other", "config.yaml", "learning_rate: 1"),
        ("numbered", "img-000000.json", json.dumps({"annotations": []})),
        ("out", "a.jpg", ""),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(content)
        (tmp_path / folder / f"{folder}.mp4").touch()
    (tmp_path / "link to out").symlink_to(tmp_path / "out")
    passed_over: Counter[str] = Counter()
    found = find_files(tmp_path, output=tmp_path / "link to out", passed_over=passed_over)
    assert {path.name for path in found if path.suffix == ".mp4"} == {"other.mp4", "numbered.mp4"}
    assert passed_over == {"folder of shards": 2}
    with pytest.raises(UserError, match="is a folder of shards"):
        list(find_files(tmp_path / "shards", output=tmp_path / "out", passed_over=passed_over))
    with pytest.raises(UserError, match="is also the output"):
        list(find_files(tmp_path / "out", output=tmp_path / "link to out", passed_over=passed_over))


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.MP4", ".mp4"),
        ("a.tar.gz", ".gz"),
        ("README", "without suffix"),
        ("10.5 km", "without suffix"),
        ("2024.01.31", "without suffix"),
        (".hidden", "without suffix"),
        ("a.dvr-ms", ".dvr-ms"),
        ("a.mp4~", ".mp4~"),
    ],
)
def test_suffixes_are_short_words(name: str, suffix: str) -> None:
    assert suffix_of(name) == suffix

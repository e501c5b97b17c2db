from __future__ import annotations

import os
from pathlib import Path

import pytest

from data_prep.input_files import check_file, find_files, list_videos
from mimicbrush.errors import UnusableInput


def test_linked_folders_are_entered_once(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "in" / "deep" / "a.mp4").touch()
    (tmp_path / "elsewhere" / "b.mp4").touch()
    (tmp_path / "in" / "deep" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    found = sorted(path.name for path in find_files(tmp_path / "in"))
    assert found == ["a.mp4", "b.mp4"]


def test_hidden_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".cache").mkdir()
    for name in (".cache/a.mp4", ".b.mp4", "c.mp4"):
        (tmp_path / name).touch()
    assert [path.name for path in find_files(tmp_path)] == ["c.mp4"]


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "a.mp4").touch()
    scan = os.scandir

    def refuse(path: str) -> object:
        if Path(path).name == "closed":  # chmod does not stop root
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert list(list_videos(tmp_path)) == ["a.mp4", "closed"]


def test_strange_names_and_equal_names_are_kept_apart(tmp_path: Path) -> None:
    names = ["with space.mp4", "new\nline.mp4", "日本語.mp4", "x/same.mp4", "y/same.mp4", "<b>&.mp4"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert sorted(list_videos(tmp_path)) == sorted(names)


def test_a_list_names_each_clip_once(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.mp4\n./a.mp4\ndeep/../a.mp4\nb.mp4\n")
    assert list(list_videos(tmp_path / "list.txt")) == ["a.mp4", "b.mp4"]


def test_names_of_other_bytes_are_other_names(tmp_path: Path) -> None:
    for byte in (b"\xff", b"\xfe"):
        Path(os.fsdecode(bytes(tmp_path) + b"/" + byte + b".mp4")).touch()
    assert list(list_videos(tmp_path)) == ["\\xfe.mp4", "\\xff.mp4"]


def test_a_list_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.mp4\r\nb.mp4\r\n", encoding="utf-8-sig")
    assert list(list_videos(tmp_path / "list.txt")) == ["a.mp4", "b.mp4"]


def test_what_is_no_file_says_what_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, reason in (("pipe", "not_a_file"), ("gone", "missing"), (".", "unreadable_folder")):
        with pytest.raises(UnusableInput) as caught:
            check_file(tmp_path / name)
        assert caught.value.reason == reason

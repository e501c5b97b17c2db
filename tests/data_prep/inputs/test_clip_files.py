from __future__ import annotations

import os
from pathlib import Path

import av
import pytest

from data_prep.inputs.clip_files import list_videos, require_videos
from mimicbrush.errors import UserError
from tests.data_prep.conftest import forbid, panning_frames, write_clip


def names_in(videos: Path) -> list[str]:
    return list(list_videos(videos, output=videos.parent / "out").clips)


def write_list(folder: Path, content: str | bytes) -> Path:
    path = folder / "list.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "a.mp4").touch()
    scan = os.scandir

    def refuse(path: str) -> object:
        if Path(path).name == "closed":  # chmod does not stop root
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert names_in(tmp_path) == ["a.mp4", "closed"]


def test_strange_names_and_equal_names_are_kept_apart(tmp_path: Path) -> None:
    names = ["with space.mp4", "new\nline.mp4", "日本語.mp4", "x/same.mp4", "y/same.mp4", "<b>&.mp4"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert names_in(tmp_path) == sorted(names)


def test_a_list_names_each_clip_once(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.mp4\n./a.mp4\ndeep/../a.mp4\nb.mp4\n")
    assert names_in(tmp_path / "list.txt") == ["a.mp4", "b.mp4"]


def test_names_of_other_bytes_are_other_names(tmp_path: Path) -> None:
    for byte in (b"\xff", b"\xfe"):
        Path(os.fsdecode(bytes(tmp_path) + b"/" + byte + b".mp4")).touch()
    assert names_in(tmp_path) == ["\\xfe.mp4", "\\xff.mp4"]


def test_a_list_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.mp4\r\nb.mp4\r\n", encoding="utf-8-sig")
    assert names_in(tmp_path / "list.txt") == ["a.mp4", "b.mp4"]


def test_other_files_are_counted_by_suffix(tmp_path: Path) -> None:
    for name in ("a.MTS", "b.vob", "c.gif", "d.json", "e.json", "f.TXT", "g.jpg", "h.mp4.part"):
        (tmp_path / name).touch()
    (tmp_path / "LICENSE").write_text("Permission is granted")
    listed = list_videos(tmp_path, output=tmp_path / "out")
    assert list(listed.clips) == ["a.MTS", "b.vob", "c.gif"]
    assert listed.passed_over == {".json": 2, "without suffix": 1, ".txt": 1, ".jpg": 1, ".part": 1}


def test_one_rule_for_folder_and_list(tmp_path: Path) -> None:
    names = ["a.MTS", "b.json", "c", "d.dat", "e"]
    for name in names:
        (tmp_path / name).write_bytes(b"\x1aE\xdf\xa3" if name in ("c", "d.dat") else b"text")
    from_folder = list_videos(tmp_path, output=tmp_path / "out")
    from_list = list_videos(write_list(tmp_path, "\n".join(names)), output=tmp_path / "out")
    assert from_folder == from_list
    assert list(from_list.clips) == ["a.MTS", "c", "d.dat"]


@pytest.mark.parametrize(
    "suffix", ["mp4", "mov", "mkv", "avi", "flv", "ts", "mpg", "ogv", "mxf", "gif", "wmv", "3gp", "m2ts"]
)
def test_a_clip_is_known_by_its_content(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"clip.{suffix}"
    codec = {"gif": "gif", "ogv": "libvpx", "flv": "flv", "wmv": "wmv2", "mpg": "mpeg2video", "mxf": "mpeg2video"}.get(
        suffix, "mpeg4"
    )
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "rgb8" if suffix == "gif" else "yuv420p"
        for image in panning_frames(0, num=3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    path.rename(tmp_path / "clip")
    assert names_in(tmp_path) == ["clip"]


def test_names_in_a_list_may_hold_anything_but_line_feeds(tmp_path: Path) -> None:
    names = ["#a.mp4", " b.mp4", "c.mp4 ", "d\u2028e.mp4", "f\x0bg\x85h.mp4", "i\rj.mp4"]
    for name in names:
        (tmp_path / name).touch()
    Path(os.fsdecode(bytes(tmp_path) + b"/k\xff.mp4")).touch()
    (tmp_path / "l.mp4").touch()
    lines = ["# a comment", "#gone.mp4", "", "  ", "\t", *names, "  l.mp4  "]
    listed = write_list(tmp_path, "\r\n".join(lines).encode() + b"\nk\xff.mp4")
    assert names_in(listed) == sorted([*names, "k\\xff.mp4", "l.mp4"])
    assert all(path.is_file() for path in list_videos(listed, output=tmp_path / "out").clips.values())


def test_a_list_may_name_folders_homes_and_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lists", "deep/er", "home"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("deep/a.mp4", "deep/er/b.mp4", "deep/c.txt", "home/d.mp4", "e.mp4"):
        (tmp_path / name).touch()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    listed = write_list(tmp_path, f"deep/\n~/d.mp4\n{tmp_path}/e.mp4\ndeep/a.mp4\n./deep/../e.mp4\ngone.mp4\n")
    clips, passed_over = list_videos(listed, output=tmp_path / "out")
    assert list(clips) == [f"{tmp_path}/e.mp4", "deep/a.mp4", "deep/er/b.mp4", "gone.mp4", "~/d.mp4"]
    assert clips["~/d.mp4"] == tmp_path / "home" / "d.mp4"
    assert passed_over == {"named twice": 2, ".txt": 1}


def test_a_folder_may_have_the_name_of_a_clip(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4" / "a.mp4", num=2)
    assert names_in(tmp_path) == ["clip.mp4/a.mp4"]


def test_what_lists_nothing_says_what_was_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.json").touch()
    with pytest.raises(UserError, match=r"holds no video \(passed over: 1 \.json\)"):
        names_in(tmp_path)
    with pytest.raises(UserError, match="neither a folder of videos nor a text file"):
        names_in(write_list(tmp_path, "a.mp4\n".encode("utf-16")))
    with pytest.raises(UserError, match="lists no video; expected one path per line"):
        names_in(write_list(tmp_path, b"# nothing\n"))


def test_a_single_clip_or_an_address_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a.MP4").touch()
    with pytest.raises(UserError, match="is a single video; pass its folder"):
        require_videos(tmp_path / "a.MP4")
    with pytest.raises(UserError, match="is an address; clips and stills are read from this machine"):
        require_videos(Path("s3://bucket/clips"))


def test_a_list_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = write_list(tmp_path, b"a.mp4\n")
    monkeypatch.setattr(Path, "read_bytes", forbid)
    with pytest.raises(UserError, match="no permission to read the list"):
        names_in(listed)

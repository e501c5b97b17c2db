from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from data_prep.inputs.still_files import ListedStills, list_stills
from data_prep.inputs.unpacked_tars import remove_unused_copies
from mimicbrush.errors import UnusableInput
from mimicbrush.folder_lock import held
from tests.data_prep.conftest import forbid


def touch(folder: Path, *names: str) -> ListedStills:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return list_stills(folder, output=folder / "out")


def paired(listed: ListedStills) -> dict[str, tuple[str, str]]:
    """The contents of each still's picture and annotations, which `touch` writes as their names."""
    return {
        name: tuple(extent.read().decode() if extent else "" for extent in files)
        for name, files in listed.stills.items()
    }


def test_pictures_and_annotations_may_lie_in_two_folders(tmp_path: Path) -> None:
    listed = touch(
        tmp_path,
        *("set/images/train/1.jpg", "set/images/train/2.jpg", "set/annotations/train/1.json"),
        *("beside/3.jpg", "beside/3.json"),
    )
    assert paired(listed) == {
        "beside/3": ("beside/3.jpg", "beside/3.json"),
        "set/images/train/1": ("set/images/train/1.jpg", "set/annotations/train/1.json"),
        "set/images/train/2": ("set/images/train/2.jpg", ""),
    }


def test_only_folders_of_one_kind_belong_together(tmp_path: Path) -> None:
    names = (
        "a/1.jpg",
        "a/2.jpg",
        "a/2.json",
        "b/1.json",
        "c/3.jpg",
        "d/3.json",
        "e/3.json",
        "f/4.jpg",
        "g/4.jpg",
        "h/4.json",
    )
    listed = paired(touch(tmp_path, *names))
    assert {name: pair for name, pair in listed.items() if all(pair)} == {"a/2": ("a/2.jpg", "a/2.json")}
    assert len(listed) == 9


def test_other_files_are_counted(tmp_path: Path) -> None:
    listed = touch(tmp_path, "1.jpg", "1.png", "1.json", "notes.txt", "set.zip", "LICENSE")
    assert paired(listed) == {"1": ("1.jpg", "1.json")}
    assert listed.passed_over == {"without suffix": 1, ".png": 1, ".txt": 1, ".zip": 1}


def pack(tar: Path, names: list[str], *, compress: Callable[[bytes], bytes] = bytes) -> Path:
    """Write a tar of files that hold their names."""
    plain = tar.with_name("plain")
    with tarfile.open(plain, "w") as archive:
        for name in names:
            (tar.parent / "member").write_bytes(os.urandom(5000) + name.encode())
            archive.add(tar.parent / "member", name)
    (tar.parent / "member").unlink()
    tar.write_bytes(compress(plain.read_bytes()))
    plain.unlink()
    return tar


@pytest.mark.parametrize(
    ("name", "compress"),
    [
        ("x.TAR", bytes),
        ("x.tar.gz", gzip.compress),
        ("x.TGZ", gzip.compress),
        ("x.tar", gzip.compress),
        ("x.tar.bz2", bz2.compress),
        ("x.tar.xz", lzma.compress),
    ],
)
def test_compressed_tars_are_read(name: str, compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    pack(tmp_path / "in" / name, ["a.jpg", "a.json", "deep/b.jpg"], compress=compress)
    for listed in (
        list_stills(tmp_path / "in", output=tmp_path / "out"),
        list_stills(tmp_path / "in" / name, output=tmp_path / "out"),
    ):
        assert [(still, bool(files.picture), bool(files.annotations)) for still, files in listed.stills.items()] == [
            (f"{name}/a", True, True),
            (f"{name}/deep/b", True, False),
        ]
        assert listed.stills[f"{name}/a"].annotations.read().endswith(b"a.json")
    copies = list((tmp_path / "out" / ".unpacked").glob("*.tar"))
    assert len(copies) == (compress is not bytes)


@pytest.mark.parametrize(
    "damage", [lambda packed: packed[:-4000], lambda packed: packed[:-4000] + bytes(4000)], ids=["cut", "zeros"]
)
def test_what_stands_before_damage_in_a_compressed_tar_is_listed(
    damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    names = ["a.jpg", "a.json", "b.jpg"]
    tar = pack(tmp_path / "x.tgz", names, compress=lambda plain: damage(gzip.compress(plain)))
    for _ in range(2):  # made, then reused
        stills = list_stills(tar, output=tmp_path / "out").stills
        assert stills["x.tgz/a"].picture.read().endswith(b"a.jpg")
        assert stills["x.tgz"].annotations.fault.startswith("truncated: ")


def test_a_copy_is_made_once_and_states_the_age_of_its_tar(tmp_path: Path) -> None:
    tar = pack(tmp_path / "x.tgz", ["a.jpg", "a.json"], compress=gzip.compress)
    first = list_stills(tar, output=tmp_path / "out").stills["x.tgz/a"]
    assert first.state.modified == [tar.stat().st_mtime_ns] * 2
    made = first.picture.path.stat().st_ino
    assert list_stills(tar, output=tmp_path / "out").stills["x.tgz/a"].picture.path.stat().st_ino == made


def test_padding_after_a_tar_is_no_damage(tmp_path: Path) -> None:
    tar = pack(tmp_path / "x.tar", ["a.jpg", "a.json"])
    for padding in (512, 10240, 100_000):
        tar.write_bytes(tar.read_bytes() + bytes(padding))
        assert list(list_stills(tar, output=tmp_path / "out").stills) == ["x.tar/a"]


def test_copies_in_use_are_left_alone(tmp_path: Path) -> None:
    tar = pack(tmp_path / "x.tgz", ["a.jpg", "a.json"], compress=gzip.compress)
    files = list_stills(tar, output=tmp_path / "out").stills["x.tgz/a"]
    with held(tmp_path / "out", share="0001"):
        remove_unused_copies(tmp_path / "out")
    assert files.picture.path.is_file()
    remove_unused_copies(tmp_path / "out")
    assert not files.picture.path.exists()


def test_a_still_that_may_not_be_read_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = touch(tmp_path, "a.jpg").stills["a"].picture
    monkeypatch.setattr(Path, "open", forbid)
    with pytest.raises(UnusableInput, match="no_permission") as caught:
        picture.read()
    assert caught.value.reason == "no_permission"

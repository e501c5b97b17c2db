"""Files are written atomically, also in a power cut; required packages have minimum versions."""

from __future__ import annotations

import errno
import os
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from mimicbrush.errors import UserError
from mimicbrush.files import check_writable, is_there, list_pictures, refuse_file_name, sync, whole, whole_folder
from tests.conftest import REPOSITORY


def test_a_file_is_on_the_disk_before_its_name_and_both_before_whole_returns(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda number: (done.append(os.fstat(number).st_ino), fsync(number)))
    monkeypatch.setattr(Path, "replace", lambda path, target: (done.append("renamed"), replace(path, target))[1])
    path = tmp_path / "a.txt"
    with whole(path) as partial:
        partial.write_text("x")
    assert done == [path.stat().st_ino, "renamed", tmp_path.stat().st_ino]


def test_a_disk_that_fails_while_syncing_leaves_the_file_before(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("before")

    def fail(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UserError, match="No space left on device"), whole(path) as partial:
        partial.write_text("after")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["before"]


def test_a_file_system_that_cannot_sync_folders_is_accepted(tmp_path, monkeypatch):
    def fail(number):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", fail)
    sync(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Invalid argument"):
        sync(tmp_path / "file")


def test_a_folder_appears_whole_or_not_at_all_and_under_no_name_that_two_share(tmp_path):
    with whole_folder(tmp_path / "made") as partial:
        (partial / "inside").mkdir(parents=True)
        (partial / "inside" / "a.txt").write_text("x")
        assert str(os.getpid()) in partial.name
        assert not (tmp_path / "made").exists()
    assert (tmp_path / "made" / "inside" / "a.txt").read_text() == "x"
    with (
        pytest.raises(UserError, match=r"^/proc/made: cannot be written \(.*\); choose another output"),
        whole_folder(Path("/proc/made")),
    ):
        pass
    with pytest.raises(UserError, match="made exists; choose another output"), whole_folder(tmp_path / "made"):
        pass
    with pytest.raises(UserError, match="was created by another"), whole_folder(tmp_path / "other") as partial:
        (tmp_path / "other").mkdir()
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "stopped") as partial:
        assert list(partial.iterdir()) == []
        raise KeyboardInterrupt
    assert {path.name for path in tmp_path.iterdir()} == {"made", "other"}
    # Left by a killed process with the same number.
    (partial / "stale").mkdir(parents=True)
    with whole_folder(tmp_path / "stopped") as partial:
        assert list(partial.iterdir()) == []
    assert not list((tmp_path / "stopped").iterdir())


@pytest.mark.parametrize(
    ("name", "faulty"),
    [("lightning", "2.6.5"), ("torch", "2.9.1"), ("transformers", "5.4"), ("pillow", "12.2"), ("gradio", "6.6")],
)
def test_minimum_versions_exclude_known_vulnerabilities(name, faulty):
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    listed = map(Requirement, [*project["dependencies"], *project["optional-dependencies"]["demo"]])
    allowed = next(requirement.specifier for requirement in listed if requirement.name == name)
    assert not allowed.contains(faulty)
    pin = next(
        line for line in (REPOSITORY / "constraints.txt").read_text().splitlines() if line.startswith(f"{name}==")
    )
    assert allowed.contains(pin.partition("==")[2])


def test_an_output_folder_is_not_named_like_a_file(tmp_path):
    for name in ("run.ckpt", "results.csv", "run.PT"):
        with pytest.raises(UserError, match=f"{name} would become a folder, but ends in"):
            refuse_file_name(tmp_path / name)
    (tmp_path / "old.pt").mkdir()
    for name in ("run", "v1.5", "run.final", "old.pt"):
        refuse_file_name(tmp_path / name)


def test_checking_a_place_leaves_no_folders(tmp_path):
    check_writable(tmp_path / "new" / "newer" / "a.png")
    assert not list(tmp_path.iterdir())
    (tmp_path / "text.png").touch()
    with pytest.raises(UserError, match=r"text\.png is a file, not a folder"):
        check_writable(tmp_path / "text.png" / "new" / "a.png")


def test_a_text_that_is_too_long_for_a_name_is_not_there(tmp_path):
    assert is_there(tmp_path) and not is_there(tmp_path / "absent") and not is_there(tmp_path / ("a red box " * 60))


def test_pictures_of_a_folder_are_listed_by_name_without_hidden_files(tmp_path):
    for name in ("b.PNG", "a.jpg", "._a.jpg", "notes.txt", "deeper/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in list_pictures(tmp_path)] == ["a.jpg", "b.PNG"]

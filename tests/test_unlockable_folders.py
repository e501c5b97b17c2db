"""Places that cannot be folders or be written to are named when a command wants to hold them."""

from __future__ import annotations

import errno
import os

import pytest

from mimicbrush.errors import UserError
from mimicbrush.folder_lock import held


def test_a_place_that_cannot_be_a_folder_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be made"), held(tmp_path / "file" / "run"):
        pass


def test_a_name_of_a_file_is_refused_and_nothing_made(tmp_path):
    with pytest.raises(UserError, match=r"x\.csv would become a folder"), held(tmp_path / "new" / "x.csv"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_reported(tmp_path, monkeypatch):
    def fail(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UserError, match=r"cannot be written \(No space left on device\)"), held(tmp_path / "run"):
        pass


def test_a_file_system_that_is_gone_does_not_hide_why_a_command_ended(tmp_path, monkeypatch):
    def fail(*args: object) -> None:
        raise OSError(errno.ESTALE, "stale file handle")

    with pytest.raises(UserError, match="the reason"), held(tmp_path / "run"):
        monkeypatch.setattr(os, "ftruncate", fail)
        raise UserError("the reason")


def test_a_note_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    def fail(*args: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(UserError, match="no space left"), held(tmp_path / "run"):
        pass
    assert not (tmp_path / "run").exists()

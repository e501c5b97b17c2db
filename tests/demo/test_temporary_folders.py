from __future__ import annotations

import math
import os
import tempfile
from time import time

import pytest

from mimicbrush.demo.temporary_folders import KEPT_SECONDS, temporary_folders


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Use an empty folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("GRADIO_TEMP_DIR", "GRADIO_EXAMPLES_CACHE"):
        monkeypatch.setenv(name, "")
    return tmp_path


def test_folders_are_deleted_however_the_page_ends(temporary):
    with pytest.raises(KeyboardInterrupt), temporary_folders() as folders:
        (folders.new_folder() / "picture.png").touch()
        assert len(list(temporary.glob("mimicbrush-demo-*/made/*/picture.png"))) == 1
        raise KeyboardInterrupt
    assert not list(temporary.iterdir())


def test_folders_of_a_killed_page_are_deleted_but_not_those_of_a_running_page(temporary):
    killed = temporary / "mimicbrush-demo-killed"
    killed.mkdir()
    (killed / "lock").touch()
    (killed / "picture.png").touch()
    with temporary_folders() as running:
        assert not killed.exists()
        with temporary_folders():
            assert running.served.is_dir()


def test_the_oldest_files_are_deleted_to_make_room_but_never_permanent_ones(temporary):
    with temporary_folders(max_bytes=250_000) as folders:
        (folders.served / "example").mkdir()
        (folders.served / "example" / "e.png").write_bytes(bytes(200_000))
        folders.keep_present()
        places = [folders.served / "upload", folders.new_folder(), folders.served / "temporary"]
        for age, place in zip((30, 20, 10), places, strict=True):
            path = place if place.name == "temporary" else place / "p.png"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(bytes(100_000))
            for changed in (path, place):
                os.utime(changed, (time() - age, time() - age))
        folders.make_room()
        assert [place.exists() for place in places] == [False, True, True]
        assert (folders.served / "example" / "e.png").exists()


def test_files_are_deleted_after_a_day_but_not_the_folder_of_a_running_edit(temporary):
    with temporary_folders(max_bytes=0) as folders:
        running, aborted = folders.new_folder(), folders.served / "tmp"
        with folders.in_use(running):
            folders.make_room()
            assert running.exists()
            folders.max_bytes = math.inf
            aborted.touch()
            folders.make_room()
            assert aborted.exists()
            for place in (running, aborted):
                os.utime(place, (time() - KEPT_SECONDS - 1,) * 2)
            folders.make_room()
            assert running.exists() and not aborted.exists()
        folders.make_room()
        assert not running.exists()

from __future__ import annotations

import tempfile

import pytest

from mimicbrush.demo.temporary_folders import temporary_folders


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

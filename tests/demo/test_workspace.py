from __future__ import annotations

import tempfile

import pytest

from mimicbrush.demo.workspace import temporary_workspace


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder of temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("GRADIO_TEMP_DIR", "GRADIO_EXAMPLES_CACHE"):
        monkeypatch.setenv(name, "")
    return tmp_path


def test_it_is_deleted_at_the_end_however_the_page_ends(temporary):
    with pytest.raises(KeyboardInterrupt), temporary_workspace() as workspace:
        (workspace.folder() / "picture.png").touch()
        assert len(list(temporary.glob("mimicbrush-demo-*/made/*/picture.png"))) == 1
        raise KeyboardInterrupt
    assert not list(temporary.iterdir())


def test_a_killed_pages_uploads_are_deleted_by_the_next_page_and_a_running_pages_are_not(temporary):
    killed = temporary / "mimicbrush-demo-killed"
    killed.mkdir()
    (killed / "lock").touch()
    (killed / "picture.png").touch()
    with temporary_workspace() as running:
        assert not killed.exists()
        with temporary_workspace():
            assert running.served.is_dir()

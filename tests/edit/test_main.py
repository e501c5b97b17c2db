from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mimicbrush.edit import editing
from tests.edit.conftest import BATCH, arguments_for, ended, write_batch

ROOT = Path(__file__).parents[2]


def test_ctrl_c_while_libraries_load_ends_in_one_line(tmp_path):
    """A torch whose import is interrupted stands for the seconds that the true one takes."""
    (tmp_path / "torch.py").write_text("raise KeyboardInterrupt")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-m", "mimicbrush.edit", "--help"], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (130, "stopped; the same command begins anew\n")


@pytest.mark.parametrize("several", [False, True])
def test_ctrl_c_while_editing_says_what_is_left_to_do(pictures, monkeypatch, capsys, several):
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(editing, "load_pipeline", lambda _: object())
    monkeypatch.setattr(editing, "edit", interrupt)
    options = {**BATCH, "batch": write_batch(pictures, {"output": "a.png"})} if several else {}
    status, lines = ended(monkeypatch, capsys, *arguments_for(pictures, **options))
    said = "what is written stays, and the same command makes the rest" if several else "the same command begins anew"
    assert (status, lines) == (130, [f"stopped; {said}"])

from __future__ import annotations

import json

import pytest

from mimicbrush.errors import run_command
from mimicbrush.evaluation.build.__main__ import main
from mimicbrush.folder_lock import held


def run(monkeypatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["build", *arguments])
    run_command(main)


def test_a_set_is_built_and_checked_from_the_shell(make_photographs, tmp_path, monkeypatch, capsys):
    folder = make_photographs("dog/00.jpg", "dog/01.jpg")
    boxes = {f"dog/0{number}.jpg": {"box": [40, 45, 100, 105]} for number in range(2)}
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    masks = ["--subjects.masks.method", "box", "--subjects.masks.regions", str(tmp_path / "boxes.json")]
    output = ["--output", str(tmp_path / "set")]
    build = ["inner_id", "--subjects.folder", str(folder), "--task", "parts", *masks, *output]
    with held(tmp_path / "set"), pytest.raises(SystemExit, match="2"):
        run(monkeypatch, *build)
    assert f"error: {tmp_path / 'set'} is held by process" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, *build, "--output", str(tmp_path / "set.png"))
    assert "set.png would become a folder" in capsys.readouterr().err and not (tmp_path / "set.png").exists()
    run(monkeypatch, *build)
    run(monkeypatch, "check", "--folder", str(tmp_path / "set"), "--needs", "[reference_mask]")
    assert f"{tmp_path / 'set'}: sound; 1 samples, 1 reference masks, 0 prompts" in capsys.readouterr().out
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, "check", "--folder", str(tmp_path / "set"), "--needs", "[prompt]")
    assert end.value.code == 2
    assert "no prompt in prompts.json" in capsys.readouterr().err


def test_what_is_missing_is_said_in_one_line(make_photographs, tmp_path, monkeypatch, capsys):
    folder = make_photographs("dog/00.jpg", "dog/01.jpg")
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, "inner_id", "--subjects.folder", str(folder), "--task", "parts", "--output", str(tmp_path))
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("error: task parts needs to know which part: give subjects.masks.regions")

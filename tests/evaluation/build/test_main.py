from __future__ import annotations

import json

import pytest

from mimicbrush.command import call_command
from mimicbrush.errors import UserError
from mimicbrush.evaluation.build.__main__ import COMMANDS
from mimicbrush.folder_lock import held


def run(*arguments: str) -> None:
    call_command(COMMANDS, arguments)


def test_a_set_is_built_and_checked_from_the_shell(make_photographs, tmp_path, capsys):
    folder = make_photographs("dog/00.jpg", "dog/01.jpg")
    boxes = {f"dog/0{number}.jpg": {"box": [40, 45, 100, 105]} for number in range(2)}
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    masks = ["--subjects.masks.method", "box", "--subjects.masks.regions", str(tmp_path / "boxes.json")]
    output = ["--output", str(tmp_path / "set")]
    build = ["inner_id", "--subjects.folder", str(folder), "--task", "parts", *masks, *output]
    with held(tmp_path / "set"), pytest.raises(UserError, match=rf"{tmp_path / 'set'} is held by process"):
        run(*build)
    with pytest.raises(UserError, match=r"set\.png would become a folder"):
        run(*build, "--output", str(tmp_path / "set.png"))
    assert not (tmp_path / "set.png").exists()
    run(*build)
    run("check", "--folder", str(tmp_path / "set"), "--needs", "[reference_mask]")
    assert f"{tmp_path / 'set'}: sound; 1 samples, 1 reference masks, 0 prompts" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"no prompt in prompts\.json"):
        run("check", "--folder", str(tmp_path / "set"), "--needs", "[prompt]")


def test_what_is_missing_is_said_in_one_line(make_photographs, tmp_path):
    folder = make_photographs("dog/00.jpg", "dog/01.jpg")
    with pytest.raises(UserError, match=r"^task parts needs to know which part: give subjects\.masks\.regions"):
        run("inner_id", "--subjects.folder", str(folder), "--task", "parts", "--output", str(tmp_path))


def test_all_inputs_that_are_missing_are_named(tmp_path):
    missing = ["--sources.folder", str(tmp_path / "sources"), "--references.folder", str(tmp_path / "references")]
    output = ["--task", "texture", "--output", str(tmp_path / "set"), "--pairs", str(tmp_path / "pairs.csv")]
    with pytest.raises(UserError) as caught:
        run("inter_id", *missing, *output)
    for fault, name in zip(caught.value.faults, ("sources: no such", "references: no such", "pairs.csv"), strict=True):
        assert name in fault

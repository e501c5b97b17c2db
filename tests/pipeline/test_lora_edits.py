"""Edits with a LoRA file, in the shell, in batches and replays, and from the page."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mimicbrush.demo.edit_zip import write_zip
from mimicbrush.edit.kinds.reference_edit import ReferenceEditConfig
from mimicbrush.errors import UserError
from mimicbrush.model.weights.lora_export import export_lora
from tests.edit.conftest import BATCH, arguments_for, pixels, run, write_batch


def test_the_shell_edits_with_base_and_file_as_with_the_run(lora_folder, tmp_path):
    edit = {"weights": lora_folder / "base", "lora": lora_folder / "lora.safetensors", "guidance_scale": 3}
    for name, options in {
        "run": {"weights": lora_folder / "run", "lora": None},
        "lora": {},
        "half": {"lora_scale": 0.5},
        "none": {"lora_scale": 0},
        "base": {"lora": None},
    }.items():
        run(*arguments_for(lora_folder, **edit | options | {"output": tmp_path / f"{name}.png"}))
    run("--replay", tmp_path / "half.png", "--output", tmp_path / "again.png")
    found = {path.stem: pixels(path).astype(int) for path in tmp_path.glob("*.png")}
    assert abs(found["lora"] - found["run"]).max() <= 1
    assert np.array_equal(found["none"], found["base"])
    assert np.array_equal(found["again"], found["half"])
    assert abs(found["lora"] - found["base"]).max() > 8
    assert abs(found["half"] - found["lora"]).max() > 2
    recorded = json.loads(Image.open(tmp_path / "half.png").info["mimicbrush"])
    assert (recorded["lora"], recorded["lora_scale"]) == (str(lora_folder / "lora.safetensors"), 0.5)
    assert len(recorded["sha256"]["lora"][0]) == 64


def test_a_batch_uses_the_file_and_a_replay_notices_that_it_changed(lora_folder, tmp_path, capsys):
    for name in ("s.png", "m.png", "r.png", "lora.safetensors"):
        shutil.copy(lora_folder / name, tmp_path)
    options = {"weights": lora_folder / "base", "lora": tmp_path / "lora.safetensors"}
    batch = write_batch(tmp_path, {"output": "a.png"}, {"output": "b.png", "seed": "1"})
    run(*arguments_for(tmp_path, **options | BATCH, batch=batch))
    run(*arguments_for(tmp_path, **options))
    assert np.array_equal(pixels(tmp_path / "a.png"), pixels(tmp_path / "e.png"))
    with pytest.raises(UserError, match="2 lines were skipped"):
        run(*arguments_for(tmp_path, **options | BATCH | {"lora": None}, batch=batch))
    said = capsys.readouterr().err
    assert re.search(r"a\.png exists and was made with other settings \(lora was .*is None\)", said)
    export_lora(str(lora_folder / "run"), tmp_path / "lora.safetensors", use_ema=False)
    replay = ("--replay", tmp_path / "a.png", "--output", tmp_path / "again.png")
    with pytest.raises(UserError, match=r"^lora .*lora\.safetensors has changed since .*a\.png was made"):
        run(*replay)
    (tmp_path / "lora.safetensors").unlink()
    with pytest.raises(UserError, match=r"lora is .*lora\.safetensors, where no file is"):
        run(*replay)
    run(*replay, "--lora", lora_folder / "lora.safetensors")
    assert np.array_equal(pixels(tmp_path / "again.png"), pixels(tmp_path / "a.png"))


def test_a_result_from_before_there_were_lora_files_was_made_without(lora_folder, tmp_path, capsys):
    for name in ("s.png", "m.png", "r.png"):
        shutil.copy(lora_folder / name, tmp_path)
    batch = write_batch(tmp_path, {"output": "a.png"})
    options = BATCH | {"weights": lora_folder / "base", "batch": batch}
    run(*arguments_for(tmp_path, **options))
    forget(tmp_path / "a.png", "lora", "lora_scale")
    run(*arguments_for(tmp_path, **options))
    with pytest.raises(UserError, match="line 2 was skipped"):
        run(*arguments_for(tmp_path, **options, lora=lora_folder / "lora.safetensors"))
    assert re.search(r"made with other settings \(lora was None, is .*lora\.safetensors\)", capsys.readouterr().err)


def forget(path: Path, *names: str) -> None:
    picture = Image.open(path)
    settings = {name: value for name, value in json.loads(picture.info["mimicbrush"]).items() if name not in names}
    note = PngInfo()
    note.add_text("mimicbrush", json.dumps(settings))
    picture.save(path, pnginfo=note)


def test_the_pages_zip_says_that_a_file_was_used(lora_folder, tmp_path):
    for name in ("s.png", "m.png", "r.png"):
        shutil.copy(lora_folder / name, tmp_path)
    shutil.copy(tmp_path / "s.png", tmp_path / "e.png")
    pictures = {"source": "s", "mask": "m", "reference": "r", "output": "e"}
    options = {option: tmp_path / f"{name}.png" for option, name in pictures.items()}
    with zipfile.ZipFile(
        write_zip(ReferenceEditConfig(weights="runs/x", lora=lora_folder / "lora.safetensors", **options))
    ) as archive:
        assert b"--weights WEIGHTS --lora LORA --replay" in archive.read("edit/replay.txt")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"lora": "absent.safetensors"}, r"lora is absent\.safetensors, where no file is"),
        ({"lora_scale": 0.5}, r"lora_scale is 0\.5, but no lora is given"),
        ({"lora": "lora.safetensors", "lora_scale": ".inf"}, "lora_scale is inf, expected a finite number"),
        ({"lora": "m.png"}, "not a readable safetensors file"),
    ],
)
def test_an_edit_that_cannot_use_its_file_says_so(lora_folder, monkeypatch, options, match):
    monkeypatch.chdir(lora_folder)
    with pytest.raises(UserError, match=match):
        run(*arguments_for(lora_folder, weights=lora_folder / "base", **options))
    assert not (lora_folder / "e.png").exists()

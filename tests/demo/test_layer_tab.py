from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from mimicbrush.command import call_command
from mimicbrush.demo.config import DemoConfig, Limits
from mimicbrush.demo.edit_queue import SupersededError
from mimicbrush.demo.painter import to_browser
from mimicbrush.demo.result_panel import ResultPanel
from mimicbrush.demo.server import load_editors
from mimicbrush.demo.shared_editor import SharedEditor
from mimicbrush.demo.tabs.layer_tab import LayerHandlers
from mimicbrush.edit.record import read_settings
from mimicbrush.edit.subcommands import COMMANDS
from mimicbrush.requests import LayerRequest
from tests.editors.example_layer_editor import RedLayer

EDITOR = "tests.editors.example_layer_editor.RedLayer"
VISITOR = SimpleNamespace(session_hash="a")
BOX = (slice(15, 30), slice(20, 40))
"""The painted part of the picture."""
GIVEN = {"prompt": "a red ball", "source_prompt": None, "screen": "", "region": None, "mask_use": "guide", "seed": 0}


@pytest.fixture
def handlers(folders, monkeypatch) -> LayerHandlers:
    monkeypatch.setattr("mimicbrush.demo.server.load_pipeline", lambda config: None)
    config = DemoConfig(editors={"layer": {"class_path": EDITOR}})
    return LayerHandlers(SharedEditor(load_editors(config)[LayerRequest], config.limits), config, folders)


def start(handlers: LayerHandlers, source, **changes: object) -> Iterator[ResultPanel]:
    return handlers.edit(VISITOR, results=None, source=source and to_browser(source), **GIVEN | changes)


def pixels(path: Path | str) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_composite_and_layer_are_shown_while_the_edit_runs_and_replayed_from_the_zip(
    handlers, source, tmp_path, monkeypatch
):
    _, first, *_, done = start(handlers, source, prompt="a red ball\n a ruby ball \n")
    assert "Step 1 of 10" in first.status and first.preview["value"].size == (80, 60)
    assert json.loads(first.live)["picture"]
    assert "Done in" in done.status and done.further["visible"]
    edited = pixels(done.results.config.outputs[0])
    assert (edited[BOX] == (255, 0, 0)).all() and np.array_equal(edited[:15], pixels(source.picture)[:15])
    with zipfile.ZipFile(done.zip_file["value"]) as archive:
        archive.extractall(tmp_path / "elsewhere")
    folder = tmp_path / "elsewhere" / "edit"
    names = {"source.png", "mask.png", "result.png", "result-rgba.png", "result-opacity.png", "replay.txt"}
    assert {path.name for path in folder.iterdir()} == names
    assert read_settings(folder / "result.png")["prompt"] == ["a red ball", "a ruby ball"]
    monkeypatch.chdir(folder)
    call_command(COMMANDS, ["--replay", "result.png", "--output", "again.png"])
    assert np.array_equal(pixels(folder / "again.png"), edited)


def test_nothing_needs_to_be_painted(handlers, source):
    *_, done = start(handlers, replace(source, strokes=()))
    assert done.results.config.mask is None and (pixels(done.results.config.outputs[0]) == (255, 0, 0)).all()


def test_stopping_keeps_the_edit_as_it_is_and_its_replay_is_equal(handlers, source, tmp_path, monkeypatch):
    def stop_at_four(step: int) -> None:
        if step == 4:
            handlers.stop(VISITOR)

    monkeypatch.setattr(RedLayer, "before_step", staticmethod(stop_at_four))
    *_, done = start(handlers, source)
    assert "Stopped after step 4: the edit so far." in done.status and done.edit["interactive"]
    result = done.results.config.outputs[0]
    assert (pixels(result.with_name("result-rgba.png"))[BOX] == (255, 0, 0, 102)).all()
    monkeypatch.setattr(RedLayer, "before_step", staticmethod(lambda step: None))
    monkeypatch.chdir(result.parent)
    call_command(COMMANDS, ["--replay", "result.png", "--output", str(tmp_path / "again.png")])
    assert np.array_equal(pixels(tmp_path / "again.png"), pixels(result))


def test_the_limit_of_the_page_keeps_the_edit_too_and_another_picture_does_not(handlers, source, monkeypatch):
    handlers.editor.limits = Limits(seconds=1)
    monkeypatch.setattr("mimicbrush.demo.shared_editor.monotonic", iter(range(0, 100, 2)).__next__)
    *_, done = start(handlers, source)
    assert "Stopped after step 1" in done.status and done.results.config.outputs[0].is_file()
    monkeypatch.undo()
    stop = lambda step: handlers.editor.stop("a", SupersededError)  # noqa: E731
    monkeypatch.setattr(RedLayer, "before_step", staticmethod(stop))
    *_, last = start(handlers, source)
    assert last.results is None and "The result appears here" in last.status


def test_the_opacity_of_the_layer_is_changed_afterwards(handlers, source):
    *_, done = start(handlers, source)
    layers, opacity, download = handlers.show_layers(done.results)
    assert [caption for _, caption in layers] == ["layer", "opacity"] and opacity == 100
    assert (pixels(download)[BOX] == (255, 0, 0, 255)).all()
    for percent in (40, 80, 100, 40):
        *panel, layers, _, download = handlers.fade(done.results, percent)
        shown = ResultPanel(*panel)
        assert f"Opacity {percent} %." in shown.status
        expected = (1 - percent / 100) * pixels(source.picture)[BOX] + percent / 100 * np.array([255, 0, 0])
        assert np.abs(pixels(shown.picture["value"])[BOX] - expected).max() <= 1
        assert (pixels(download)[BOX][..., 3] == round(2.55 * percent)).all()
        assert read_settings(Path(shown.picture["value"]))["opacity"] == percent / 100
        with zipfile.ZipFile(shown.zip_file["value"]) as archive:
            assert "edit/result-rgba.png" in archive.namelist()


def test_what_is_missing_is_said_in_a_sentence(handlers, source):
    (view,) = start(handlers, None, prompt=" \n", seed=None)
    for sentence in ("No picture yet; choose one", "No prompt yet; describe the edited picture", "Seed is empty"):
        assert sentence in view.status

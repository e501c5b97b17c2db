"""A new editor is driven by shell, batch, page and evaluation through the vocabulary alone: no other file names it."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from mimicbrush.command import call_command
from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.page import build_page
from mimicbrush.demo.painter import to_browser
from mimicbrush.demo.server import load_editors
from mimicbrush.demo.shared_editor import SharedEditor
from mimicbrush.demo.strokes import PaintedPicture, Stroke
from mimicbrush.demo.tabs.text_tab import TextHandlers
from mimicbrush.demo.temporary_folders import TemporaryFolders
from mimicbrush.edit.subcommands import COMMANDS
from mimicbrush.errors import UserError
from mimicbrush.requests import MotionRequest, ReferenceRequest, TextRequest
from tests.evaluation.conftest import evaluate, make_set  # noqa: F401 - fixtures

EDITOR = "tests.editors.example_editor.GreyByWords"
PROMPT = "seven .."
GREY = len(PROMPT)
VISITOR = SimpleNamespace(session_hash="a")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """s.png and m.png, whose box of 20 x 10 pixels is white."""
    levels = np.random.default_rng(0).integers(64, 256, (50, 70, 3), dtype=np.uint8)
    Image.fromarray(levels).save(tmp_path / "s.png")
    mask = np.zeros((50, 70), np.uint8)
    mask[20:30, 20:40] = 255
    Image.fromarray(mask).save(tmp_path / "m.png")
    return tmp_path


def is_edited(path: Path | str) -> bool:
    """Whether the box is grey, and the pixels around it are not."""
    pixels = np.asarray(Image.open(path).convert("RGB"))
    return bool((pixels[20:30, 20:40] == GREY).all() and (pixels[:20] != GREY).all())


def test_on_the_command_line(folder):
    pictures = ["--source", str(folder / "s.png"), "--mask", str(folder / "m.png")]
    editor = ["--editor", EDITOR, "--prompt", PROMPT, "--output", str(folder / "e.png")]
    call_command(COMMANDS, ["text", *pictures, *editor])
    assert is_edited(folder / "e.png")


def test_in_a_batch(folder):
    with (folder / "edits.csv").open("w", newline="") as file:
        columns = ["source", "mask", "prompt", "output"]
        csv.writer(file).writerows([columns, *(["s.png", "m.png", PROMPT, name] for name in ("a.png", "b.png"))])
    call_command(COMMANDS, ["text", "--batch", str(folder / "edits.csv"), "--editor", EDITOR])
    assert is_edited(folder / "a.png") and is_edited(folder / "b.png")


@pytest.fixture
def folders(tmp_path, monkeypatch) -> TemporaryFolders:
    for name in ("GRADIO_TEMP_DIR", "GRADIO_EXAMPLES_CACHE"):
        monkeypatch.setenv(name, "")
    (tmp_path / "workspace").mkdir()
    return TemporaryFolders(tmp_path / "workspace")


def test_on_the_page(folder, folders, monkeypatch):
    config = DemoConfig(editors={"text": {"class_path": EDITOR, "init_args": {"levels_per_letter": 1}}})
    monkeypatch.setattr("mimicbrush.demo.server.load_pipeline", lambda config: None)
    editor = SharedEditor(load_editors(config)[TextRequest], config.limits)
    page = build_page({TextRequest: editor}, config, folders)
    components = page.get_config_file()["components"]
    assert {"Prompt", "Results", "Seed"} <= {block["props"].get("label") for block in components}

    box = Stroke(tool="box", points=[(20, 20), (40, 30)])
    painting = PaintedPicture(picture=folder / "s.png", strokes=(box,), size=(70, 50))
    handlers = TextHandlers(editor, config, folders)
    given = {"source": to_browser(painting), "prompt": PROMPT, "num_images": 1, "seed": 0}
    starting, *steps, done = handlers.edit(VISITOR, results=None, **given)
    assert "Preparing" in starting.status and ["Step 1 of 2" in step.status for step in steps] == [True, False, False]
    assert "webp" in steps[0].live and steps[0].preview["value"].size == (70, 50) and "Done" in done.status
    assert is_edited(done.results.config.outputs[0])
    with zipfile.ZipFile(done.zip_file["value"]) as archive:
        assert {Path(name).name for name in archive.namelist()} >= {"source.png", "result.png", "result-rgba.png"}
        assert "--init_args ARGUMENTS --replay result.png" in archive.read("edit/replay.txt").decode()
    (view,) = handlers.edit(VISITOR, results=None, **given | {"prompt": None, "seed": None})
    assert "No prompt yet" in view.status and "Seed is empty" in view.status


def test_a_page_loads_no_weights_where_another_editor_takes_their_place(folders, monkeypatch):
    config = DemoConfig(editors={"reference": {"class_path": "mimicbrush.editors.baselines.ReferencePaste"}})
    monkeypatch.setattr("mimicbrush.demo.server.load_pipeline", lambda config: pytest.fail("weights are loaded"))
    loaded = load_editors(config)
    assert list(loaded) == [ReferenceRequest, MotionRequest]  # the default editor of motions needs no weights
    assert config.announcement == f"loading {config.editors['reference']['class_path']}"
    page = build_page({ReferenceRequest: SharedEditor(loaded[ReferenceRequest], config.limits)}, config, folders)
    labels = {block["props"].get("label") for block in page.get_config_file()["components"]}
    assert {"Keep the shape", "Results", "Seed"} <= labels and not {"Steps", "Guidance", "Work close up"} & labels


def test_a_page_names_an_editor_that_does_not_fit():
    for editors, said in (
        ({"sentence": {"class_path": EDITOR}}, r"editors\.sentence: no such kind of edit; choose from reference, text"),
        ({"text": {"class": EDITOR}}, r"editors\.text is .* expected \{class_path"),
    ):
        with pytest.raises(UserError, match=said):
            DemoConfig(editors=editors)
    with pytest.raises(UserError, match="GreyByWords answers a TextRequest, and a reference edit is a ReferenceReq"):
        load_editors(DemoConfig(editors={"reference": {"class_path": EDITOR}}))


def test_in_an_evaluation(evaluate, make_set):  # noqa: F811
    folder = make_set(number=1)
    (folder / "prompts.json").write_text(f'{{"000": "{PROMPT}"}}')
    sets = {"small": {"folder": str(folder), "task": "texture", "track": "inner_id"}}
    output = evaluate({"sets": sets, "editors": {"grey": {"class_path": EDITOR}}, "metrics": ["psnr"]})
    edited = np.asarray(Image.open(next(output.glob("edits/small/grey/*/000.png"))))
    mask = np.asarray(Image.open(folder / "000_source_mask.png").convert("L")) > 127
    assert (edited[mask] == GREY).all() and "grey" in (output / "report.html").read_text()

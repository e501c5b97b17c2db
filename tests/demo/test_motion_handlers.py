"""Reactions of the tab on which an object is moved, and the edits that it asks for."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from gradio.data_classes import FileData
from PIL import Image

from mimicbrush.command import call_command
from mimicbrush.demo.motion.motion_handlers import MotionHandlers
from mimicbrush.demo.motion.motion_handles import HandlesData
from mimicbrush.demo.painter import PainterData, from_browser, to_browser
from mimicbrush.demo.result_panel import ResultPanel
from mimicbrush.demo.shared_editor import SharedEditor
from mimicbrush.demo.strokes import Stroke
from mimicbrush.edit.record import read_settings
from mimicbrush.edit.subcommands import COMMANDS
from mimicbrush.editors.baselines import PlainWarp
from mimicbrush.editors.move_and_repaint import MoveAndRepaintEditor
from mimicbrush.editors.move_and_repaint.settings import MoveAndRepaintSettings
from mimicbrush.files import sha256
from tests.demo.test_two_frames import STEP, phase_correlation, write_clip

VISITOR = SimpleNamespace(session_hash="a")
SETTINGS = {"prompt": None, "num_images": 1, "seed": 3}
BOX = (20, 15, 40, 30)


@pytest.fixture
def handlers(config, folders) -> MotionHandlers:
    config = replace(config, editors={"motion": {"class_path": "mimicbrush.editors.baselines.PlainWarp"}})
    return MotionHandlers(SharedEditor(PlainWarp(), config.limits), config, folders, lambda: phase_correlation)


def active(motion: str = "", **given: object) -> HandlesData:
    return HandlesData(motion=motion, is_active=True, **given)


def show(handlers: MotionHandlers, source: PainterData, handles: HandlesData, estimated: object = None) -> HandlesData:
    """Show a motion of the picture that is known already."""
    known = handles.model_copy(update={"picture": sha256(Path(source.picture.path))})
    return handlers.show_motion(source, known, estimated)


def run(
    handlers: MotionHandlers, source: PainterData | None, handles: HandlesData, estimated: object = None
) -> ResultPanel:
    given = {"source": source, "handles": handles, "estimated": estimated}
    return list(handlers.edit(VISITOR, results=None, **given, **SETTINGS))[-1]


def pixels(path: Path | str) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def files(*paths: Path) -> list[FileData]:
    return [FileData(path=str(path)) for path in paths]


def test_handles_are_shown_around_the_object_and_the_motion_is_previewed(handlers, source):
    sent = to_browser(source)
    shown = show(handlers, sent, active())
    assert shown.box == BOX and shown.size == (80, 60) and shown.previewed == "" and shown.warped is None
    moved = show(handlers, sent, active("translate 30 5"))
    assert moved.previewed == "translate 30 5" and moved.cutout and not moved.error
    before, after = pixels(source.picture), pixels(moved.warped.path)
    assert np.abs(after[20:35, 50:70] - before[15:30, 20:40]).max() <= 1
    assert Image.open(moved.mask.path).getchannel("A").getbbox() == (18, 13, 72, 37)


def test_the_proposed_mask_has_the_margin_of_the_editor(handlers, source):
    handlers.editor.loaded = MoveAndRepaintEditor(settings=MoveAndRepaintSettings(margin=5))
    moved = show(handlers, to_browser(source), active("translate 30 5"))
    assert Image.open(moved.mask.path).getchannel("A").getbbox() == (15, 10, 75, 40)


def test_nothing_is_computed_while_the_handles_are_hidden(handlers, source):
    shown = show(handlers, to_browser(source), HandlesData(motion="translate 30 5"))
    assert shown.motion == "translate 30 5" and shown.box is None and not shown.error
    assert handlers.show_motion(None, None, None) == HandlesData()


def test_another_picture_resets_the_motion(handlers, source):
    shown = handlers.show_motion(to_browser(source), active("translate 30 5", picture="another"), None)
    assert shown.motion == "" and not shown.is_active and shown.picture == sha256(source.picture)


def test_a_motion_that_cannot_be_shown_is_reported_in_a_sentence(handlers, source, caplog, monkeypatch):
    unpainted = to_browser(replace(source, strokes=()))
    assert "nothing is painted yet; paint the object to move" in show(handlers, unpainted, active()).error
    for motion, sentence in (("translate 900 0", "moves every pixel out"), ("fly 5", "fly is not a motion")):
        shown = show(handlers, to_browser(source), active(motion))
        assert sentence in shown.error and shown.previewed is None and shown.motion == motion
    monkeypatch.setattr("mimicbrush.demo.motion.motion_handlers.preview_object", lambda *_: 1 / 0)
    assert "unexpected" in show(handlers, to_browser(source), active()).error
    assert "ZeroDivisionError" in caplog.text


def test_an_edit_moves_the_object_and_is_replayed_on_the_command_line(handlers, source, tmp_path, monkeypatch):
    view = run(handlers, to_browser(source), active("rotate 90; translate 30 5"))
    assert "Done" in view.status
    with zipfile.ZipFile(view.zip_file["value"]) as archive:
        archive.extractall(tmp_path / "elsewhere")
    folder = tmp_path / "elsewhere" / "edit"
    settings = read_settings(folder / "result.png")
    assert settings["move"] == "rotate 90; translate 30 5" and settings["mask"] == "mask.png"
    before, after = pixels(source.picture), pixels(folder / "result.png")
    assert (before != after).any(axis=-1)[:, 50:].sum() > 250
    monkeypatch.chdir(folder)
    call_command(COMMANDS, ["motion", "--replay", "result.png", "--output", "again.png"])
    assert np.array_equal(pixels(folder / "again.png"), after)


def test_a_missing_or_wrong_value_is_reported_in_a_sentence(handlers, source):
    erased = to_browser(replace(source, strokes=(Stroke(tool="eraser", size=9, points=[(1, 1)]),)))
    for sent, motion, sentence in (
        (None, "translate 1 0", "No picture yet; choose one, then paint over the object to move."),
        (erased, "translate 1 0", "Nothing is painted yet; paint over the object to move."),
        (to_browser(source), "", "No motion yet; press Move, then drag the object."),
        (to_browser(source), "fly 5", "Fly is not a motion"),
        (to_browser(source), "translate 900 0", "out of the picture"),
    ):
        view = run(handlers, sent, active(motion))
        assert sentence in view.status and 'role="alert"' in view.status and view.edit["interactive"]


def test_the_first_frame_of_a_clip_becomes_the_picture_and_its_motion_is_used(handlers, tmp_path, monkeypatch):
    clip = write_clip(tmp_path / "clip.mp4")
    chosen = HandlesData(new_frames=files(clip), times=[0.0, 0.3])
    taken, shown, estimated, *panel = handlers.take_frames(VISITOR, None, chosen)
    painting = from_browser(taken)
    assert painting.size == (128, 96) and ResultPanel(*panel).results is None
    assert shown.times == [0.0, 0.3] and shown.frames == files(clip) and not shown.new_frames
    assert not shown.error and not shown.frames_error
    box = Stroke(tool="box", points=[(20, 30), (60, 60)])
    painted = to_browser(replace(painting, strokes=(box,)))
    moved = show(handlers, painted, active(frames=shown.frames), estimated)
    assert moved.previewed == "" and moved.warped and {arrow[2:] for arrow in moved.arrows} == {(3 * STEP, 0)}
    view = run(handlers, painted, active(frames=shown.frames), estimated)
    with zipfile.ZipFile(view.zip_file["value"]) as archive:
        archive.extractall(tmp_path / "elsewhere")
    folder = tmp_path / "elsewhere" / "edit"
    assert read_settings(folder / "result.png")["flow"] == "flow.npz"
    before, after = pixels(painting.picture), pixels(folder / "result.png")
    assert np.abs(after[30:60, 32:72] - before[30:60, 20:60]).max() <= 1
    monkeypatch.chdir(folder)
    call_command(COMMANDS, ["motion", "--replay", "result.png", "--output", "again.png"])
    assert np.array_equal(pixels(folder / "again.png"), after)


def test_frames_keep_a_picture_of_their_shape_and_are_refused_for_another(handlers, source, tmp_path):
    clip = write_clip(tmp_path / "clip.mp4")  # 4:3, as the picture
    given = to_browser(source)
    kept, shown, estimated, *panel = handlers.take_frames(VISITOR, given, HandlesData(new_frames=files(clip)))
    assert kept == given and shown.frames and ResultPanel(*panel) == ResultPanel()
    assert estimated.fitted(80, 60)[0, 0, 0, 0] == pytest.approx(5 * STEP * 80 / 128)
    wide = write_clip(tmp_path / "wide.mp4", size=(128, 48))
    chosen = HandlesData(new_frames=files(wide), frames=shown.frames, times=[0.0, 0.2])
    kept, refused, former, *_ = handlers.take_frames(VISITOR, given, chosen)
    assert kept == given and former == gr.skip() and refused.frames == shown.frames
    assert "wide.mp4: its frames are 2.67 times as wide as high" in refused.frames_error
    assert handlers.show_motion(given, refused, None).frames_error == refused.frames_error
    chosen = chosen.model_copy(update={"replaces_picture": True})
    taken, shown, *_ = handlers.take_frames(VISITOR, given, chosen)
    assert from_browser(taken).size == (128, 48) and not shown.replaces_picture


def test_frames_that_break_the_reader_are_reported_and_logged(handlers, monkeypatch, caplog):
    assert "0 files were chosen" in handlers.take_frames(VISITOR, None, None)[1].frames_error
    monkeypatch.setattr("mimicbrush.demo.motion.motion_handlers.read_pair", lambda *_: 1 / 0)
    assert "unexpected" in handlers.take_frames(VISITOR, None, HandlesData())[1].frames_error
    assert "ZeroDivisionError" in caplog.text

from __future__ import annotations

import base64
import io
import json
import shutil
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
from mimicbrush.demo.config import Limits
from mimicbrush.demo.controls import tell_used
from mimicbrush.demo.edit_queue import StoppedError
from mimicbrush.demo.painter import PainterData, from_browser, to_browser
from mimicbrush.demo.result_panel import NOTHING_YET, FinishedEdit, ResultPanel
from mimicbrush.demo.strokes import PaintedPicture, Stroke
from mimicbrush.demo.tabs.reference_tab import ReferenceHandlers
from mimicbrush.edit.record import read_settings
from mimicbrush.edit.subcommands import COMMANDS
from tests.demo.conftest import write_picture

VISITOR = SimpleNamespace(session_hash="a")
SETTINGS = {
    "keep_shape": False,
    "crop_to_mask": False,
    "regions": "together",
    "match_colour": False,
    "num_images": 1,
    "num_inference_steps": 2,
    "guidance_scale": 5.0,
    "seed": 3,
}


@pytest.fixture
def handlers(editor, config, folders) -> ReferenceHandlers:
    return ReferenceHandlers(editor, config, folders)


def last_view(handlers: ReferenceHandlers, *pictures: PaintedPicture | None, **changes: object) -> ResultPanel:
    return list(start(handlers, *pictures, **changes))[-1]


def start(
    handlers: ReferenceHandlers,
    source: PaintedPicture | None,
    *references: PaintedPicture | None,
    before: FinishedEdit | None = None,
    **changes: object,
):
    (picture,) = sent(source)
    return handlers.edit(VISITOR, results=before, source=picture, references=sent(*references), **SETTINGS | changes)


def sent(*paintings: PaintedPicture | None) -> list[PainterData | None]:
    """Values as the browser sends them."""
    return [painting and to_browser(painting) for painting in paintings]


def pixels(path: Path | str) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_an_edit_only_changes_the_painted_part(handlers, source, reference, tmp_path, suffix):
    source = replace(source, picture=write_picture(tmp_path / f"large{suffix}", size=(160, 120)))
    view = last_view(handlers, source, reference)
    before, after = pixels(source.picture), pixels(view.results.config.outputs[0])
    assert "Done" in view.status and view.edit["interactive"] and not view.stop["interactive"]
    assert (before != after)[15:30, 20:40].mean() > 0.9
    far = np.ones(before.shape[:2], bool)
    far[:50, :60] = False
    assert np.array_equal(before[far], after[far])


def test_downloads_are_replayed_on_the_command_line_in_any_folder(handlers, source, reference, tmp_path, monkeypatch):
    cropped = replace(reference, strokes=(Stroke(tool="box", points=[(4, 4), (60, 44)]),))
    view = last_view(handlers, source, cropped, num_images=2, seed=7, crop_to_mask=True)
    with zipfile.ZipFile(view.zip_file["value"]) as archive:
        archive.extractall(tmp_path / "elsewhere")
    folder = tmp_path / "elsewhere" / "edit"
    assert (folder / "source.png").read_bytes() == source.picture.read_bytes()
    assert "--weights WEIGHTS --replay result-1.png" in (folder / "replay.txt").read_text()
    assert str(handlers.config.weights) not in str(read_settings(folder / "result-1.png"))
    weights = "--weights", str(handlers.config.weights)
    monkeypatch.chdir(folder)
    call_command(COMMANDS, [*weights, "--replay", "result-2.png", "--output", "again.png"])
    difference = pixels(folder / "again.png").astype(int) - pixels(view.results.config.outputs[1])
    assert np.abs(difference).max() <= 1
    assert not np.array_equal(pixels(folder / "again.png"), pixels(view.results.config.outputs[0]))


def test_several_references_and_their_boxes_are_replayed(handlers, source, reference, tmp_path, monkeypatch):
    other = write_picture(tmp_path / "side.jpg", seed=2)
    boxed = replace(reference, picture=other, strokes=(Stroke(tool="box", points=[(4, 4), (60, 44)]),))
    view = last_view(handlers, source, reference, None, boxed)
    with zipfile.ZipFile(view.zip_file["value"]) as archive:
        archive.extractall(tmp_path / "elsewhere")
    folder = tmp_path / "elsewhere" / "edit"
    assert (folder / "reference-2.jpg").read_bytes() == other.read_bytes()
    settings = read_settings(folder / "result.png")
    assert settings["reference"] == ["reference.png", "reference-2.jpg"]
    assert settings["reference_box"] == [None, [4, 4, 60, 44]]
    weights = "--weights", str(handlers.config.weights)
    monkeypatch.chdir(folder)
    call_command(COMMANDS, [*weights, "--replay", "result.png", "--output", "again.png"])
    difference = pixels(folder / "again.png").astype(int) - pixels(view.results.config.outputs[0])
    assert np.abs(difference).max() <= 1
    alone = pixels(last_view(handlers, source, reference).results.config.outputs[0])
    assert not np.array_equal(alone, pixels(view.results.config.outputs[0]))


def test_a_large_picture_is_edited_scaled_down_and_keeps_its_size(editor, config, folders, source, reference, tmp_path):
    handlers = ReferenceHandlers(editor, replace(config, limits=Limits(megapixels=1)), folders)
    strokes = (Stroke(tool="box", points=[(100, 100), (400, 300)]),)
    large = replace(source, picture=write_picture(tmp_path / "large.png", size=(1300, 1000)), strokes=strokes)
    view = last_view(handlers, large, reference)
    before, after = pixels(large.picture), pixels(view.results.config.outputs[0])
    assert read_settings(view.results.config.outputs[0])["max_megapixels"] == 1
    changed = (before != after).any(axis=-1)
    assert changed[100:300, 100:400].mean() > 0.9
    assert not changed[400:].any() and not changed[:, 500:].any()


def test_what_changes_is_shown_in_its_place_for_every_result(handlers, source, reference, monkeypatch):
    monkeypatch.setattr("mimicbrush.demo.shared_editor.PREVIEW_SHARE", 100)  # whatever time previews take
    *views, _ = start(handlers, source, reference, num_images=2)
    parts = {
        view.status.partition("Result ")[2][:8]: json.loads(view.live)
        for view in views
        if isinstance(view.live, str) and view.live
    }
    assert set(parts) == {"1 of 2: ", "2 of 2: "} and not any(part["is_result"] for part in parts.values())
    left, top, width, height = parts["1 of 2: "]["box"]
    assert left <= 20 / 80 and left + width >= 40 / 80 and top <= 15 / 60 and top + height >= 30 / 60
    assert width < 0.6 and height < 0.8
    seen = Image.open(io.BytesIO(base64.b64decode(parts["1 of 2: "]["picture"].partition(",")[2])))
    assert seen.mode == "RGBA" and seen.getchannel("A").getpixel((seen.width // 2, seen.height // 2)) == 255


def test_another_result_is_chosen(handlers, source, reference):
    results = last_view(handlers, source, reference, num_images=3).results
    (before, after), picture, zip_file, part = handlers.choose(results, SimpleNamespace(index=2))
    assert Image.open(before).size == Image.open(after).size == (80, 60)
    assert json.loads(part)["is_result"] and part != results.results[0].part
    assert Path(picture).read_bytes() == results.config.outputs[2].read_bytes()
    assert Path(picture).name == "photo-edited-3.png" and Path(zip_file).name == "photo-edited.zip"


def test_results_of_earlier_edits_stay_to_choose_from(handlers, source, reference):
    first = last_view(handlers, source, reference, num_images=2).results
    view = last_view(handlers, source, reference, seed=8, num_inference_steps=1, before=first)
    captions = [caption for _, caption in view.gallery["value"]]
    assert captions == ["seed 8, 1 step", "seed 3, 2 steps", "seed 4, 2 steps"] and view.gallery["visible"]
    _, picture, *_ = handlers.choose(view.results, SimpleNamespace(index=2))
    assert Path(picture).read_bytes() == first.config.outputs[1].read_bytes()
    shutil.rmtree(first.config.output.parent)  # as to make room
    view = last_view(handlers, source, reference, seed=9, num_inference_steps=1, before=view.results)
    assert [caption for _, caption in view.gallery["value"]] == ["seed 9, 1 step", "seed 8, 1 step"]


def test_advice_on_a_small_mask_is_in_the_words_of_the_page(handlers, reference, tmp_path):
    picture = write_picture(tmp_path / "large.png", size=(400, 300))
    large = PaintedPicture(picture=picture, strokes=(Stroke(tool="box", points=[(20, 15), (40, 30)]),), size=(400, 300))
    status = last_view(handlers, large, reference, num_images=2).status
    assert status.count("The painted part is 20 pixels long") == 1 and "“Work close up” repaints it" in status
    view = last_view(handlers, large, reference, crop_to_mask=True)
    assert "painted part" not in view.status
    assert view.results.results[0].caption == "seed 3, 2 steps, close up"


def test_a_result_becomes_the_picture(handlers, source, reference):
    (result,) = last_view(handlers, source, reference).results.results
    taken = handlers.use_result(to_browser(source), str(result.picture))
    assert not taken.error and not taken.strokes and taken.size == (80, 60)
    again = last_view(handlers, replace(from_browser(taken), strokes=source.strokes), reference).results.results[0]
    assert Path(taken.picture.path).read_bytes() == result.picture.read_bytes()
    assert again.picture.name == "photo-edited.png"
    refused = handlers.use_result(None, None)
    assert "nothing was uploaded" in refused.error
    assert "now the picture" in tell_used(taken) and tell_used(refused) == ""


def test_the_seed_advances_unless_it_is_pinned(handlers, source, reference):
    results = last_view(handlers, source, reference, seed=3, num_images=2).results
    assert handlers.next_seed(results, 3, False) == 5
    for arguments in ((results, 3, True), (results, 9, False), (None, 3, False)):
        assert handlers.next_seed(*arguments) == gr.skip()


def test_a_missing_or_wrong_value_is_reported_in_a_sentence(handlers, source, reference):
    erased = replace(source, strokes=(Stroke(tool="eraser", size=9, points=[(1, 1)]),))
    everything = replace(source, strokes=(Stroke(tool="box", points=[(0, 0), (80, 60)]),))
    tiny_box = replace(reference, strokes=(Stroke(tool="box", points=[(0, 0), (20, 20)]),))
    for pictures, changes, sentence in (
        ((None, reference), {}, "No picture yet; choose one"),
        ((source, None), {}, "No reference yet"),
        ((erased, reference), {}, "Nothing is painted yet; paint over what should change."),
        ((everything, reference), {}, "All of the picture is painted over"),
        ((source, tiny_box), {}, "20 x 20 pixels, expected at least 32 a side"),
        ((source, reference), {"num_inference_steps": 5000}, "Steps is 5000, expected a whole number from 1 to 100."),
        ((source, reference), {"num_images": 5}, "Results is 5, expected a whole number from 1 to 4."),
        ((source, reference), {"guidance_scale": 0.5}, "Guidance is 0.5, expected a number from 1 to 20."),
        ((source, reference), {"seed": None}, "Seed is empty, expected a whole number from 0 to"),
    ):
        view = last_view(handlers, *pictures, **changes)
        assert sentence in view.status and 'role="alert"' in view.status and view.edit["interactive"]
        assert str(handlers.folders.served.parent) not in view.status


def test_all_missing_and_wrong_values_are_reported_together(handlers, source):
    status = last_view(handlers, source, None, num_images=5, seed=None).status
    assert status.index("No reference yet") < status.index("Results is 5") < status.index("Seed is empty")


def test_unexpected_errors_free_the_page_and_are_raised(handlers, source, reference, monkeypatch):
    monkeypatch.setattr(handlers.editor, "edit", lambda *_, **__: 1 / 0)
    views = start(handlers, source, reference)
    assert "Preparing" in next(views).status
    view = next(views)
    assert "unexpected" in view.status and view.edit["interactive"]
    with pytest.raises(ZeroDivisionError):
        next(views)


def test_the_files_of_a_running_edit_are_not_deleted_to_make_room(handlers, source, reference, folders):
    folders.max_bytes = 0
    *_, last = ((folders.make_room(), view)[1] for view in start(handlers, source, reference))
    assert "Done" in last.status and all(path.exists() for path in last.results.config.outputs)


def test_an_event_without_a_picture_is_answered_in_a_sentence(handlers, caplog):
    accepted, *_ = handlers.check_source(VISITOR, None)
    assert "nothing was uploaded" in accepted.error and "nothing was uploaded" in handlers.check_reference(None).error
    assert not caplog.text


def test_stop_leaves_a_page_that_can_edit_again(handlers, source, reference):
    views = start(handlers, source, reference, num_inference_steps=100)
    next(views)
    running = next(views)
    assert "Step 1 of 100" in running.status and running.stop["interactive"]
    handlers.stop(VISITOR)
    stopped = list(views)[-1]
    assert "Stopped" in stopped.status and "The result appears here" in stopped.status
    assert "Done" in last_view(handlers, source, reference).status


def test_earlier_results_return_after_an_error(handlers, source, reference, monkeypatch):
    before = last_view(handlers, source, reference, num_images=2).results
    monkeypatch.setattr(handlers.editor, "edit", lambda *_, **__: (_ for _ in ()).throw(StoppedError))
    starting, ended = start(handlers, source, reference, before=before)
    assert not starting.slider["visible"] and starting.results == gr.skip()
    assert "Stopped." in ended.status and "The earlier results are below." in ended.status
    assert all(part["visible"] for part in (ended.slider, ended.gallery, ended.picture, ended.zip_file))


def test_the_shape_map_is_shown(handlers, tmp_path):
    halves = Image.new("L", (80, 60))
    halves.paste(255, (40, 0, 80, 60))
    halves.save(tmp_path / "halves.png")
    source = PaintedPicture(picture=tmp_path / "halves.png", strokes=())
    levels = np.asarray(handlers.show_shape(*sent(source), True, False, "together")["value"].resize((80, 60)))
    assert levels[30, 36:44].max() > 200 and levels[8:52, 5:30].max() == 0
    strokes = tuple(Stroke(tool="box", points=[(x, 5), (x + 8, 20)]) for x in (2, 70))
    painted = replace(source, strokes=strokes)
    assert handlers.show_shape(*sent(painted), True, True, "separate")["value"].size == (640, 320)
    assert handlers.follow_strokes(*sent(painted), True, True, "separate")["visible"]
    assert handlers.follow_strokes(*sent(painted), True, False, "separate")["visible"]
    assert handlers.follow_strokes(*sent(painted), True, False, "in_turn")["visible"]
    assert handlers.follow_strokes(*sent(painted), True, False, "together") == gr.skip()
    assert handlers.show_shape(*sent(painted), False, True, "separate") == gr.update(visible=False)
    assert handlers.show_shape(None, True, False, "together") == gr.update(visible=False)


def chosen(before: PainterData, **files: Path) -> PainterData:
    """The value that the browser sends when a visitor chooses another file."""
    return before.model_copy(update={name: FileData(path=str(path)) for name, path in files.items()})


def test_a_bad_upload_keeps_the_former_value(handlers, source, tmp_path):
    (tmp_path / "notes.png").write_text("no picture")
    write_picture(tmp_path / "small.png", size=(10, 10))
    before, *_ = handlers.check_source(VISITOR, chosen(PainterData(), new_picture=source.picture))
    before = before.model_copy(update={"strokes": list(source.strokes)})
    for files, sentence in (
        ({"new_picture": tmp_path / "notes.png"}, "notes.png: not a readable picture"),
        ({"new_mask": tmp_path / "small.png"}, "small.png: the mask is 10 x 10 pixels and the picture 80 x 60"),
        ({"new_mask": tmp_path / "notes.png"}, "notes.png: not a readable picture"),
    ):
        after, *view = handlers.check_source(VISITOR, chosen(before, **files))
        assert ResultPanel(*view) == ResultPanel()
        assert sentence in after.error and after.model_copy(update={"error": ""}) == before
    refused, *_ = handlers.check_source(VISITOR, chosen(PainterData(), new_picture=tmp_path / "notes.png"))
    assert refused.error and from_browser(refused) is None


def test_a_new_picture_or_mask_replaces_the_strokes(handlers, source, tmp_path):
    mask = Image.new("L", (80, 60))
    mask.paste(255, (5, 5, 30, 20))
    mask.save(tmp_path / "mask.png")
    masked, *view = handlers.check_source(VISITOR, chosen(to_browser(source), new_mask=tmp_path / "mask.png"))
    assert ResultPanel(*view) == ResultPanel()
    assert masked.mask.path == str(tmp_path / "mask.png") and not masked.strokes and masked.mask_preview
    other = write_picture(tmp_path / "next.png", size=(40, 50))
    replaced, *view = handlers.check_source(VISITOR, chosen(masked, new_picture=other))
    assert ResultPanel(*view).results is None and ResultPanel(*view).slider == gr.update(visible=False)
    assert replaced.size == (40, 50) and replaced.mask is None and replaced.new_picture is None


def test_another_picture_ends_the_edit_of_the_former(handlers, source, reference, tmp_path):
    before = last_view(handlers, source, reference).results
    for change in (
        lambda: handlers.check_source(VISITOR, chosen(PainterData(), new_picture=reference.picture)),
        lambda: handlers.without_results(VISITOR),
    ):
        views = start(handlers, source, reference, before=before, num_inference_steps=100)
        next(views)
        assert "Step 1 of 100" in next(views).status
        change()
        ended = list(views)[-1]
        assert ended.status == NOTHING_YET and ended.results is None and ended.edit["interactive"]


def test_an_upload_that_breaks_the_reader_is_reported_and_logged(handlers, source, monkeypatch, caplog):
    monkeypatch.setattr("mimicbrush.demo.handlers.accept", lambda *_, **__: 1 / 0)
    assert "unexpected" in handlers.check_reference(chosen(PainterData(), new_picture=source.picture)).error
    assert "ZeroDivisionError" in caplog.text

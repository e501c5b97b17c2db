from __future__ import annotations

import threading
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.edit_queue import EditQueue, StoppedError, SupersededError
from mimicbrush.demo.server import share
from mimicbrush.demo.shared_editor import Saving, SharedEditor, Step, Waiting
from mimicbrush.demo.strokes import PaintedPicture
from mimicbrush.demo.tabs.reference_tab import reference_edit_config
from mimicbrush.edit.config import EditConfig
from mimicbrush.edit.editing import edit
from mimicbrush.edit.kinds.reference_edit import ReferenceEditConfig
from mimicbrush.errors import UserError
from mimicbrush.requests import ReferenceRequest, TextRequest


@pytest.fixture
def make(config: DemoConfig, source: PaintedPicture, reference: PaintedPicture, tmp_path: Path):
    def make(**settings: object) -> ReferenceEditConfig:
        folder = tmp_path / f"edit{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return reference_edit_config(
            config, folder, source, [reference], **{"num_images": 1, "num_inference_steps": 2} | settings
        )

    return make


def test_steps_are_reported_and_the_last_one_always(editor, make):
    edit = make(num_inference_steps=3)
    *updates, saving, written = editor.edit(edit, visitor="a")
    assert saving == Saving(1, 1) and isinstance(updates[0], Step) and updates[0].number == 1
    assert updates[-1].number == updates[-1].total == 3
    assert updates[0].seconds_left is None and updates[-1].seconds_left == 0
    assert written.config == edit and edit.output.is_file()


def count_steps(editor: SharedEditor, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Timesteps with which the U-Net was called."""
    called, unet = [], editor.loaded.unet
    forward = unet.forward
    monkeypatch.setattr(unet, "forward", lambda *args, **options: called.append(1) or forward(*args, **options))
    return called


def test_stop_ends_the_computing_at_the_next_step(editor, make, monkeypatch):
    called = count_steps(editor, monkeypatch)
    edit = make(num_inference_steps=100)
    updates = editor.edit(edit, visitor="a")
    next(updates)
    editor.stop("somebody else")
    editor.stop("a")
    with pytest.raises(StoppedError):
        list(updates)
    done = len(called)
    assert 1 <= done < 100 and not edit.output.exists()
    list(editor.edit(make(), visitor="a"))
    assert len(called) == done + 2


@pytest.mark.parametrize(
    ("num_finished", "note"),
    [(1, "stopped; 1 of 3 results are finished"), (2, "stopped; 2 of 3 results are finished"), (3, "")],
)
def test_stop_keeps_the_results_that_are_finished(editor, make, monkeypatch, num_finished, note):
    asked, written = make(num_images=3), []

    def edit_and_stop(*args: object, **options: object) -> list[EditConfig]:
        written.extend(edit(*args, **options))
        if len(written) == num_finished:
            editor.stop("a")
        return written

    monkeypatch.setattr("mimicbrush.demo.shared_editor.edit", edit_and_stop)
    *_, last = editor.edit(asked, visitor="a")
    assert last.note == note and last.config.outputs == asked.outputs[:num_finished]
    assert [path.is_file() for path in asked.outputs] == [number < num_finished for number in range(3)]


@pytest.mark.parametrize(
    "reasons", [(SupersededError,), (SupersededError, StoppedError), (StoppedError, SupersededError)]
)
def test_a_new_picture_also_ends_an_edit_whose_result_is_being_written(editor, make, monkeypatch, reasons):
    monkeypatch.setattr(
        "mimicbrush.demo.shared_editor.edit", lambda *_, **__: [editor.stop("a", each) for each in reasons]
    )
    with pytest.raises(SupersededError):
        list(editor.edit(make(), visitor="a"))


def test_a_visitor_who_leaves_ends_the_computing(editor, make, monkeypatch):
    called = count_steps(editor, monkeypatch)
    updates = editor.edit(make(num_inference_steps=100), visitor="a")
    next(updates)
    updates.close()
    done = len(called)
    assert done < 100
    list(editor.edit(make(), visitor="b"))
    assert len(called) == done + 2


def test_one_edit_runs_at_a_time_and_waiting_visitors_see_their_place(editor, make):
    first = editor.edit(make(num_inference_steps=50), visitor="a")
    next(first)
    second, third = (editor.edit(make(), visitor=name) for name in ("b", "c"))
    assert next(second) == Waiting(1) and next(third) == Waiting(2)
    editor.stop("b")
    with pytest.raises(StoppedError):
        list(second)
    first.close()
    assert isinstance(next(third), Step)
    third.close()


def test_edits_of_all_tabs_wait_in_one_queue_and_stop_ends_those_of_its_tab(pipe, config, make):
    tabs = share({ReferenceRequest: pipe, TextRequest: pipe}, config)
    first, second = (tabs[kind].edit(make(num_inference_steps=50), visitor="a") for kind in tabs)
    assert isinstance(next(first), Step) and next(second) == Waiting(1)
    tabs[TextRequest].stop("a")
    with pytest.raises(StoppedError):
        list(second)
    assert isinstance(next(first), Step)
    first.close()


def test_a_full_queue_refuses_further_edits():
    queue = EditQueue(max_waiting=1)
    refused = pytest.raises(UserError, match="1 edits are waiting already")
    with queue.join("a"), queue.join("b"), refused, queue.join("c"):
        pass
    with queue.join("c") as ticket:
        assert queue.ahead(ticket) == 0


def test_one_visitor_does_not_fill_the_queue():
    queue = EditQueue(max_waiting=8)
    refused = pytest.raises(UserError, match="2 of your edits are waiting or running; wait for one, or stop it")
    with queue.join("a"), queue.join("a"), queue.join("b"):
        with refused, queue.join("a"):
            pass
        with queue.join("b") as ticket:
            assert queue.ahead(ticket) == 3
    with queue.join("a") as ticket:
        assert queue.ahead(ticket) == 0


def test_leaving_the_queue_wakes_waiting_visitors():
    queue, leave = EditQueue(max_waiting=1), threading.Event()

    def hold() -> None:
        with queue.join("a"):
            joined.set()
            leave.wait(10)

    joined = threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    joined.wait(10)
    with queue.join("b") as ticket:
        assert queue.ahead(ticket) == 1
        leave.set()
        thread.join(10)
        assert queue.ahead(ticket) == 0


def test_an_edit_ends_at_the_time_limit(editor, make, monkeypatch):
    monkeypatch.setattr("mimicbrush.demo.shared_editor.monotonic", count(step=1000).__next__)
    with pytest.raises(UserError, match=r"stopped at step 1 of 5 after 600 seconds, the limit of this page"):
        list(editor.edit(make(num_inference_steps=5), visitor="a"))


def test_a_refusal_of_the_pipeline_is_raised(editor, make):
    with pytest.raises(UserError, match="context is 1000"):
        list(editor.edit(replace(make(), context=1000), visitor="a"))
    list(editor.edit(make(), visitor="a"))

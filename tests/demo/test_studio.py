from __future__ import annotations

import threading
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.orders import order
from mimicbrush.demo.painting import Painting
from mimicbrush.demo.studio import Line, Step, StoppedError, Studio, SupersededError, Waiting
from mimicbrush.edit.config import EditConfig
from mimicbrush.errors import UserError


@pytest.fixture
def make(config: DemoConfig, source: Painting, reference: Painting, tmp_path: Path):
    def make(**settings: object) -> EditConfig:
        folder = tmp_path / f"order{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return order(config, folder, source, [reference], **{"num_images": 1, "num_inference_steps": 2} | settings)

    return make


def test_steps_are_told_and_the_last_one_always(studio, make):
    edit = make(num_inference_steps=3)
    updates = list(studio.edit(edit, visitor="a"))
    assert isinstance(updates[0], Step) and updates[0].number == 1
    assert updates[-1].number == updates[-1].total == 3
    assert edit.output.is_file()


def count_steps(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Timesteps that the U-Net was really called with."""
    called, unet = [], studio.loaded.unet
    forward = unet.forward
    monkeypatch.setattr(unet, "forward", lambda *args, **options: called.append(1) or forward(*args, **options))
    return called


def test_stop_ends_the_computing_at_the_next_step(studio, make, monkeypatch):
    called = count_steps(studio, monkeypatch)
    edit = make(num_inference_steps=100)
    updates = studio.edit(edit, visitor="a")
    next(updates)
    studio.stop("somebody else")
    studio.stop("a")
    with pytest.raises(StoppedError):
        list(updates)
    done = len(called)
    assert 1 <= done < 100 and not edit.output.exists()
    list(studio.edit(make(), visitor="a"))
    assert len(called) == done + 2


@pytest.mark.parametrize(
    "reasons", [(SupersededError,), (SupersededError, StoppedError), (StoppedError, SupersededError)]
)
def test_a_picture_that_changes_while_the_result_is_written_ends_its_edit_too(studio, make, monkeypatch, reasons):
    monkeypatch.setattr("mimicbrush.demo.studio.edit", lambda *_, **__: [studio.stop("a", each) for each in reasons])
    with pytest.raises(SupersededError):
        list(studio.edit(make(), visitor="a"))


def test_a_visitor_who_leaves_ends_the_computing(studio, make, monkeypatch):
    called = count_steps(studio, monkeypatch)
    updates = studio.edit(make(num_inference_steps=100), visitor="a")
    next(updates)
    updates.close()
    done = len(called)
    assert done < 100
    list(studio.edit(make(), visitor="b"))
    assert len(called) == done + 2


def test_one_edit_at_a_time_and_those_who_wait_know_how_long_the_line_is(studio, make):
    first = studio.edit(make(num_inference_steps=50), visitor="a")
    next(first)
    second, third = (studio.edit(make(), visitor=name) for name in ("b", "c"))
    assert next(second) == Waiting(1) and next(third) == Waiting(2)
    studio.stop("b")
    with pytest.raises(StoppedError):
        list(second)
    first.close()
    assert isinstance(next(third), Step)
    third.close()


def test_a_long_line_takes_nobody_more():
    line = Line(max_waiting=1)
    refused = pytest.raises(UserError, match="1 edits are waiting already")
    with line.join("a"), line.join("b"), refused, line.join("c"):
        pass
    with line.join("c") as ticket:
        assert line.ahead(ticket) == 0


def test_leaving_wakes_who_waits():
    line, leave = Line(max_waiting=1), threading.Event()

    def hold() -> None:
        with line.join("a"):
            joined.set()
            leave.wait(10)

    joined = threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    joined.wait(10)
    with line.join("b") as ticket:
        assert line.ahead(ticket) == 1
        leave.set()
        thread.join(10)
        assert line.ahead(ticket) == 0


def test_an_edit_ends_at_the_time_limit(studio, make, monkeypatch):
    monkeypatch.setattr("mimicbrush.demo.studio.monotonic", count(step=1000).__next__)
    with pytest.raises(UserError, match=r"stopped at step 1 of 5 after 600 seconds, the limit of this page"):
        list(studio.edit(make(num_inference_steps=5), visitor="a"))


def test_what_the_pipeline_refuses_is_told(studio, make):
    with pytest.raises(UserError, match="context is 1000"):
        list(studio.edit(replace(make(), context=1000), visitor="a"))
    list(studio.edit(make(), visitor="a"))

"""Edits that go on while their page reloads."""

from __future__ import annotations

from queue import SimpleQueue
from time import sleep
from types import SimpleNamespace

import gradio as gr
import pytest

from mimicbrush.demo.result_panel import SAME, ResultPanel
from mimicbrush.demo.saving import edit_jobs
from mimicbrush.demo.saving.edit_jobs import EditJobs, laid_over


@pytest.fixture
def steps() -> SimpleQueue:
    return SimpleQueue()


@pytest.fixture
def stopped() -> list[str]:
    return []


@pytest.fixture
def jobs(stopped) -> EditJobs:
    return EditJobs(stopped.append)


def opened(jobs: EditJobs, session: str, name: str = "page") -> SimpleNamespace:
    request = SimpleNamespace(session_hash=session)
    jobs.name(request, name)
    return request


def test_an_edit_goes_on_and_is_found_by_its_page_alone(jobs, steps):
    first = opened(jobs, "a")
    watched = jobs.start(jobs.visitor(first), iter(steps.get, None))
    steps.put(ResultPanel("Step 1", preview=gr.update(value="p", visible=True)))
    assert next(watched).status == "Step 1"
    watched.close()
    second = opened(jobs, "b")
    again = jobs.follow(jobs.visitor(second))
    steps.put(ResultPanel("Step 2"))
    assert next(again)[:1] in (("Step 1",), ("Step 2",))
    steps.put(ResultPanel("Done", preview=gr.update(visible=False)))
    steps.put(None)
    assert list(again)[-1].status == "Done"
    shown = list(jobs.follow("page"))
    assert len(shown) == 1 and shown[0].preview == gr.update(value="p", visible=False)
    assert list(jobs.follow(jobs.visitor(opened(jobs, "c", "other")))) == [ResultPanel()]
    jobs.forget("page")
    assert list(jobs.follow("page")) == [ResultPanel()]


@pytest.mark.parametrize(("comes_back", "expected"), [(False, ["page"]), (True, [])])
def test_an_edit_is_stopped_when_its_page_stays_away(jobs, steps, stopped, monkeypatch, comes_back, expected):
    timers = []
    monkeypatch.setattr(edit_jobs.threading, "Timer", lambda _, act: timers.append(act) or SimpleNamespace(start=int))
    page = opened(jobs, "a")
    jobs.start(jobs.visitor(page), iter(steps.get, None))
    jobs.leave(page)
    if comes_back:
        opened(jobs, "b")
    for act in timers:
        act()
    steps.put(None)
    assert len(timers) == 1 and stopped == expected


def test_a_failure_reaches_the_page(jobs):
    def panels():
        yield ResultPanel("Starting")
        raise ZeroDivisionError

    views = jobs.start("page", panels())
    assert next(views).status == "Starting"
    with pytest.raises(ZeroDivisionError):
        next(views)
    assert next(jobs.follow("page")).status == "Starting"


def test_a_failure_after_the_page_was_left_is_logged(jobs, steps, caplog):
    def panels():
        yield ResultPanel("Starting")
        steps.get()
        raise ZeroDivisionError

    views = jobs.start("page", panels())
    next(views)
    views.close()
    again = jobs.follow("page")
    next(again)
    again.close()
    steps.put(None)
    for _ in range(100):
        if caplog.messages:
            break
        sleep(0.02)
    assert caplog.messages == ["an edit failed, and its page is closed"]


def test_the_names_of_pages_do_not_fill_the_memory(jobs):
    for number in range(edit_jobs.MAX_NAMES + 5):
        opened(jobs, f"session {number}", f"page {number}")
    opened(jobs, "s" * 100_000)
    assert len(jobs._names) == edit_jobs.MAX_NAMES and max(map(len, jobs._names)) < 64
    assert jobs.visitor(SimpleNamespace(session_hash=f"session {number}")) == f"page {number}"


def test_properties_are_laid_over_one_another():
    before = ResultPanel(slider=gr.update(value="s", visible=True), results="r")
    shown = laid_over(before, ResultPanel(slider=gr.update(visible=False)))
    assert shown.slider == gr.update(value="s", visible=False) and shown.results == "r" and shown.zip_file == SAME

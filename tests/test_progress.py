from __future__ import annotations

import io
import sys

import pytest
from tqdm import tqdm

from mimicbrush.progress import PlainProgress, ProgressLog, StepCount, progress_bar


class Clock:
    """A clock that only a test advances."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def log(clock: Clock, lines: list[str]) -> ProgressLog:
    return ProgressLog(now=clock, write=lines.append)


def test_a_line_comes_every_few_seconds_with_the_time_left(log, clock, lines):
    with PlainProgress(total=50, unit="step", log=log) as progress:
        for _ in range(12):
            clock.seconds += 1
            progress.update()
    assert lines == ["step 5 of 50, about 45 s left", "step 10 of 50, about 40 s left"]


def test_short_work_prints_no_line_also_after_long_work(log, clock, lines):
    for seconds_per_step, num_lines in ((1, 2), (0.4, 2), (3, 7)):
        for _ in PlainProgress(range(11), log=log):
            clock.seconds += seconds_per_step
        assert len(lines) == num_lines


def test_nested_work_is_one_line_and_its_time_is_that_of_the_whole(log, clock, lines):
    for _ in PlainProgress(range(10), unit="row", log=log):
        with PlainProgress(total=50, unit="step", log=log) as steps:
            for _ in range(50):
                clock.seconds += 0.25
                steps.update()
    assert lines[:2] == [
        "row 1 of 10, step 20 of 50, about 2 min left",
        "row 1 of 10, step 40 of 50, about 115 s left",
    ]
    assert lines[-1] == "row 10 of 10, step 50 of 50"


def test_work_of_hours_prints_fewer_lines_and_a_failed_part_is_forgotten(log, clock, lines):
    with PlainProgress(total=1000, unit="video", log=log) as videos:
        with pytest.raises(ZeroDivisionError), PlainProgress(total=3, unit="frame", log=log):
            _ = 1 / 0
        videos.set_postfix_str("2 failed")
        for _ in range(1000):
            clock.seconds += 60
            videos.update()
    assert lines[0] == "video 1 of 1000 (2 failed), about 17 h left"
    assert 200 < len(lines) < 400


@pytest.mark.parametrize("is_terminal", [True, False])
def test_only_a_terminal_gets_a_bar(monkeypatch, is_terminal):
    stream = io.StringIO()
    stream.isatty = lambda: is_terminal
    monkeypatch.setattr(sys, "stderr", stream)
    with progress_bar(total=3, desc="sampling") as progress:
        progress.update(3)
    assert isinstance(progress, tqdm) == is_terminal and ("\r" in stream.getvalue()) == is_terminal
    assert is_terminal or stream.getvalue() == ""


def test_steps_of_an_edit_that_resumes_are_counted_from_the_second_report():
    count = StepCount()
    assert [count.number(step / 200) for step in (101, 102, 103)][1:] == [102, 103]
    assert (count.total, count.before) == (200, 100)
    fresh = StepCount()
    assert [fresh.number(step / 3) for step in (1, 2, 3)] == [1, 2, 3] and fresh.before == 0
    early = StepCount()
    assert [early.number(share) for share in (0.01, 0.02, 1.0)] == [1, 2, 100]


def test_the_time_left_of_resumed_work_follows_from_the_steps_of_this_process(log, clock, lines):
    with PlainProgress(total=100, unit="step", log=log) as progress:
        progress.initial = 80
        progress.update(80)
        for _ in range(6):
            clock.seconds += 1
            progress.update()
    assert lines == ["step 85 of 100, about 15 s left"]

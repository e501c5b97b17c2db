"""Workers that hang, die and run out of memory."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from pebble.pool.process import PoolManager

from data_prep.sharding.pool import Failure, end_with_parent, map_in_order
from tests.conftest import REPOSITORY


def behave(word: str) -> str:
    """Do what the word says."""
    if word == "hang":
        # As decord does: in C, with the interpreter's lock held, where no signal handler of Python's runs.
        ctypes.PyDLL(None).sleep(600)
    if word == "die":
        os.kill(os.getpid(), signal.SIGSEGV)
    if word == "leave":
        os._exit(3)
    if word == "run out of memory":
        return str(len(bytearray(6 * 2**30)))
    if word == "raise":
        raise KeyError("raised")
    if word.isdigit():
        time.sleep(float(word) / 100)
    return word


def test_results_come_in_order_whoever_is_done_first() -> None:
    words = [str(number) for number in (30, 0, 5, 0, 1, 0, 0, 2)]
    assert list(map_in_order(behave, words, workers=2)) == words


def test_one_bad_task_costs_that_task_only() -> None:
    results = list(map_in_order(behave, ["a", "hang", "b", "die", "c", "leave", "d"], workers=2, timeout=1))
    assert results[::2] == ["a", "b", "c", "d"]
    assert results[1] == Failure("timeout", "not done in 1 s, twice")
    assert results[3] == Failure("crashed", "its process died, twice (SIGSEGV)")
    assert results[5] == Failure("crashed", "its process died, twice (exit status 3)")


def test_memory_is_bounded() -> None:
    with pytest.raises(MemoryError):
        list(map_in_order(behave, ["run out of memory"], workers=1, memory=2))


def test_exceptions_rise() -> None:
    with pytest.raises(KeyError, match="raised"):
        list(map_in_order(behave, ["a", "raise"], workers=1))


def blocks_ctrl_c(_: str) -> bool:
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows blocks no signals")
def test_ctrl_c_is_left_to_the_command_itself() -> None:
    assert list(map_in_order(blocks_ctrl_c, ["a"], workers=1)) == [True]
    assert not blocks_ctrl_c("here")


def is_imported(module: str) -> bool:
    return module in sys.modules


@pytest.mark.skipif(sys.platform == "win32", reason="Windows forks no processes")
def test_workers_find_everything_imported() -> None:
    modules = ["data_prep.clips.clip_to_pairs", "data_prep.stills.still_to_pairs", "mimicbrush.video.pyav_reader"]
    assert list(map_in_order(is_imported, modules, workers=1)) == [True] * 3


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends workers with their parent")
def test_killed_parents_leave_no_worker_behind(tmp_path: Path) -> None:
    code = (
        "from data_prep.sharding.pool import map_in_order\n"
        "from tests.data_prep.sharding.test_pool import behave\n"
        "if __name__ == '__main__':\n"
        "    for word in map_in_order(behave, ['a', '6000', '6000'], workers=2): print(word, flush=True)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, env=environment, cwd=tmp_path)
    assert parent.stdout.readline() == b"a\n"
    assert len(_processes_in(tmp_path)) >= 3
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 30
    while _processes_in(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _processes_in(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends workers with their parent")
def test_a_worker_that_starts_after_its_command_was_killed_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed:
        def is_alive(self) -> bool:
            return False

    def leave(status: int) -> None:
        raise SystemExit(status)

    monkeypatch.setattr(multiprocessing, "parent_process", Killed)
    monkeypatch.setattr(os, "_exit", leave)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(prctl=lambda *_: 0))
    with pytest.raises(SystemExit):
        end_with_parent()


def _processes_in(folder: Path) -> list[str]:
    """Numbers of the processes whose working folder this is."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cwd"):
        try:
            found += [place.parent.name] if place.readlink() == folder else []
        except OSError:  # it ended meanwhile, or is another user's
            continue
    return found


def test_an_interruption_waits_until_the_workers_have_started(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    start = PoolManager.start

    def interrupt_and_start(manager: PoolManager) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        start(manager)
        started.append(len(manager.worker_manager.workers))

    monkeypatch.setattr(PoolManager, "start", interrupt_and_start)
    # A shell without job control has its background jobs ignore Ctrl-C, and the tests may be part of one.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            list(map_in_order(behave, ["a"], workers=2))
    finally:
        signal.signal(signal.SIGINT, before)
    assert started == [2]

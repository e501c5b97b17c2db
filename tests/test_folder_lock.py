"""A folder has one holder; a second command is refused with its name, and any end of the holder frees the folder."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from mimicbrush import folder_lock
from mimicbrush.folder_lock import NAME, FolderHeldError, held
from tests.conftest import REPOSITORY

HOLD = """
import os, sys, time
from pathlib import Path
from mimicbrush.folder_lock import held
with held(Path(sys.argv[1])):
    if os.fork() == 0:  # like a worker of a loader, which outlives its parent for a while
        os.close(1)
        time.sleep(60)
    print("held", flush=True)
    time.sleep(60)
"""


def write_note(path: Path, **fields: object) -> None:
    """Write the note of a holder on another machine, which looks the same while it runs and after it was killed."""
    note = {"token": "t", "host": "elsewhere", "pid": 17, "since": "2026-11-28 11:00:00", "command": "train.py"}
    path.write_text(json.dumps({**note, "job": "", "restarts": 0, **fields}))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Replace sleeping by recording its seconds."""
    slept: list[float] = []
    monkeypatch.setattr(folder_lock.time, "sleep", slept.append)
    return slept


def test_a_second_command_is_refused_with_the_holder_and_advice(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    with held(tmp_path / "a" / "run"):
        with pytest.raises(FolderHeldError) as error, held(tmp_path / "a" / "run"):
            pass
        # The refused command has not removed the lock of the first one.
        with pytest.raises(FolderHeldError), held(tmp_path / "a" / "run"):
            pass
    said = str(error.value)
    assert said.startswith(
        f"{tmp_path / 'a' / 'run'} is held by process {os.getpid()} on {platform.node()}, Slurm job 4711,"
    )
    assert said.endswith("; wait for it, stop it, or choose another output")
    assert "\n" not in said
    with held(tmp_path / "a" / "run"):
        pass
    # Nothing was made in the folder, so it is removed.
    assert list(tmp_path.iterdir()) == []


def test_an_exception_frees_the_lock_and_keeps_written_files(tmp_path):
    with pytest.raises(KeyboardInterrupt), held(tmp_path / "run"):
        (tmp_path / "run" / "a.txt").touch()
        raise KeyboardInterrupt
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["a.txt"]


def test_parts_are_held_side_by_side_and_the_whole_alone(tmp_path):
    with held(tmp_path, share="0001"):
        with held(tmp_path, share="0002"):
            for share in ("0001", "0002", ""):
                with pytest.raises(FolderHeldError), held(tmp_path, share=share):
                    pass
        with pytest.raises(FolderHeldError), held(tmp_path):
            pass
    with held(tmp_path), pytest.raises(FolderHeldError), held(tmp_path, share="0001"):
        pass
    with held(tmp_path):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows does not fork")
def test_a_killed_holder_holds_no_more_though_its_child_lives(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True, start_new_session=True)
    try:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(FolderHeldError, match=f"is held by process {process.pid} on"), held(tmp_path):
            pass
        process.kill()
        process.wait()
        with held(tmp_path):
            pass
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(params=["waited for", "zombie"])
def ended(request: pytest.FixtureRequest) -> Iterator[int]:
    """Return the number of an ended child process, for which this process has waited or not."""
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", "exit"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    if request.param == "waited for":
        os.waitpid(pid, 0)
    yield pid
    if request.param == "zombie":
        os.waitpid(pid, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows does not fork")
def test_a_child_that_was_forked_as_its_parent_was_killed_is_given_time_to_let_go(tmp_path, monkeypatch, ended):
    fcntl = pytest.importorskip("fcntl")
    write_note(tmp_path / NAME, host=platform.node(), pid=ended)
    # Its copy of the open file: the lock lasts until the last copy is closed.
    copy = os.open(tmp_path / NAME, os.O_RDWR)
    fcntl.flock(copy, fcntl.LOCK_EX)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            os.close(copy)

    monkeypatch.setattr(folder_lock.time, "sleep", sleep)
    with held(tmp_path):
        assert len(slept) == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows does not fork")
def test_a_child_that_never_lets_go_is_waited_for_ten_seconds_and_a_living_holder_not_at_all(tmp_path, clock, ended):
    fcntl = pytest.importorskip("fcntl")
    with (tmp_path / NAME).open("w") as copy:
        fcntl.flock(copy, fcntl.LOCK_EX)
        for pid, seconds in ((os.getpid(), 0), (ended, 10)):
            write_note(tmp_path / NAME, host=platform.node(), pid=pid)
            with pytest.raises(FolderHeldError, match=f"is held by process {pid} on"), held(tmp_path):
                pass
            assert sum(clock) == pytest.approx(seconds, abs=0.1)


def test_a_holder_on_another_machine_that_renews_its_note_lives(tmp_path, monkeypatch):
    write_note(tmp_path / NAME, job="12")
    monkeypatch.setattr(folder_lock.time, "sleep", lambda seconds: os.utime(tmp_path / NAME))
    with pytest.raises(FolderHeldError, match="by process 17 on elsewhere, Slurm job 12, since"), held(tmp_path):
        pass
    assert "elsewhere" in (tmp_path / NAME).read_text()


def test_a_holder_on_another_machine_that_is_silent_for_a_minute_has_ended(tmp_path, clock, capsys):
    write_note(tmp_path / NAME)
    with held(tmp_path):
        assert json.loads((tmp_path / NAME).read_text())["host"] == platform.node()
    assert sum(clock) == 60
    assert "waiting 60 s to see whether process 17 on elsewhere" in capsys.readouterr().err


def test_all_parts_are_watched_at_once(tmp_path, clock, monkeypatch):
    for task in ("0000", "0001", "0002"):
        write_note(tmp_path / f"{NAME}-{task}")
    with held(tmp_path):
        assert sum(clock) == 60
    monkeypatch.setattr(folder_lock.time, "sleep", lambda seconds: os.utime(tmp_path / f"{NAME}-0001"))
    with pytest.raises(FolderHeldError, match="is held by process 17 on elsewhere"), held(tmp_path):
        pass


def test_there_is_no_wait_for_a_holder_that_certainly_ended(tmp_path, clock, monkeypatch):
    write_note(tmp_path / NAME, host=platform.node())  # its lock ended with it
    with held(tmp_path):
        pass
    write_note(tmp_path / NAME)
    os.utime(tmp_path / NAME, (0, 0))
    with held(tmp_path):
        pass
    write_note(tmp_path / NAME, job="12", restarts=1)
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    with held(tmp_path):
        pass
    (tmp_path / NAME).write_text("{torn")
    with held(tmp_path):
        pass
    assert clock == []


def test_two_steps_of_one_job_are_not_each_others_former_start(tmp_path, clock, monkeypatch):
    write_note(tmp_path / NAME, job="12")
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    with held(tmp_path):
        pass
    assert sum(clock) == 60


@pytest.mark.parametrize("lost", ["fcntl", "flock"])
def test_without_locks_of_the_system_the_note_alone_decides(tmp_path, monkeypatch, clock, lost):
    if lost == "fcntl":
        monkeypatch.setitem(sys.modules, "fcntl", None)
    else:
        fcntl = pytest.importorskip("fcntl")

        def unsupported(number, how):
            raise OSError(38, "Function not implemented")

        monkeypatch.setattr(fcntl, "flock", unsupported)
    write_note(tmp_path / NAME, host=platform.node())
    with held(tmp_path):
        assert sum(clock) == 60
        monkeypatch.setattr(folder_lock.time, "sleep", lambda seconds: os.utime(tmp_path / NAME))
        with pytest.raises(FolderHeldError), held(tmp_path):
            pass


def test_windows_locks_a_byte_behind_the_note(tmp_path, monkeypatch):
    locked: set[int] = set()

    def locking(number: int, mode: int, num_bytes: int) -> None:
        place = os.lseek(number, 0, os.SEEK_CUR)
        assert (mode, num_bytes, place > 1000) == (2, 1, True)
        if locked:
            raise OSError(13, "Permission denied")
        locked.add(place)

    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(LK_NBLCK=2, locking=locking))
    with held(tmp_path):
        assert (tmp_path / NAME).stat().st_size < 1000
        with pytest.raises(FolderHeldError, match=f"is held by process {os.getpid()} on"), held(tmp_path):
            pass


def test_a_holder_renews_its_note_and_ends_if_another_took_the_folder(tmp_path, monkeypatch, capsys):
    write_note(tmp_path / NAME, token="ours")
    os.utime(tmp_path / NAME, (0, 0))
    ours = folder_lock._read(tmp_path / NAME)

    class Beats:
        def wait(self, seconds: float) -> bool:
            if (tmp_path / NAME).stat().st_mtime > 0:
                write_note(tmp_path / NAME, token="another's", pid=18)
            return False

    def end(status: int) -> None:
        raise SystemExit(status)

    monkeypatch.setattr(os, "_exit", end)
    with pytest.raises(SystemExit) as ended:
        folder_lock._renew(tmp_path / NAME, ours, Beats())
    assert ended.value.code == 2
    assert "was taken over by process 18" in capsys.readouterr().err

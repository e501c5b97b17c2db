from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

import evaluate
import train
from mimicbrush.command import Command, CommandGroup, call_command
from mimicbrush.errors import UserError

SCRIPT = """
import os, signal, sys, time, weakref
from mimicbrush.command import Command, run_command

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in a shell's background
number = getattr(signal, {name!r})

def parse(arguments, config_class):
    if {moment!r} == "parsing":
        os.kill(os.getpid(), number)
    return None

class Dying:
    def __del__(self):
        os.kill(os.getpid(), number)
        time.sleep(0.01)

def in_library():
    try:
        os.kill(os.getpid(), number)
        time.sleep(5)
    except BaseException:
        raise ImportError("a library's own words") from None

def run(config):
    try:
        if {moment!r} == "working":
            os.kill(os.getpid(), number)
        if {moment!r} == "destructor":
            Dying()
        if {moment!r} == "library":
            in_library()
        if {moment!r} == "fork":
            if os.fork() == 0:
                os.kill(os.getpid(), number)
                time.sleep(5)
            os.wait()
            os.kill(os.getpid(), number)
        time.sleep(5)
    finally:
        print("cleaned up", flush=True)

run_command(Command(config="builtins.dict", parse="__main__.parse", run="__main__.run"))
"""


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("SIGINT", "parsing"),
        ("SIGTERM", "parsing"),
        ("SIGINT", "working"),
        ("SIGTERM", "working"),
        ("SIGINT", "destructor"),
        ("SIGTERM", "library"),
        ("SIGINT", "fork"),
    ],
)
def test_a_signal_ends_a_command_in_one_line(name, moment):
    command = [sys.executable, "-c", SCRIPT.format(name=name, moment=moment)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    cause = {"SIGINT": "stopped", "SIGTERM": "stopped by SIGTERM"}[name]
    assert ended.stderr == f"{cause}; run the same command again to resume\n"
    assert ended.returncode == 128 + getattr(signal, name)
    assert ended.stdout == "cleaned up\n" * (moment != "parsing")


UNREAD = """
import os
from mimicbrush.command import Command, run_command
from mimicbrush.errors import UserError

def parse(arguments, config_class):
    return None

def run(config):
    if {end!r} == "pipe":
        read, write = os.pipe()
        os.close(read)
        os.write(write, b"x")
    print("made", flush={end!r} == "flush")
    if {end!r} == "fault":
        raise UserError("wrong")

run_command(Command(config="builtins.dict", parse="__main__.parse", run="__main__.run"))
"""


@pytest.mark.parametrize(
    ("end", "has_reader", "status", "last_line"),
    [
        ("finished", False, 0, ""),
        ("flush", False, 141, ""),
        ("fault", False, 2, "error: wrong"),
        ("pipe", True, 1, "BrokenPipeError: [Errno 32] Broken pipe"),
    ],
)
def test_a_command_whose_output_has_no_reader_ends_quietly(monkeypatch, end, has_reader, status, last_line):
    read, write = os.pipe()
    if not has_reader:
        os.close(read)
    command = [sys.executable, "-c", UNREAD.format(end=end)]
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    ended = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert ended.returncode == status
    assert (ended.stderr.splitlines() or [""])[-1] == last_line
    assert end == "pipe" or len(ended.stderr.splitlines()) == bool(last_line)
    for number in (write, *[read] * has_reader):
        os.close(number)


@dataclass(frozen=True, kw_only=True)
class Band:
    """A range."""

    low: float = 0.1
    """Lower edge."""


@dataclass(frozen=True, kw_only=True)
class Base:
    """The place."""

    folder: Path
    """Where it goes."""


@dataclass(frozen=True, kw_only=True)
class Example(Base):
    """Draw an example.

    This paragraph is no part of the summary.
    """

    folder: Path
    """Where the drawing goes."""
    band: Band = field(default_factory=lambda: Band(low=0.2))
    """A nested config."""
    spare: Band = field(default_factory=Band)
    """Another one."""
    others: list[Band] = field(default_factory=list)
    """Some more."""
    sizes: dict = field(default_factory=lambda: {"width": 2, "names": ["a"]})
    """Anything."""
    template: Path = field(default_factory=lambda: Path.cwd() / "template.yaml")
    """Where to start."""
    kind: Literal["plain", "fancy"] | None = None
    """How it looks."""
    paths: list[Path] | Path | None = None
    """One or more."""
    force: bool = False
    """Overwrite."""


COMMAND = Command(
    program="python draw.py",
    config=f"{__name__}.Example",
    run="nowhere.at_all",
    examples=(
        "python draw.py here",
        "python draw.py here --paths '[first/picture.png, second/picture.png]' --kind fancy",
    ),
    ordinary=("folder", "spare.low"),
    positional=("folder",),
)

HELP = """\
usage: python draw.py FOLDER [--OPTION VALUE ...]

Draw an example.

Examples:
  python draw.py here
  python draw.py here --paths '[first/picture.png, second/picture.png]' \\
      --kind fancy

Usual options
  --folder PATH             Where the drawing goes. (required)
  --spare.low NUMBER        Lower edge. (default: 0.1)
  --config PATH             YAML file with any of these options, nested as the
                            groups are. It overrides the defaults shown here,
                            and options on the command line override it.

Further options
  --others [{...}, ...]     Some more. (default: [])
  --sizes {NAME: VALUE, ...}
                            Anything. (default: {width: 2, names: [a]})
  --template PATH           Where to start. (default: template.yaml)
  --kind plain|fancy        How it looks.
  --paths [PATH, ...] or PATH
                            One or more.
  --force                   Overwrite.

band: A nested config.
  --band.low NUMBER         Lower edge. (default: 0.2)

spare: Another one. (options as for band)

each entry of others: A range. (options as for band)
"""


def test_help_is_written_from_the_config(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    call_command(COMMAND, ["--help"])
    assert capsys.readouterr().out == HELP


def test_a_group_lists_its_commands_and_runs_the_one_that_is_named(capsys):
    received = []
    sys.modules[__name__].keep = received.append
    group = CommandGroup(program="python -m tool", commands={"draw": COMMAND._replace(run=f"{__name__}.keep")})
    call_command(group, [])
    assert "  draw  Draw an example." in capsys.readouterr().out
    call_command(group, ["draw", "here", "--force"])
    assert received == [Example(folder=Path("here"), force=True)]
    with pytest.raises(UserError, match="erase is not a command of python -m tool; choose from draw"):
        call_command(group, ["erase"])


def test_missing_files_are_refused_before_the_module_that_works_is_imported():
    def refuse(config: Example) -> None:
        raise UserError(f"no {config.folder}")

    sys.modules[__name__].refuse = refuse
    command = COMMAND._replace(check=f"{__name__}.refuse", run="nowhere.at_all")
    with pytest.raises(UserError, match="no here"):
        call_command(command, ["here"])


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (train.COMMAND, "loading libraries to train runs/demo/train ..."),
        (evaluate.COMMAND, "loading libraries to evaluate shipped_weights, MimicBrush, "),
    ],
)
def test_loading_is_announced_before_the_work_is_imported(command, line, capsys):
    with pytest.raises(ModuleNotFoundError):
        call_command(command._replace(check=None, run="no_such_module.run"), [])
    assert capsys.readouterr().err.startswith(line)

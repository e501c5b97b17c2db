"""Commands in READMEs and in headers of YAMLs exist, and so do their options and configs."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest

from mimicbrush.command import Command, CommandGroup
from mimicbrush.command_help import option_groups
from tests.conftest import REPOSITORY
from tests.test_readmes import markdown_files

SCRIPTS = {f"slurm/{name}.sh": f"data_prep/{name}.py" for name in ("shard_videos", "shard_sam", "merge")}
SCRIPTS |= {"slurm/train.sh": "train.py", "slurm/evaluate.sh": "evaluate.py"}
"""Commands that the Slurm jobs run with their arguments."""
COMMAND = re.compile(
    r"^(?:#|    )\s*(?:torchrun .*?|sbatch .*?|python |\.venv/bin/python )(?=-m |\S+\.(?:py|sh)\b)(.*)$"
)
FREE = ("network.", "editors.")
"""Options whose further names are parts and editors, which depend on the config."""


def command_lines() -> list[tuple[str, str]]:
    """All command lines of the documents, with their files; lines that end in a backslash are joined."""
    found = []
    for path in markdown_files() + sorted((REPOSITORY / "configs").rglob("*.yaml")):
        text = re.sub(r"\\\n[#\s]*", " ", path.read_text(encoding="utf-8"))
        matches = map(COMMAND.match, text.splitlines())
        found += [(str(path.relative_to(REPOSITORY)), match[1]) for match in matches if match]
    return found


def entry_of(words: list[str]) -> tuple[Command | CommandGroup, list[str]]:
    """Split a line into the command and its arguments."""
    if words[0] == "-m":
        path, name, rest = Path(*words[1].split(".")), words[1], words[2:]
        name += ".__main__" if (REPOSITORY / path).is_dir() else ""
    else:
        name, rest = SCRIPTS.get(words[0], words[0]).removesuffix(".py").replace("/", "."), words[1:]
    module = importlib.import_module(name)
    return getattr(module, "COMMAND", None) or module.COMMANDS, rest


def options_of(command: Command) -> set[str]:
    module, _, name = command.config.rpartition(".")
    groups = option_groups(getattr(importlib.import_module(module), name), repeat=True)
    return {"config", "help", "print_config"} | {option.name for group in groups for option in group.options}


@pytest.mark.parametrize("path", sorted({path for path, _ in command_lines()}))
def test_commands_exist_with_their_options_and_configs(path):
    for line in [line for where, line in command_lines() if where == path]:
        entry, arguments = entry_of(shlex.split(line, comments=True))
        if isinstance(entry, CommandGroup) and arguments and arguments[0].startswith("--"):
            entry = entry.default
        elif isinstance(entry, CommandGroup) and arguments:
            entry, arguments = entry.commands[arguments[0]], arguments[1:]
        if isinstance(entry, CommandGroup):
            continue
        known = options_of(entry)
        for number, word in enumerate(arguments):
            if not word.startswith("--"):
                continue
            option = word[2:].partition("=")[0]
            nested = any(name.startswith(f"{option}.") for name in known)
            assert option in known or nested or option.startswith(FREE), f"{path}: {line}: no option --{option}"
            if option == "config" and arguments[number + 1].startswith("configs/"):
                assert (REPOSITORY / arguments[number + 1]).is_file(), f"{path}: {line}: no such config"


def test_there_are_many_commands():
    assert len(command_lines()) > 60

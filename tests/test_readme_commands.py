"""Commands in READMEs and in headers of YAMLs exist, and so do their options and configs."""

from __future__ import annotations

import importlib
import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from mimicbrush.command import Command, CommandGroup
from mimicbrush.command_help import option_groups
from mimicbrush.edit.subcommands import COMMANDS as EDITS
from mimicbrush.world.sets.vocabulary import PUNCTUATION, SEEN_WORDS
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


SMALL = ("asset:clip", "asset:unclip")
"""Networks that know the words of the small world alone."""


def prompts_for_small_networks() -> list[tuple[str, str]]:
    """Prompts of all examples, on the command line and in Python, that name a small network, with their files."""
    examples = [("help", example) for command in EDITS.commands.values() for example in command.examples]
    found = []
    for where, line in command_lines() + examples:
        words = shlex.split(line, comments=True) if any(name in line for name in SMALL) else []
        texts = ("prompt", "source_prompt", "target_prompt", "screen", "region", "negative_region")
        pairs = pairwise(words)
        found += [(where, text) for option, text in pairs if option.removeprefix("--") in texts]
    for path in markdown_files():
        for block in re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
            texts = re.findall(r"prompts?=\(?([^)]*)", block) if any(name in block for name in SMALL) else []
            found += [(path.name, text) for given in texts for text in re.findall(r'"([^"]*)"', given)]
    return found


def test_prompts_of_examples_are_known_to_the_small_networks_they_name():
    found = prompts_for_small_networks()
    assert len(found) > 12
    for where, text in found:
        assert set(text.split()) <= SEEN_WORDS, f"{where}: {text}"


def test_the_card_of_the_small_clip_lists_its_words():
    card = (REPOSITORY / "mimicbrush/assets/clip/README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^- [a-z ]+: (.*)", card.partition("## Words")[2].partition("## Log")[0], re.MULTILINE)
    assert {word for line in listed for word in line.split(", ")} == SEEN_WORDS - PUNCTUATION

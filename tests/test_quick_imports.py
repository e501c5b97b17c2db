"""Help, mistyped options and missing files are answered without importing torch."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import REPOSITORY

HEAVY = ("torch", "transformers", "diffusers", "lightning", "gradio", "cv2", "matplotlib", "scipy", "skimage")

SCRIPT = r"""
import contextlib, importlib, io, re, shlex, sys
from pathlib import Path
from mimicbrush.command import CommandGroup, call_command
from mimicbrush.errors import UserError

QUICK = ("config.py", "settings.py", "requests.py")

def module_of(path):
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")

def parts_of(command):
    paths = command.config, command.check, command.parse
    return [path.rpartition(".")[0] for path in paths if path]

ours = [*Path("mimicbrush").rglob("*.py"), *Path("data_prep").rglob("*.py"), Path("train.py"), Path("evaluate.py")]
entries = {module_of(path) for path in ours if "run_command(COMMAND" in path.read_text(encoding="utf-8")}
quick = {module_of(path) for path in ours if path.name in QUICK}
for name in sorted(entries | quick):
    module = importlib.import_module(name)
    for heavy in HEAVY:
        assert heavy not in sys.modules, f"{name} imports {heavy}"
for name in sorted(entries):
    module = importlib.import_module(name)
    entry = getattr(module, "COMMAND", None) or module.COMMANDS
    commands = list(entry.commands.values()) if isinstance(entry, CommandGroup) else [entry]
    for part in {part for command in commands for part in parts_of(command)}:
        importlib.import_module(part)
        for heavy in HEAVY:
            assert heavy not in sys.modules, f"{part}, for {name}, imports {heavy}"
    names = [[each] for each in entry.commands] if isinstance(entry, CommandGroup) else [[]]
    for words in names:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            call_command(entry, [*words, "--help"])
        lines = said.getvalue().splitlines()
        example = lines.index("Examples:")
        assert example < 8 and lines[example + 2], f"{name} {words}: two examples open the help"
        long = [line for line in lines if len(line) > 100]
        assert not long, f"{name} {words}: {long[0]}"
        examples, _, listed = said.getvalue().partition("Examples:")[2].partition("Usual options")
        unknown = set(re.findall(r"(--[\w.]+)\s", examples)) - set(listed.split())
        assert not unknown, f"{name} {words}: an example has {unknown}, which help does not list"
        assert not any(word in said.getvalue() for word in ("Union[", "Literal[", "Optional[", "<class"))
edits = importlib.import_module("mimicbrush.edit.subcommands").COMMANDS
for kind, command in edits.commands.items():
    for example in command.examples:
        try:
            call_command(edits, shlex.split(example)[3:])
        except UserError as error:
            assert re.search("no such (picture|clip|CSV|file)|not a readable CSV", str(error)), error
        else:
            raise AssertionError(f"{example}: its missing files are not found")
        for heavy in HEAVY:
            assert heavy not in sys.modules, f"{example}: missing files are found after {heavy} is imported"
importlib.import_module("data_prep.forkserver")
assert "torch" not in sys.modules, "data preparation's workers import torch"
print(len(entries))
"""


def test_what_answers_at_once_imports_nothing_heavy():
    script = f"HEAVY = {HEAVY}\n{SCRIPT}"
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 14

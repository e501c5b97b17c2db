"""Windows and macOS, simulated in one process of its own: what they lack is taken away before ours is imported."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from data_prep import pool, shard_videos
from mimicbrush import machine
from mimicbrush.command import call_command
from mimicbrush.data.shard_index import list_shards
from mimicbrush.data.shards import read_pairs
from mimicbrush.training.records import read_records
from tests.conftest import REPOSITORY
from tests.data_prep.conftest import SIDE, write_clip
from tests.training.test_training import config, fit

# Third-party packages first, with all that they have: what they do on Windows is theirs to test.
WINDOWS = """
import ast, importlib, multiprocessing, os, pkgutil, shutil, signal, sys
from pathlib import Path

ours = [*Path("mimicbrush").rglob("*.py"), *Path("data_prep").rglob("*.py"), Path("train.py"), Path("evaluate.py")]
for path in ours:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
        if names[0].split(".")[0] in OURS | MISSING:
            continue
        try:
            for name in names:
                module = importlib.import_module(name)
                if isinstance(node, ast.ImportFrom):
                    [getattr(module, alias.name, None) for alias in node.names]
        except ImportError:
            pass  # an optional package

for name in OS_NAMES:
    delattr(os, name)
for name in SIGNALS:
    delattr(signal, name)
for name in MISSING:
    sys.modules[name] = None
for name in [name for name in sys.modules if name.split(".")[0] in OURS]:
    del sys.modules[name]
multiprocessing.get_all_start_methods = lambda: ["spawn"]
sys.platform = "win32"

for package in ("mimicbrush", "data_prep"):
    for module in pkgutil.walk_packages([package], f"{package}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
import train, evaluate
print("imported", len([name for name in sys.modules if name.split(".")[0] in OURS]))

from mimicbrush.command import call_command
from mimicbrush.edit import __main__ as edit
from mimicbrush.errors import UserError, end_with_error
from data_prep import shard_sam, shard_videos

work = Path(os.environ["WORK"])
for command, *arguments in (
    (train.COMMAND, "--config", "configs/train/tiny.yaml"),
    (shard_videos.COMMAND, "--config", "configs/data/demo_videos.yaml"),
    (shard_sam.COMMAND, "--config", "configs/data/demo_stills.yaml"),
    (edit.COMMAND, *os.environ["EDIT"].split()),
    (evaluate.COMMAND, "--config", str(work / "evaluate.yaml")),
):
    try:
        call_command(command, arguments)
        print("done", flush=True)
    except UserError as error:
        try:
            end_with_error(error)
        except SystemExit as status:
            print("status", status.code, flush=True)
"""
MISSING = {"fcntl", "resource", "pwd", "grp", "termios"}
OS_NAMES = ("sched_getaffinity", "sched_setaffinity", "sysconf", "fork", "killpg", "getuid", "geteuid", "O_DIRECTORY")
SIGNALS = ("SIGUSR1", "SIGUSR2", "SIGKILL", "SIGHUP", "SIGALRM", "SIGQUIT", "SIGCHLD")


def test_windows_imports_everything_edits_and_evaluates_and_says_what_it_lacks(tmp_path: Path) -> None:
    from tests.evaluation.conftest import write_triplet

    for number in range(2):
        write_triplet(tmp_path / "set", f"{number:03d}", seed=number)
    triplet = dict.fromkeys(("source", "reference"), tmp_path / "set" / "000_source.png")
    options = {"weights": "asset:tiny", **triplet, "mask": tmp_path / "set" / "000_source_mask.png"}
    options |= {"num_inference_steps": 1, "output": tmp_path / "edited.png"}
    (tmp_path / "evaluate.yaml").write_text(
        f"output: {tmp_path / 'out'}\n"
        f"sets: {{small: {{folder: {tmp_path / 'set'}, task: texture, track: inner_id}}}}\n"
        "editors: {paste: {class_path: mimicbrush.editors.baselines.ReferencePaste}}\n"
    )
    edit = " ".join(f"--{name} {value}" for name, value in options.items())
    ours = {"mimicbrush", "data_prep", "train", "evaluate"}
    script = f"OURS, MISSING, OS_NAMES, SIGNALS = {ours}, {MISSING}, {OS_NAMES}, {SIGNALS}\n{WINDOWS}"
    environment = {**os.environ, "WORK": str(tmp_path), "EDIT": edit, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert [line.split(" needs ")[0] for line in errors] == ["error: training", "error: sharding", "error: sharding"]
    assert all("found Windows; run it in WSL 2" in line for line in errors)
    assert done.stdout.count("status 2") == 3 and done.stdout.count("done\n") == 2, done.stdout + done.stderr
    assert (tmp_path / "edited.png").is_file() and (tmp_path / "out" / "results.json").is_file()


@pytest.fixture
def macos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cores, and nothing that only Linux has; loader workers are started, not forked."""
    monkeypatch.setattr(
        multiprocessing.context._default_context, "_actual_context", multiprocessing.get_context("spawn")
    )
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    for module in (machine, pool):
        monkeypatch.setattr(module, "PROC", tmp_path / "proc")
    monkeypatch.setattr(machine, "CGROUPS", tmp_path / "cgroups")


def test_macos_trains(macos, shards, tmp_path, monkeypatch, capfd):
    fit(config(shards, tmp_path / "run"), tmp_path, monkeypatch, "--data.num_workers=1")
    assert "trained steps 1 to 2" in capfd.readouterr().out
    rows = read_records(tmp_path / "run" / "metrics.csv")
    assert [row["step"] for row in rows] == [1, 2]
    assert all(row["loss"] > 0 for row in rows)


def test_macos_shards(macos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_clip(tmp_path / "clips" / "a.mp4", 0)
    pairs = ["--pairs.ssim_low=-1", "--pairs.ssim_high=1", "--pairs.min_changed=0"]
    arguments = ["--videos", tmp_path / "clips", "--output", tmp_path / "out", "--short_side", SIDE, *pairs]
    call_command(shard_videos.COMMAND, list(map(str, arguments)))
    assert len(list(read_pairs(list_shards(tmp_path / "out")))) > 0

"""Windows and macOS, simulated in a separate process: everything they lack is removed before our imports."""

from __future__ import annotations

import ast
import importlib
import multiprocessing
import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path

import pytest

from data_prep import shard_videos
from data_prep.sharding import pool
from mimicbrush import machine
from mimicbrush.command import call_command
from mimicbrush.data.shard_index import list_shards
from mimicbrush.data.shards import read_pairs
from mimicbrush.training.records import read_records
from tests.conftest import REPOSITORY
from tests.data_prep.conftest import SIDE, write_clip
from tests.training.test_training import config, fit

# Run in a fork of a process that has imported the third-party packages, with all that they have: what they do on
# Windows is theirs to test.
WINDOWS = """
import importlib, multiprocessing, os, pkgutil, signal, sys
from functools import partial
from pathlib import Path

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
OURS = {"mimicbrush", "data_prep", "train", "evaluate"}
MISSING = {"fcntl", "resource", "pwd", "grp", "termios"}
OS_NAMES = ("sched_getaffinity", "sched_setaffinity", "sysconf", "fork", "killpg", "getuid", "geteuid", "O_DIRECTORY")
SIGNALS = ("SIGUSR1", "SIGUSR2", "SIGKILL", "SIGHUP", "SIGALRM", "SIGQUIT", "SIGCHLD")


def import_third_party_packages() -> None:
    """Import everything that our files import, also inside functions."""
    files = [path for package in ("mimicbrush", "data_prep") for path in (REPOSITORY / package).rglob("*.py")]
    for path in (*files, REPOSITORY / "train.py", REPOSITORY / "evaluate.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            if names[0].split(".")[0] in OURS | MISSING:
                continue
            with suppress(ImportError):  # an optional package
                for name in names:
                    module = importlib.import_module(name)
                    if isinstance(node, ast.ImportFrom):
                        [getattr(module, alias.name, None) for alias in node.names]


def run_in_fork(script: str, folder: Path, variables: dict[str, str]) -> tuple[int | None, str, str]:
    """Execute a script in a fork of this process, in the repository; returns its exit status and what it printed."""
    out, err = folder / "out.txt", folder / "err.txt"

    def child() -> None:
        sys.stdout, sys.stderr = out.open("w", encoding="utf-8"), err.open("w", encoding="utf-8")
        os.chdir(REPOSITORY)
        os.environ.update(variables)
        try:
            exec(script, {"OURS": OURS, "MISSING": MISSING, "OS_NAMES": OS_NAMES, "SIGNALS": SIGNALS})
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            sys.stdout.flush(), sys.stderr.flush()

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    return process.exitcode, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8")


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
    import_third_party_packages()
    status, out, err = run_in_fork(WINDOWS, tmp_path, {"WORK": str(tmp_path), "EDIT": edit})
    assert status == 0, out + err
    errors = [line for line in err.splitlines() if line.startswith("error:")]
    assert [line.split(" needs ")[0] for line in errors] == ["error: training", "error: sharding", "error: sharding"]
    assert all("found Windows; run it in WSL 2" in line for line in errors)
    assert out.count("status 2") == 3 and out.count("done\n") == 2, out + err
    assert (tmp_path / "edited.png").is_file() and (tmp_path / "out" / "results.json").is_file()


@pytest.fixture
def macos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate two cores and no features of Linux; workers of the loader are spawned, not forked."""
    # Decord looks for its library by the system's name when it is imported.
    importlib.import_module("data_prep.clips.clip_to_pairs")
    monkeypatch.setattr(
        multiprocessing.context._default_context, "_actual_context", multiprocessing.get_context("spawn")
    )
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    for module in (machine, pool):
        monkeypatch.setattr(module, "PROC", tmp_path / "proc")
    monkeypatch.setattr(machine, "CGROUPS", tmp_path / "cgroups")


@pytest.mark.slow
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

"""Damaged checkpoints are named, and the run resumes from the previous one."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mimicbrush.errors import UserError
from mimicbrush.folder_lock import FolderHeldError, held
from mimicbrush.model.weights.build import load_network
from mimicbrush.model.weights.run_checkpoint import read_checkpoint
from mimicbrush.tensor_files import DamagedFileError, torch_load, torch_save
from mimicbrush.training.checkpoints import Checkpoints, WholeCheckpoints, find_resume_point
from mimicbrush.training.doctor.setup_checks import check_resume
from mimicbrush.training.records import read_records
from mimicbrush.training.stop_signals import StopSignals
from tests.conftest import make_shards
from tests.training.test_training import config, fit

QUIET = {"max_steps": 5, "checkpoint_every": 2, "record_every": 1}


def flip(path: Path, offset: int) -> None:
    """Flip one bit of a byte, in a new file, because the old file may have a second name."""
    content = bytearray(path.read_bytes())
    content[offset] ^= 1 << (offset % 8)
    path.unlink()
    path.write_bytes(content)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with shards and a run of five steps, whose last two checkpoints are of steps 4 and 5."""
    folder = tmp_path_factory.mktemp("finished")
    make_shards(folder / "shards")
    with pytest.MonkeyPatch.context() as monkeypatch:
        train_again(folder, monkeypatch)
    return folder


def train_again(folder: Path, monkeypatch: pytest.MonkeyPatch, **run) -> None:
    """Command that has trained the run `finished`."""
    shards = {name: folder / "shards" / name for name in ("videos", "stills", "heldout")}
    settings = config(shards, folder / "run", **QUIET | run)
    fit(settings, folder, monkeypatch)


@pytest.fixture
def checkpoints(finished: Path) -> Iterator[Path]:
    """Checkpoints of the run; they and its records are restored afterwards."""
    shutil.copytree(finished / "run", finished / "before")
    yield finished / "run" / "checkpoints"
    shutil.rmtree(finished / "run")
    (finished / "before").rename(finished / "run")


def test_every_flipped_bit_is_noticed(tmp_path):
    path = tmp_path / "a.ckpt"
    torch_save({"state_dict": {"weight": torch.arange(4.0)}, "global_step": 1}, path)
    assert torch_load(path)["state_dict"]["weight"].tolist() == [0, 1, 2, 3]
    assert torch.load(path, weights_only=True)["global_step"] == 1
    whole = path.read_bytes()
    damaged = tmp_path / "damaged.ckpt"
    for offset in (*range(0, len(whole) - 100, 5), *range(len(whole) - 100, len(whole))):
        content = bytearray(whole)
        content[offset] ^= 1 << (offset % 8)
        # A new name each time, because verified files are not read again.
        damaged = damaged.rename(tmp_path / f"{offset}.ckpt") if offset else damaged
        damaged.write_bytes(content)
        with pytest.raises(DamagedFileError, match=r"\.ckpt: damaged|not a readable checkpoint"):
            torch_load(damaged)


@pytest.mark.parametrize("damage", ["flipped", "empty"])
def test_a_run_resumes_from_the_checkpoint_before_a_damaged_one(finished, checkpoints, monkeypatch, capsys, damage):
    last = checkpoints / "last.ckpt"
    whole = read_checkpoint(last)
    content = last.read_bytes()
    last.unlink()
    if damage == "flipped":
        last.write_bytes(content)
        flip(last, len(content) // 3)
    else:
        last.touch()
    train_again(finished, monkeypatch)
    printed = capsys.readouterr().out
    assert re.search(r"last\.ckpt: .*; resuming from previous\.ckpt, step 4", printed)
    assert "trained steps 5 to 5" in printed
    after = read_checkpoint(last)
    torch.testing.assert_close(after["state_dict"], whole["state_dict"], rtol=0, atol=0)
    torch.testing.assert_close(after["ema"], whole["ema"], rtol=0, atol=0)
    assert [row["step"] for row in read_records(finished / "run" / "metrics.csv")] == [1, 2, 3, 4, 5]
    # The damaged checkpoint has not replaced the one that the run resumed from.
    assert read_checkpoint(checkpoints / "previous.ckpt")["global_step"] == 4


def test_two_damaged_checkpoints_are_named_in_one_sentence(finished, checkpoints, monkeypatch):
    for name in ("last.ckpt", "previous.ckpt"):
        flip(checkpoints / name, 500)
    with pytest.raises(
        UserError, match=r"last\.ckpt: damaged .*previous\.ckpt: damaged .*delete .*checkpoints"
    ) as error:
        train_again(finished, monkeypatch)
    assert "\n" not in str(error.value)
    shutil.copy(finished / "before" / "checkpoints" / "last.ckpt", checkpoints / "step-0000003.ckpt")
    with pytest.raises(UserError, match=r"or copy step-0000003\.ckpt over last\.ckpt"):
        find_resume_point(finished / "run")
    # A second name of the damaged file would not help.
    (checkpoints / "step-0000005.ckpt").hardlink_to(checkpoints / "last.ckpt")
    with pytest.raises(UserError, match=r"or copy step-0000003\.ckpt over last\.ckpt"):
        find_resume_point(finished / "run")


def test_a_checkpoint_that_the_system_cannot_read_is_a_damaged_one(tmp_path, monkeypatch):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for step, name in ((1, "previous.ckpt"), (2, "last.ckpt")):
        torch_save({"state_dict": {}, "global_step": step}, folder / name)
    for method in ("open", "stat"):
        with monkeypatch.context() as broken:
            before = getattr(Path, method)

            def fail(path: Path, *args, before=before, **kwargs):
                if path.name == "last.ckpt":
                    raise OSError(errno.EIO, "Input/output error")
                return before(path, *args, **kwargs)

            broken.setattr(Path, method, fail)
            start = find_resume_point(tmp_path)
        assert start.step == 1
        assert re.search(r"last\.ckpt: cannot be read \(Input/output error\); .*previous\.ckpt, step 1", start.fault)
    (tmp_path / "folder.ckpt").mkdir()
    with pytest.raises(DamagedFileError, match=r"folder\.ckpt: cannot be read"):
        torch_load(tmp_path / "folder.ckpt")


def test_a_damaged_checkpoint_makes_no_edits_of_older_weights(finished, checkpoints):
    flip(checkpoints / "last.ckpt", 500)
    with pytest.raises(UserError, match=r"last\.ckpt: damaged .*resumes from previous\.ckpt"):
        load_network(finished / "run")


def test_the_doctor_names_a_damaged_checkpoint(finished, checkpoints, monkeypatch, shards):
    settings = config(shards, finished / "run", max_steps=9)
    flip(checkpoints / "last.ckpt", 500)
    monkeypatch.setattr("mimicbrush.training.doctor.setup_checks.describe_other_run", lambda *args, **kwargs: None)
    warning, ok = check_resume(settings)
    assert (warning.verdict, ok.verdict) == ("warning", "ok")
    assert "last.ckpt: damaged" in warning.message
    assert "resumes from step 4" in ok.message


def test_a_checkpoint_without_a_digest_replaces_a_missing_one(finished, checkpoints, monkeypatch, capsys):
    (checkpoints / "last.ckpt").unlink()
    content = read_checkpoint(checkpoints / "previous.ckpt")
    (checkpoints / "previous.ckpt").unlink()
    torch.save(content, checkpoints / "previous.ckpt")
    train_again(finished, monkeypatch)
    assert "trained steps 5 to 5" in capsys.readouterr().out


def test_two_checkpoints_stay_where_there_are_no_hard_links(tmp_path, monkeypatch):
    def refuse(self, target):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    plugin = WholeCheckpoints()
    for step in (1, 2, 3):
        plugin.save_checkpoint({"global_step": step, "state_dict": {}}, tmp_path / "last.ckpt")
    assert {path.name: read_checkpoint(path)["global_step"] for path in tmp_path.iterdir()} == {
        "last.ckpt": 3,
        "previous.ckpt": 2,
    }


def test_a_checkpoint_that_cannot_be_written_leaves_both_earlier_ones(tmp_path, monkeypatch):
    plugin = WholeCheckpoints()
    for step in (1, 2):
        plugin.save_checkpoint({"global_step": step, "state_dict": {}}, tmp_path / "last.ckpt")
    monkeypatch.setattr(torch, "save", lambda *args: (_ for _ in ()).throw(RuntimeError("unexpected pos 64 vs 0")))
    with pytest.raises(UserError, match="is the disk full"):
        plugin.save_checkpoint({"global_step": 3, "state_dict": {}}, tmp_path / "last.ckpt")
    steps = {path.name: read_checkpoint(path)["global_step"] for path in tmp_path.iterdir()}
    assert steps == {"last.ckpt": 2, "previous.ckpt": 1}


def save_until_killed(folder: Path, monkeypatch: pytest.MonkeyPatch, num_renames: int) -> bool:
    """Write the checkpoints of steps 1 and 2, both the best so far; returns True if killed before another rename."""
    plugin, replace = WholeCheckpoints(), Path.replace
    renames = iter(range(num_renames))

    def rename(path: Path, target: Path) -> Path:
        if next(renames, None) is None:
            raise KeyboardInterrupt
        return replace(path, target)

    trainer = SimpleNamespace(max_steps=9, is_global_zero=True)
    judge = SimpleNamespace(is_best=lambda step: True, is_over=False)
    callback = Checkpoints(folder / "last.ckpt", 1, 1, StopSignals(), judge)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", rename)
        for step in (1, 2):
            checkpoint = {"global_step": step, "state_dict": {}}
            trainer.save_checkpoint = lambda path, *, weights_only, checkpoint=checkpoint, **names: (
                plugin.save_checkpoint(checkpoint, path, **names)
            )
            try:
                callback.on_step(trainer, None, step)
            except KeyboardInterrupt:
                return True
    return False


def test_whenever_a_run_is_killed_the_best_checkpoint_exists(tmp_path, monkeypatch):
    num_renames, found = 0, []
    while save_until_killed(tmp_path / str(num_renames), monkeypatch, num_renames):
        there = {path.name: path for path in (tmp_path / str(num_renames)).glob("[!.]*.ckpt")}
        if "last.ckpt" in there:
            last, best = (read_checkpoint(there[name])["global_step"] for name in ("last.ckpt", "best.ckpt"))
            assert best >= last
            assert {f"step-{step:07d}.ckpt" for step in range(1, last + 1)} <= there.keys()
            found.append((last, best))
        num_renames += 1
    # A run killed in between has a better checkpoint than its last one records, and writes it again.
    assert set(found) == {(1, 1), (1, 2)}


def test_a_second_run_in_a_folder_is_refused_before_it_changes_anything(finished, checkpoints, monkeypatch):
    half = checkpoints / ".last.elsewhere-7.partial.ckpt"
    half.write_bytes(b"half-written")
    records = (finished / "run" / "metrics.csv").read_bytes()
    with held(finished / "run"), pytest.raises(FolderHeldError, match="is held by process"):
        train_again(finished, monkeypatch, max_steps=7)
    assert half.read_bytes() == b"half-written"
    assert (finished / "run" / "metrics.csv").read_bytes() == records

"""The Slurm scripts, run by bash with Slurm's variables; their commands run in this process."""

from __future__ import annotations

import importlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from mimicbrush.command import call_command
from mimicbrush.data.shard_index import list_shards
from mimicbrush.data.shards import read_pairs
from tests.conftest import REPOSITORY
from tests.data_prep.conftest import SIDE, write_clip, write_still
from tests.evaluation.conftest import write_triplet


@pytest.fixture
def submit(tmp_path: Path, capsys: pytest.CaptureFixture) -> Callable[..., str]:
    """submit(script, *arguments, **variables): run a script in bash, its Python command here; returns what that prints.

    In the script's checkout, `.venv/bin/python` writes down its arguments and folder. Importing torch costs seconds.
    """
    checkout = tmp_path / "checkout"
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / "slurm").symlink_to(REPOSITORY / "slurm")
    python = checkout / ".venv" / "bin" / "python"
    python.write_text('#!/bin/bash\nprintf "%s\\0" "$PWD" "$@"\n')
    python.chmod(0o755)

    def run(script: str, *arguments: object, **variables: object) -> str:
        environment = {**os.environ, "SLURM_SUBMIT_DIR": str(checkout), "SLURM_CPUS_PER_TASK": "1"}
        environment |= {name: str(value) for name, value in variables.items()}
        command = ["bash", str(checkout / "slurm" / script), *map(str, arguments)]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
        folder, path, *options = done.stdout.removesuffix("\0").split("\0")
        assert folder == str(checkout) and (REPOSITORY / path).is_file()
        module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
        capsys.readouterr()
        call_command(module.COMMAND, options)
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize(
    ("script", "inputs", "settings"),
    [
        ("shard_videos.sh", "--videos", ["--pairs.ssim_low=-1", "--pairs.ssim_high=1", "--pairs.min_changed=0"]),
        ("shard_sam.sh", "--stills", []),
    ],
)
def test_tasks_of_an_array_share_the_inputs(
    submit: Callable[..., str], tmp_path: Path, script: str, inputs: str, settings: list[str]
) -> None:
    folder = tmp_path / "in"
    for seed in range(6):
        if inputs == "--videos":
            write_clip(folder / f"{seed}.mp4", seed)
        else:
            write_still(folder, str(seed), seed)
    arguments = [inputs, folder, "--output", tmp_path / "out", "--short_side", SIDE, *settings]
    for task in range(2):
        said = submit(script, *arguments, SLURM_ARRAY_TASK_ID=task, SLURM_ARRAY_TASK_COUNT=2)
        assert said.startswith(f"task {task} of 2: did ")
    assert submit("merge.sh", tmp_path / "out").startswith("kept 6 of 6 ")
    assert len({pair.origin["file"] for pair in read_pairs(list_shards(tmp_path / "out"))}) == 6


def test_tasks_of_an_evaluation_share_the_samples_and_a_last_job_gathers(
    submit: Callable[..., str], tmp_path: Path
) -> None:
    for number in range(3):
        write_triplet(tmp_path / "set", f"{number:03d}", seed=number)
    config = tmp_path / "config.yaml"
    editor = {"class_path": "mimicbrush.editors.baselines.ReferencePaste"}
    sets = {"small": {"folder": str(tmp_path / "set"), "task": "texture", "track": "inner_id"}}
    config.write_text(yaml.safe_dump({"output": str(tmp_path / "out"), "sets": sets, "editors": {"paste": editor}}))
    for task in range(2):
        said = submit("evaluate.sh", "--config", config, SLURM_ARRAY_TASK_ID=task, SLURM_ARRAY_TASK_COUNT=2)
        assert said.startswith(f"task {task} of 2 is finished")
        assert len(list(tmp_path.glob("out/edits/small/paste/1/*.png"))) == (2, 3)[task]
    assert not (tmp_path / "out" / "results.json").exists()
    said = submit("evaluate.sh", "--config", config)
    assert "paste" in said and (tmp_path / "out" / "results.json").is_file()

"""An evaluation that Slurm interrupts goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.slurm.conftest import ON_CPU, Job, Submit
from tests.test_road import write_benchmark

pytestmark = pytest.mark.slurm
NUM_SAMPLES = 8
OPTIONS = [*ON_CPU, "--gpus-per-task=0"]


def evaluate_config(folder: Path) -> Path:
    editors = {"slow": "tests.slurm.slow_editor.SlowPaste", "mean": "mimicbrush.editors.baselines.MeanColour"}
    config = {
        "output": str(folder / "evaluation"),
        "sets": {"inner": {"folder": str(folder / "benchmark"), "task": "texture", "track": "inner_id"}},
        "editors": {name: {"class_path": path} for name, path in editors.items()},
        "batch_size": 1,
    }
    path = folder / "evaluate.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def when_written(edits: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in edits.glob("*.png")}


def after_some_edits(job: Job, edits: Path) -> dict[str, int]:
    job.until(lambda: len(when_written(edits)) >= 2, "two edits")
    return when_written(edits)


@pytest.mark.parametrize("how", ["requeued", "submitted again"])
def test_an_interrupted_evaluation_goes_on(checkout: Path, tmp_path: Path, submit: Submit, how: str) -> None:
    write_benchmark(tmp_path / "benchmark", NUM_SAMPLES)
    config, edits = evaluate_config(tmp_path), tmp_path / "evaluation" / "edits" / "inner" / "slow" / "1"

    job = submit(checkout, "evaluate.sh", "--config", config, options=OPTIONS)
    before = after_some_edits(job, edits)
    if how == "requeued":
        job.requeue()
    else:
        job.cancel()
        job = submit(
            checkout, "evaluate.sh", "--config", config, options=[*OPTIONS, f"--dependency=afterany:{job.number}"]
        )
    job.wait()

    after = when_written(edits)
    assert len(before) < NUM_SAMPLES == len(after)
    assert before.items() <= after.items(), "an edit was made again"
    results = json.loads((tmp_path / "evaluation" / "results.json").read_text())
    assert {"slow", "mean"} <= set(json.dumps(results).split('"'))


def test_an_array_and_the_job_after_it_give_the_numbers_of_one(checkout: Path, tmp_path: Path, submit: Submit) -> None:
    write_benchmark(tmp_path / "benchmark", NUM_SAMPLES)
    config = evaluate_config(tmp_path)
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    tasks = submit(checkout, "evaluate.sh", "--config", config, "--output", shared, options=[*OPTIONS, "--array=0-1"])
    last = submit(
        checkout,
        "evaluate.sh",
        "--config",
        config,
        "--output",
        shared,
        options=[*OPTIONS, f"--dependency=afterok:{tasks.number}"],
    )
    one = submit(checkout, "evaluate.sh", "--config", config, "--output", alone, options=OPTIONS)
    for job in (last, one):
        job.wait()
    # Slurm names a task's log by its own number, of which the array's is one.
    assert "of 2 is done" in tasks.log
    ours, theirs = (json.loads((folder / "results.json").read_text()) for folder in (shared, alone))
    assert ours["means"] == theirs["means"]
    assert [edit["scores"] for edit in ours["edits"]] == [edit["scores"] for edit in theirs["edits"]]

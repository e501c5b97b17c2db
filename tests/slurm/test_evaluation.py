"""An evaluation that Slurm interrupts resumes where it was, and an array of tasks shares one."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from tests.conftest import make_checkout
from tests.slurm.conftest import ON_CPU, Job, Submit
from tests.test_road import write_benchmark

pytestmark = pytest.mark.slurm
NUM_SAMPLES = 8
OPTIONS = [*ON_CPU, "--gpus-per-task=0"]


class Evaluation:
    """The same small evaluation, with as many outputs as are asked for."""

    def __init__(self, folder: Path, submit: Submit) -> None:
        self.folder = folder
        self.checkout = make_checkout(folder / "checkout")
        self.submit = submit
        write_benchmark(folder / "benchmark", NUM_SAMPLES)
        editors = {"slow": "tests.slurm.slow_editor.SlowPaste", "mean": "mimicbrush.editors.baselines.MeanColour"}
        config = {
            "sets": {"inner": {"folder": str(folder / "benchmark"), "task": "texture", "track": "inner_id"}},
            "editors": {name: {"class_path": path} for name, path in editors.items()},
            "batch_size": 1,
        }
        self.config = folder / "evaluate.yaml"
        self.config.write_text(yaml.safe_dump(config))

    def start(self, output: str, *options: str) -> Job:
        command = ["--config", self.config, "--output", self.folder / output]
        return self.submit(self.checkout, "evaluate.sh", *command, options=[*OPTIONS, *options])

    def times(self, output: str) -> dict[str, int]:
        """When each edit of the slow editor was written."""
        edits = self.folder / output / "edits" / "inner" / "slow" / "1"
        return {path.name: path.stat().st_mtime_ns for path in edits.glob("[!.]*.png")}

    def results(self, output: str) -> dict:
        return json.loads((self.folder / output / "results.json").read_text())


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory, submit: Submit) -> Evaluation:
    return Evaluation(tmp_path_factory.mktemp("evaluation"), submit)


def interrupt_and_resume(evaluation: Evaluation, how: str) -> dict[str, int]:
    """Returns the edits that were there when the job was interrupted."""
    job = evaluation.start(how)
    job.until(lambda: len(evaluation.times(how)) >= 2, "two edits")
    before = evaluation.times(how)
    if how == "requeued":
        job.requeue()
    else:
        job.cancel()
        job = evaluation.start(how, f"--dependency=afterany:{job.number}")
    job.wait()
    return before


@pytest.fixture(scope="module")
def interrupted(evaluation: Evaluation) -> dict[str, dict[str, int]]:
    """Output folder -> the edits at its interruption. A job takes one core, so two run at a time."""
    ways = ("requeued", "resubmitted")
    with ThreadPoolExecutor(len(ways)) as pool:
        return dict(zip(ways, pool.map(lambda how: interrupt_and_resume(evaluation, how), ways), strict=True))


@pytest.mark.parametrize("how", ["requeued", "resubmitted"])
def test_an_interrupted_evaluation_resumes(
    evaluation: Evaluation, interrupted: dict[str, dict[str, int]], how: str
) -> None:
    before, after = interrupted[how], evaluation.times(how)
    assert len(before) < NUM_SAMPLES == len(after)
    assert before.items() <= after.items(), "an edit was made again"
    assert {"slow", "mean"} <= set(json.dumps(evaluation.results(how)).split('"'))


def test_an_array_and_the_job_after_it_give_the_numbers_of_one(
    evaluation: Evaluation, interrupted: dict[str, dict[str, int]]
) -> None:
    tasks = evaluation.start("shared", "--array=0-1")
    evaluation.start("shared", f"--dependency=afterok:{tasks.number}").wait()
    # Slurm names a task's log by its own number, of which the array's is one.
    assert "of 2 is finished" in tasks.log
    shared, alone = evaluation.results("shared"), evaluation.results("resubmitted")
    assert shared["means"] == alone["means"]
    assert [edit["scores"] for edit in shared["edits"]] == [edit["scores"] for edit in alone["edits"]]

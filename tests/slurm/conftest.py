"""Jobs on a real Slurm, submitted with sbatch and waited for. Where no test cluster answers, tests are skipped."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SLURM_CONF = Path(os.environ.get("MIMICBRUSH_SLURM", "/tmp/mimicbrush-slurm")) / "slurm.conf"
ON_CPU = ["--cpus-per-task=1", "--mem=0"]
"""Options of sbatch: a script's head asks for more than a test needs."""
LOST = {"BOOT_FAIL", "CANCELLED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT"}
PATIENCE = 600
"""Seconds that a job may take on a machine that others use too."""


def call(*command: object) -> str:
    """Run a command and return its output; raises AssertionError with its errors if it fails."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Job:
    """A job, or all tasks of an array."""

    number: str
    folder: Path

    def fields(self) -> list[dict[str, str]]:
        """Slurm's fields of each task, the latest first."""
        lines = call("scontrol", "show", "job", "--oneliner", self.number).splitlines()
        return [dict(re.findall(r"(\w+)=(\S*)", line)) for line in lines]

    @property
    def restarts(self) -> int:
        return int(self.fields()[0]["Restarts"])

    @property
    def log(self) -> str:
        """The logs of all tasks, one after another."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob(f"*-{self.number}*.log")))

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait. Raises AssertionError, with the log, where the job ends badly or time runs out before."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            states = {task["JobState"] for task in self.fields()}
            assert not states & LOST, f"{self} is {states} before {what}; its log:\n{self.log}"
            assert time.monotonic() < deadline, f"{self} is {states} and not yet {what}; its log:\n{self.log}"
            time.sleep(0.2)

    def wait(self) -> Job:
        """Until every task has ended well."""
        self.until(lambda: {task["JobState"] for task in self.fields()} == {"COMPLETED"}, "completed")
        return self

    def requeue(self) -> None:
        call("scontrol", "requeue", self.number)

    def signal(self, name: str) -> None:
        """Send every task of the job's steps a signal, as `sbatch --signal` does near the end of a job's time."""
        call("scancel", f"--signal={name}", self.number)

    def cancel(self) -> None:
        subprocess.run(["scancel", "--quiet", self.number], check=False)


Submit = Callable[..., Job]


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """The test cluster, and no other: nothing here is meant for one that people use."""
    if shutil.which("sbatch") is None:
        pytest.skip("sbatch is not installed; run: apt-get install slurm-wlm munge")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(SLURM_CONF))
        patch.setenv("OMP_NUM_THREADS", "1")
        if not SLURM_CONF.is_file() or subprocess.run(["scontrol", "ping"], capture_output=True).returncode:
            pytest.skip("no test cluster answers; run: tests/slurm/start_cluster.sh")
        yield


@pytest.fixture(scope="session")
def submit(cluster: None) -> Iterator[Submit]:
    """submit(checkout, script, *arguments, options=[...]): sbatch from there. What is left at the end is cancelled."""
    jobs: list[Job] = []

    def sbatch(checkout: Path, script: str, *arguments: object, options: list[str] = ON_CPU) -> Job:
        command = ["sbatch", "--parsable", *options, f"slurm/{script}", *map(str, arguments)]
        done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        jobs.append(Job(done.stdout.strip(), checkout))
        return jobs[-1]

    yield sbatch
    for job in jobs:
        job.cancel()

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.slurm.conftest import call

pytestmark = pytest.mark.slurm
SCRIPTS = sorted((REPOSITORY / "slurm").glob("*.sh"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_slurm_takes_the_head_as_it_stands(cluster: None, script: Path) -> None:
    call("sbatch", "--test-only", script)


def test_training_takes_nodes_and_gpus_of_the_command_line(cluster: None) -> None:
    train = REPOSITORY / "slurm" / "train.sh"
    call("sbatch", "--test-only", "--nodes=2", train)
    call("sbatch", "--test-only", "--ntasks-per-node=2", "--gpus-per-node=2", train)
    call("sbatch", "--test-only", "--gpus-per-node=0", train)

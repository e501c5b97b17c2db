"""How many processes train together, and who started them: Slurm, torchrun, or Lightning itself."""

from __future__ import annotations

import os
from typing import NamedTuple

from lightning.fabric.plugins.environments import ClusterEnvironment, LightningEnvironment, TorchElasticEnvironment
from lightning.pytorch.plugins.environments import SLURMEnvironment
from lightning.pytorch.strategies import DDPStrategy, Strategy

from mimicbrush.errors import UserError


class Ranks(NamedTuple):
    """Processes on each of some nodes."""

    devices: int | str
    num_nodes: int
    environment: ClusterEnvironment

    @property
    def strategy(self) -> Strategy | str:
        """DDP for many ranks. Every parameter gets a gradient in every step, so none is searched for."""
        if self.devices == 1 and self.num_nodes == 1:
            return "auto"
        # Frozen networks hold no buffers that change: nothing but gradients has to be exchanged.
        return DDPStrategy(find_unused_parameters=False, gradient_as_bucket_view=True, broadcast_buffers=False)


def find_ranks(devices: int | str, num_nodes: int) -> Ranks:
    """Ranks as they were started: by torchrun; by `srun`, each task of the step one; or as the config says.

    Raises UserError where the tasks of a Slurm step cannot be divided among its nodes.
    """
    # Before Slurm: torchrun may itself be a task of a step.
    if TorchElasticEnvironment.detect():
        per_node, ranks = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
        return Ranks(per_node, ranks // per_node, TorchElasticEnvironment())
    if _is_task():
        nodes, tasks = int(os.environ["SLURM_STEP_NUM_NODES"]), int(os.environ["SLURM_STEP_NUM_TASKS"])
        if tasks % nodes:
            raise UserError(f"{tasks} tasks on {nodes} nodes: each needs as many; give sbatch --ntasks-per-node")
        # Our own signal handlers write the checkpoint; Lightning's would write another, elsewhere.
        return Ranks(tasks // nodes, nodes, SLURMEnvironment(auto_requeue=False))
    return Ranks(devices, num_nodes, LightningEnvironment())


def is_first() -> bool:
    """Whether this process speaks for all: known before they have met."""
    if TorchElasticEnvironment.detect():
        names = ("RANK",)
    else:
        names = ("SLURM_PROCID",) if _is_task() else ("NODE_RANK", "LOCAL_RANK")
    return not any(int(os.environ.get(name, 0)) for name in names)


def _is_task() -> bool:
    """Whether srun has started this; a shell that it has started is none, and starts ranks of its own."""
    is_shell = os.environ.get("SLURM_JOB_NAME") in ("bash", "sh", "interactive")
    return "SLURM_STEP_NUM_TASKS" in os.environ and not is_shell

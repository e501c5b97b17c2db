"""How many processes train together, and who started them: Slurm, torchrun, or Lightning itself."""

from __future__ import annotations

import os
from typing import NamedTuple

from lightning.fabric.plugins.environments import ClusterEnvironment, LightningEnvironment, TorchElasticEnvironment
from lightning.pytorch.plugins.environments import SLURMEnvironment
from lightning.pytorch.strategies import DDPStrategy, Strategy


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
    """Ranks as they were started: by `srun`, each task of the step one; by torchrun; or as the config says."""
    if "SLURM_STEP_NUM_TASKS" in os.environ:
        nodes, tasks = int(os.environ["SLURM_STEP_NUM_NODES"]), int(os.environ["SLURM_STEP_NUM_TASKS"])
        # Our own signal handlers write the checkpoint; Lightning's would write another, elsewhere.
        return Ranks(tasks // nodes, nodes, SLURMEnvironment(auto_requeue=False))
    if TorchElasticEnvironment.detect():
        per_node, ranks = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
        return Ranks(per_node, ranks // per_node, TorchElasticEnvironment())
    return Ranks(devices, num_nodes, LightningEnvironment())


def is_first() -> bool:
    """Whether this process speaks for all: known before they have met."""
    in_step = "SLURM_STEP_NUM_TASKS" in os.environ
    names = ("SLURM_PROCID",) if in_step else ("RANK", "LOCAL_RANK")
    return next((int(os.environ[name]) for name in names if name in os.environ), 0) == 0

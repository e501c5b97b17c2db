"""Find the ranks that train together, their launcher (Slurm, torchrun, Lightning), and their CPU cores."""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Sequence
from typing import NamedTuple

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.fabric.plugins.environments import ClusterEnvironment, LightningEnvironment, TorchElasticEnvironment
from lightning.pytorch.plugins.environments import SLURMEnvironment
from lightning.pytorch.strategies import DDPStrategy, Strategy

from mimicbrush.errors import UserError
from mimicbrush.machine import allowed_cores, usable_cores
from mimicbrush.training.first_rank import is_first, was_started_by_srun, was_started_by_torchrun


class Ranks(NamedTuple):
    """Number of processes on each node, number of nodes, and the launcher."""

    devices: int | str
    num_nodes: int
    environment: ClusterEnvironment

    @property
    def inherit_cores(self) -> bool:
        """Whether Lightning starts the other ranks, which then share the first one's cores; launchers assign cores."""
        return isinstance(self.environment, LightningEnvironment)

    @property
    def strategy(self) -> Strategy | str:
        """Strategy for Lightning: DDP for several ranks. All parameters get gradients in every step; none is unused."""
        if self.devices == 1 and self.num_nodes == 1:
            return "auto"
        # No buffer changes during training, so only gradients have to be exchanged.
        return DDPStrategy(find_unused_parameters=False, gradient_as_bucket_view=True, broadcast_buffers=False)


def find_ranks(devices: int | str, num_nodes: int) -> Ranks:
    """Find the ranks: those that torchrun started, the tasks of a Slurm step, or those of the config.

    Raises UserError where the tasks of a Slurm step cannot be divided among its nodes.
    """
    # First torchrun, which may itself be a task of a Slurm step.
    if was_started_by_torchrun():
        per_node, ranks = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
        return Ranks(per_node, ranks // per_node, TorchElasticEnvironment())
    if was_started_by_srun():
        nodes, tasks = int(os.environ["SLURM_STEP_NUM_NODES"]), int(os.environ["SLURM_STEP_NUM_TASKS"])
        if tasks % nodes:
            raise UserError(f"{tasks} tasks on {nodes} nodes: each needs as many; give sbatch --ntasks-per-node")
        # Our own signal handlers write the checkpoint; Lightning's would write another one elsewhere.
        return Ranks(tasks // nodes, nodes, SLURMEnvironment(auto_requeue=False))
    return Ranks(devices, num_nodes, LightningEnvironment())


def log_on_first_rank_only() -> None:
    """Silence the log messages of all ranks but the first while parts are loaded."""
    if not is_first():
        for name in ("mimicbrush.model", "mimicbrush.hub"):
            logging.getLogger(name).setLevel(logging.ERROR)


# --- CPU cores ------------------------------------------------------------------------------------------------------


class RankCores(NamedTuple):
    """CPU cores of one rank, by its affinity mask; Slurm may bind each task to its own cores, or bind none."""

    node: str
    allowed: frozenset[int]
    """Indices of the cores on which it may run."""
    usable: int
    """Number of cores that the container's CPU quota allows."""


class CoreShare(NamedTuple):
    """Ranks of one node that share the same cores."""

    node: str
    num_ranks: int
    num_cores: int

    def is_crowded(self, num_workers: int) -> bool:
        """Whether the ranks, each with its loader workers, are more processes than there are cores."""
        return self.num_ranks * (num_workers + 1) > self.num_cores

    def describe(self, num_workers: int) -> str:
        """Describe processes and cores."""
        ranks = "1 rank" if self.num_ranks == 1 else f"{self.num_ranks} ranks"
        workers = "1 loader worker" if num_workers == 1 else f"{num_workers} loader workers"
        each = "" if self.num_ranks == 1 else " each"
        return f"{ranks} with {workers}{each} on {self._cores()}"

    def remedy(self) -> str:
        """Advise which setting gives each process a core."""
        fitting = max(0, self.num_cores // self.num_ranks - 1)
        return f"lower data.num_workers to {fitting}, or give each rank more cores (sbatch --cpus-per-task)"

    def refuse_too_many(self) -> None:
        """Raise UserError where CPU ranks have fewer cores than one each."""
        if self.num_ranks > self.num_cores:
            shared = f"{self.num_ranks} ranks share {self._cores()}"
            raise UserError(f"{shared}; start fewer ranks (run.devices, --ntasks-per-node, --nproc-per-node)")

    def _cores(self) -> str:
        return f"{self.num_cores} {'core' if self.num_cores == 1 else 'cores'} of {self.node}"


class CoreCheck(Callback):
    """Compares the loader workers of all ranks with their cores, after the ranks have connected.

    It is for ranks started by Slurm or torchrun, which do not know each other's affinity masks earlier.
    """

    def __init__(self, num_workers: int) -> None:
        self.num_workers = num_workers

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Warn of crowded cores. Raises UserError, on all ranks, where CPU ranks have fewer cores than one each."""
        ranks = [own_cores()] * trainer.world_size
        torch.distributed.all_gather_object(ranks, own_cores())
        share = fullest_share(ranks)
        if trainer.strategy.root_device.type == "cpu":
            share.refuse_too_many()
        # The first rank, which prints, has reported its own cores before.
        if share.is_crowded(self.num_workers) and share != fullest_share([own_cores()]):
            module.print(f"{share.describe(self.num_workers)} wait for each other: {share.remedy()}")


def own_cores() -> RankCores:
    """Find the cores of this process."""
    # Slurm's name of the node: several nodes may be one host, as in a test cluster.
    node = os.environ.get("SLURMD_NODENAME") or platform.node()
    return RankCores(node, allowed_cores(), usable_cores())


def fullest_share(ranks: Sequence[RankCores]) -> CoreShare:
    """Find the cores with the most ranks for each core; a rank belongs to all cores that contain its mask."""
    shares = []
    for node, allowed in {rank[:2] for rank in ranks}:
        within = [rank for rank in ranks if rank.node == node and rank.allowed <= allowed]
        shares.append(CoreShare(node, len(within), max(rank.usable for rank in within)))
    return max(shares, key=lambda share: (share.num_ranks / share.num_cores, share.node))

"""How many processes train together, who started them (Slurm, torchrun, Lightning itself), and on which CPU cores."""

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
    """Processes on each of some nodes."""

    devices: int | str
    num_nodes: int
    environment: ClusterEnvironment

    @property
    def inherit_cores(self) -> bool:
        """Whether Lightning starts all but the first, with its cores; others are there, and have cores of their own."""
        return isinstance(self.environment, LightningEnvironment)

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
    if was_started_by_torchrun():
        per_node, ranks = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
        return Ranks(per_node, ranks // per_node, TorchElasticEnvironment())
    if was_started_by_srun():
        nodes, tasks = int(os.environ["SLURM_STEP_NUM_NODES"]), int(os.environ["SLURM_STEP_NUM_TASKS"])
        if tasks % nodes:
            raise UserError(f"{tasks} tasks on {nodes} nodes: each needs as many; give sbatch --ntasks-per-node")
        # Our own signal handlers write the checkpoint; Lightning's would write another, elsewhere.
        return Ranks(tasks // nodes, nodes, SLURMEnvironment(auto_requeue=False))
    return Ranks(devices, num_nodes, LightningEnvironment())


def let_first_speak() -> None:
    """Let only the first rank print notes on the parts that every rank loads."""
    if not is_first():
        for name in ("mimicbrush.model", "mimicbrush.hub"):
            logging.getLogger(name).setLevel(logging.ERROR)


# --- CPU cores ------------------------------------------------------------------------------------------------------


class RankCores(NamedTuple):
    """The CPU cores of one rank, by its own mask: Slurm may bind each task to cores of its own, or none to any."""

    node: str
    allowed: frozenset[int]
    """Numbers of the cores on which it may run."""
    usable: int
    """How many of them its container's CPU time is enough for."""


class CoreShare(NamedTuple):
    """Ranks of one node that are confined to the same cores."""

    node: str
    num_ranks: int
    num_cores: int

    def is_crowded(self, num_workers: int) -> bool:
        """Whether the ranks, each with its loader workers, are more processes than there are cores."""
        return self.num_ranks * (num_workers + 1) > self.num_cores

    def describe(self, num_workers: int) -> str:
        """Processes and cores."""
        ranks = "1 rank" if self.num_ranks == 1 else f"{self.num_ranks} ranks"
        workers = "1 loader worker" if num_workers == 1 else f"{num_workers} loader workers"
        each = "" if self.num_ranks == 1 else " each"
        return f"{ranks} with {workers}{each} on {self._cores()}"

    def remedy(self) -> str:
        """The setting to change so that each process has a core."""
        fitting = max(0, self.num_cores // self.num_ranks - 1)
        return f"lower data.num_workers to {fitting}, or give each rank more cores (sbatch --cpus-per-task)"

    def refuse_too_many(self) -> None:
        """Raise UserError where the ranks, which compute on the CPU, are more than their cores."""
        if self.num_ranks > self.num_cores:
            said = f"{self.num_ranks} ranks share {self._cores()}"
            raise UserError(f"{said}; start fewer ranks (run.devices, --ntasks-per-node, --nproc-per-node)")

    def _cores(self) -> str:
        return f"{self.num_cores} {'core' if self.num_cores == 1 else 'cores'} of {self.node}"


class CoreCheck(Callback):
    """Compares the loader workers of all ranks with the cores that each rank has, once the ranks have met.

    For ranks that Slurm or torchrun has started: no rank knows the masks of the others before.
    """

    def __init__(self, num_workers: int) -> None:
        self.num_workers = num_workers

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Warn of crowded cores. Raises UserError, on all ranks, where CPU ranks have fewer cores than they are."""
        ranks = [own_cores()] * trainer.world_size
        torch.distributed.all_gather_object(ranks, own_cores())
        share = fullest_share(ranks)
        if trainer.strategy.root_device.type == "cpu":
            share.refuse_too_many()
        # The first rank, which prints, has found what is wrong with its own cores before.
        if share.is_crowded(self.num_workers) and share != fullest_share([own_cores()]):
            module.print(f"{share.describe(self.num_workers)} wait for each other: {share.remedy()}")


def own_cores() -> RankCores:
    """The cores of this process."""
    # Slurm's name of the node, where it runs this: two nodes may be one host, as in a cluster for tests.
    node = os.environ.get("SLURMD_NODENAME") or platform.node()
    return RankCores(node, allowed_cores(), usable_cores())


def fullest_share(ranks: Sequence[RankCores]) -> CoreShare:
    """The cores with the most ranks for each core; ranks count wherever their masks lie within the same cores."""
    shares = []
    for node, allowed in {rank[:2] for rank in ranks}:
        within = [rank for rank in ranks if rank.node == node and rank.allowed <= allowed]
        shares.append(CoreShare(node, len(within), max(rank.usable for rank in within)))
    return max(shares, key=lambda share: (share.num_ranks / share.num_cores, share.node))

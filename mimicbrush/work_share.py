"""Division of work between several tasks, such as those of a Slurm array."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mimicbrush.errors import Faults
from mimicbrush.seeds import stable_hash

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class WorkShare:
    """This task's share of the work, for instance in a Slurm array; results do not depend on it."""

    task: int = 0
    """Number of this task, from 0 to num_tasks - 1."""
    num_tasks: int = 1
    """Number of tasks that share the work. When all have finished, collect the results with data_prep/merge.py, or with
    evaluate.py without --work."""

    def __post_init__(self) -> None:
        faults = Faults()
        if self.num_tasks < 1:
            faults.add(f"num_tasks is {self.num_tasks}; expected 1 or more")
        elif not 0 <= self.task < self.num_tasks:
            faults.add(f"task is {self.task}; expected 0 to {self.num_tasks - 1}, as num_tasks is {self.num_tasks}")
        faults.refuse()

    @property
    def is_shared(self) -> bool:
        """Whether there is more than one task."""
        return self.num_tasks > 1

    @property
    def lock_name(self) -> str:
        """Name of the share of the output folder that this task holds (`folder_lock.held`); empty: the whole folder."""
        return f"{self.task:04d}" if self.is_shared else ""

    def by_position(self, items: Sequence[T]) -> Sequence[T]:
        """Select this task's items, every `num_tasks`-th one, from a list that is the same in all tasks."""
        return items[self.task :: self.num_tasks]

    def by_name(self, names: Iterable[str]) -> list[str]:
        """Select this task's names by their hashes, so that adding inputs later does not move any to another task."""
        return [name for name in names if stable_hash(name) % self.num_tasks == self.task]

    def __str__(self) -> str:
        return f"task {self.task} of {self.num_tasks}"

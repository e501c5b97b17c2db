"""Work that several tasks share, such as those of a Slurm array: who does what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mimicbrush.errors import Faults
from mimicbrush.seeds import stable_hash

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class WorkShare:
    """Which part of the work this command does, where several tasks share it; nothing here changes a result."""

    task: int = 0
    """Which of `num_tasks` this is, from 0: a task of a Slurm array."""
    num_tasks: int = 1
    """How many tasks share the work; a last command gathers what they made."""

    def __post_init__(self) -> None:
        faults = Faults()
        if self.num_tasks < 1:
            faults.add(f"num_tasks is {self.num_tasks}; expected 1 or more")
        elif not 0 <= self.task < self.num_tasks:
            faults.add(f"task is {self.task}; expected 0 to {self.num_tasks - 1}, as num_tasks is {self.num_tasks}")
        faults.refuse()

    @property
    def is_shared(self) -> bool:
        """Whether there are other tasks."""
        return self.num_tasks > 1

    @property
    def lock_name(self) -> str:
        """The share of the output folder that this task holds (`folder_lock.held`); empty: all of it."""
        return f"{self.task:04d}" if self.is_shared else ""

    def by_position(self, items: Sequence[T]) -> Sequence[T]:
        """This task's items: every `num_tasks`-th. For a list that is the same in all tasks."""
        return items[self.task :: self.num_tasks]

    def by_name(self, names: Iterable[str]) -> list[str]:
        """This task's names, by a hash of each. For inputs that may be added to between two tasks: none moves."""
        return [name for name in names if stable_hash(name) % self.num_tasks == self.task]

    def __str__(self) -> str:
        return f"task {self.task} of {self.num_tasks}"

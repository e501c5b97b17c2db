"""How the held-out loss has gone so far: which step was best, and whether training stops early."""

from __future__ import annotations

import math
from dataclasses import dataclass

KEY = "heldout_loss"
"""Name in a checkpoint."""


@dataclass(frozen=True)
class HeldoutProgress:
    """How the held-out loss has gone until a step."""

    best: float = math.inf
    best_step: int = 0
    num_since_best: int = 0
    """Evaluations since the best one."""

    def after(self, loss: float, step: int) -> HeldoutProgress:
        """With a further evaluation; a loss that is not finite is never the best."""
        if loss < self.best:
            return HeldoutProgress(loss, step, 0)
        return HeldoutProgress(self.best, self.best_step, self.num_since_best + 1)

    def is_over(self, patience: int | None) -> bool:
        """Whether training stops early."""
        return patience is not None and self.num_since_best >= patience

    def describe(self) -> str:
        """Why training stopped early, and what to do."""
        return (
            f"the held-out loss has not fallen for {self.num_since_best} evaluations; it was lowest, {self.best:.4f},"
            f" at step {self.best_step}, kept as checkpoints/best.ckpt; raise run.patience to train on"
        )


def progress_in(checkpoint: dict) -> HeldoutProgress:
    """That of a checkpoint; of one that lacks it, from the start."""
    return HeldoutProgress(**checkpoint.get(KEY, {}))

"""How the held-out loss has gone so far: which step was best, and whether training stops early."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

KEY = "heldout_loss"
"""Name in a checkpoint."""


@dataclass(frozen=True)
class HeldoutProgress:
    """How the held-out loss has gone until a step."""

    best: float = math.inf
    best_step: int = 0
    num_since_best: int = 0
    """Evaluations since the best one."""
    num_pairs: int | None = None
    """`run.num_heldout_loss_pairs` of these evaluations; None in checkpoints of earlier versions."""

    def after(self, loss: float, step: int) -> HeldoutProgress:
        """With a further evaluation; a loss that is not finite is never the best."""
        if loss < self.best:
            return replace(self, best=loss, best_step=step, num_since_best=0)
        return replace(self, num_since_best=self.num_since_best + 1)

    def on_pairs(self, num_pairs: int) -> HeldoutProgress:
        """The progress on this number of pairs; from the start if it was another, whose losses do not compare."""
        if self.num_pairs in (None, num_pairs):
            return replace(self, num_pairs=num_pairs)
        return HeldoutProgress(num_pairs=num_pairs)

    def is_over(self, patience: int | None) -> bool:
        """Whether training stops early."""
        return patience is not None and self.num_since_best >= patience

    def describe(self) -> str:
        """Why training stopped early, and what to do."""
        if not self.best_step:
            return (
                f"the held-out loss was not finite in any of {self.num_since_best} evaluations; lower"
                " recipe.learning_rate"
            )
        return (
            f"the held-out loss has not fallen for {self.num_since_best} evaluations; it was lowest, {self.best:.4f},"
            f" at step {self.best_step}, kept as checkpoints/best.ckpt; raise run.patience to train on"
        )


def progress_in(checkpoint: dict) -> HeldoutProgress:
    """That of a checkpoint; of one that lacks it, from the start."""
    return HeldoutProgress(**checkpoint.get(KEY, {}))

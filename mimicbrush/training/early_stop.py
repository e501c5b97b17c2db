"""Progress of the held-out loss: which step was best, and whether training stops early."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

KEY = "heldout_loss"
"""Key of the progress in a checkpoint."""


@dataclass(frozen=True)
class HeldoutProgress:
    """Best held-out loss up to a step, and the number of measurements since."""

    best: float = math.inf
    best_step: int = 0
    num_since_best: int = 0
    """Number of measurements since the best one."""
    num_pairs: int | None = None
    """`run.num_heldout_loss_pairs` of these measurements; None in checkpoints of earlier versions."""

    def after(self, loss: float, step: int) -> HeldoutProgress:
        """Add a measurement; a loss that is not finite is never the best."""
        if loss < self.best:
            return replace(self, best=loss, best_step=step, num_since_best=0)
        return replace(self, num_since_best=self.num_since_best + 1)

    def on_pairs(self, num_pairs: int) -> HeldoutProgress:
        """Continue on this number of pairs, or restart if it has changed: losses on other pairs do not compare."""
        if self.num_pairs in (None, num_pairs):
            return replace(self, num_pairs=num_pairs)
        return HeldoutProgress(num_pairs=num_pairs)

    def is_over(self, patience: int | None) -> bool:
        """Whether training stops early."""
        return patience is not None and self.num_since_best >= patience

    def describe(self) -> str:
        """Say why training stopped early, and what to do."""
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
    """Read the progress from a checkpoint; older checkpoints have none and start again."""
    return HeldoutProgress(**checkpoint.get(KEY, {}))

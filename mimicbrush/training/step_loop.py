"""The optimisation of the small networks: a one-cycle schedule, resumed from its last state."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from mimicbrush.files import whole
from mimicbrush.progress import progress_bar
from mimicbrush.tensor_files import torch_load, torch_save

MAX_GRADIENT = 1.0
"""Norm to which gradients are clipped."""


def train_steps(
    module: nn.Module,
    compute_loss: Callable[[int], Tensor],
    *,
    num_steps: int,
    learning_rate: float,
    weight_decay: float,
    state: Path,
    save_every: int,
    optimizer_class: type[torch.optim.Optimizer] = torch.optim.AdamW,
) -> float:
    """Train a module in place, and return the CPU seconds of all calls together.

    compute_loss: the loss of a step by its number alone, so that a resumed run sees the same batches; state: file of
    the last state, from which an interrupted run resumes, written every `save_every` steps.
    """
    optimizer = optimizer_class(module.parameters(), lr=learning_rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=num_steps)
    parts = {"module": module, "optimizer": optimizer, "schedule": schedule}
    first, before, started = 0, 0.0, time.process_time()
    if state.is_file():
        stored = torch_load(state)
        for name, part in parts.items():
            part.load_state_dict(stored[name])
        first, before = stored["step"], stored["cpu_seconds"]
    module.train()
    progress = progress_bar(range(first, num_steps))
    for step in progress:
        loss = compute_loss(step)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), MAX_GRADIENT)
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            progress.set_postfix_str(f"loss {loss.item():.3f}")
        if (step + 1) % save_every == 0 or step + 1 == num_steps:
            stored = {name: part.state_dict() for name, part in parts.items()}
            stored |= {"step": step + 1, "cpu_seconds": before + time.process_time() - started}
            with whole(state) as partial:
                torch_save(stored, partial)
    return before + time.process_time() - started

"""MADGRAD, the optimiser of the release (Defazio and Jelassi 2021, arXiv 2101.11075)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch.nn import Parameter
from torch.optim import Optimizer


class Madgrad(Optimizer):
    """Momentumised, adaptive dual averaging, with an L2 penalty as weight decay.

    Parameters without a gradient are skipped.
    """

    def __init__(
        self,
        parameters: Iterable[Parameter],
        *,
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.01,
        eps: float = 1e-6,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "eps": eps})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            parameters = [each for each in group["params"] if each.grad is not None]
            if parameters:
                self._step_group(group, parameters)

    def _step_group(self, group: dict, parameters: list[Parameter]) -> None:
        states = [self._state_of(parameter) for parameter in parameters]
        sums, squares, starts = ([state[name] for state in states] for name in ("sum", "sum_of_squares", "start"))
        num_steps = int(states[0]["step"]) + 1
        weight = (group["lr"] + group["eps"]) * num_steps**0.5
        gradients = torch._foreach_add([each.grad for each in parameters], parameters, alpha=group["weight_decay"])
        torch._foreach_addcmul_(squares, gradients, gradients, value=weight)
        torch._foreach_add_(sums, gradients, alpha=weight)
        roots = torch._foreach_pow(squares, 1 / 3)
        torch._foreach_add_(roots, group["eps"])
        targets = torch._foreach_addcdiv(starts, sums, roots, value=-1)
        torch._foreach_lerp_(parameters, targets, 1 - group["momentum"])
        step = torch.tensor(float(num_steps))
        for state in states:
            state["step"] = step

    def _state_of(self, parameter: Parameter) -> dict:
        """Sums of gradients and of their squares, and the weights at the first step."""
        state = self.state[parameter]
        if not state:
            state["step"] = torch.tensor(0.0)
            state["sum"], state["sum_of_squares"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
            state["start"] = parameter.detach().clone()
        return state

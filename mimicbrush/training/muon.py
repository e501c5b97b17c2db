"""Muon for the matrices of a small network and AdamW for the rest, as one optimiser."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from mimicbrush.errors import UserError

NARROWEST = 32
"""Smallest number of rows and of columns of a matrix that Muon updates."""


class MuonAdamW(torch.optim.AdamW):
    """Muon for large matrices and convolutions, AdamW for all other parameters, at one learning rate.

    torch's Muon takes matrices only, so it sees a convolution as (channels out, channels in x height x width), a view
    of the same numbers. Biases, norms, and layers with fewer than NARROWEST rows or columns are updated by AdamW.
    Raises UserError where there is nothing for Muon.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float) -> None:
        # Matrices are in AdamW's group, too, where float16's scaler looks for their gradients.
        super().__init__(parameters, lr=lr, weight_decay=weight_decay)
        self._matrices = [each for each in self.param_groups[0]["params"] if _is_matrix(each)]
        if not self._matrices:
            raise UserError(
                f"no trained matrix has {NARROWEST} rows and {NARROWEST} columns, the least that Muon updates; set"
                " recipe.optimizer to adamw, or raise the rank of LoRA adapters"
            )
        self._views = [nn.Parameter(_in_stored_order(each.data, each).view(len(each), -1)) for each in self._matrices]
        # With its updates scaled to the size of AdamW's, one learning rate serves both.
        self._muon = torch.optim.Muon(self._views, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters at the current learning rate of AdamW's group, the one that schedules change.

        closure: called first, to compute the gradients; its result is returned. Gradients of matrices are deleted.
        """
        result = None
        if closure is not None:
            with torch.enable_grad():
                result = closure()
        for group in self._muon.param_groups:
            group["lr"] = self.param_groups[0]["lr"]
        for view, matrix in zip(self._views, self._matrices, strict=True):
            view.grad = None
            if matrix.grad is not None:
                view.grad = _in_stored_order(matrix.grad, matrix).reshape(view.shape)
                matrix.grad = None  # AdamW passes over parameters without a gradient.
        self._muon.step()
        super().step()
        return result

    def state_dict(self) -> dict[str, Any]:
        """Return the states of both optimisers."""
        return {"adamw": super().state_dict(), "muon": self._muon.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load the states of both optimisers."""
        super().load_state_dict(state["adamw"])
        self._muon.load_state_dict(state["muon"])


def _is_matrix(parameter: Tensor) -> bool:
    return parameter.ndim >= 2 and min(len(parameter), parameter[0].numel()) >= NARROWEST


def _in_stored_order(tensor: Tensor, parameter: Tensor) -> Tensor:
    """Put the channels in last in a tensor of the parameter's shape, if the parameter is stored channels last."""
    return tensor if parameter.is_contiguous() else tensor.movedim(1, -1)

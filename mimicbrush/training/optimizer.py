"""Make the optimiser: AdamW, AdamW with its moments in eight bits, or Muon for matrices beside AdamW."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import Optimizer

from mimicbrush.errors import UserError
from mimicbrush.training.config import OptimizerName, RecipeConfig
from mimicbrush.training.muon import MuonAdamW


def make_optimizer(parameters: Iterable[nn.Parameter], recipe: RecipeConfig) -> Optimizer:
    """Make the recipe's optimiser with its learning rate and weight decay.

    AdamW's two moments take 8 bytes a parameter, or 2 in eight bits, except in tensors of fewer than 4 096 elements;
    Muon's only moment takes 4.
    Raises UserError where the recipe's optimiser is not installed.
    """
    settings = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay}
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(parameters, **settings, fused=True)
    if recipe.optimizer == "muon":
        return MuonAdamW(parameters, **settings)
    require_optimizer(recipe.optimizer)
    from bitsandbytes.optim import AdamW8bit

    return AdamW8bit(parameters, **settings)


def require_optimizer(name: OptimizerName) -> None:
    """Raise UserError where this optimiser is not installed; called before a run's folder is claimed."""
    if name != "adamw8bit":
        return
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"recipe.optimizer is adamw8bit, which needs bitsandbytes ({error}); install it with"
            " `pip install -c constraints.txt -e '.[lowmem]'`, or choose adamw"
        ) from None

"""Parts whose weights wait elsewhere until they are called, as diffusers' offloading has them (accelerate's hooks)."""

from __future__ import annotations

import torch
from torch import nn


def execution_device(module: nn.Module) -> torch.device:
    """Where a module computes, which is not where its weights wait."""
    if hasattr(module, "_hf_hook"):
        for part in module.modules():
            device = getattr(getattr(part, "_hf_hook", None), "execution_device", None)
            if device is not None:
                return torch.device(device)
    return next(module.parameters()).device


def fetch_weights(module: nn.Module) -> None:
    """Bring its weights to where it computes, as its own call does; calls of its layers alone do not."""
    if hasattr(module, "_hf_hook"):
        module._hf_hook.pre_forward(module)

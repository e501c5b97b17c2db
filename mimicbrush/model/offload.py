"""Parts whose weights are offloaded until they are called, as diffusers does it (by accelerate's hooks)."""

from __future__ import annotations

import torch
from torch import nn


def execution_device(module: nn.Module) -> torch.device:
    """Return the device on which a module computes, which differs from that of its offloaded weights."""
    if hasattr(module, "_hf_hook"):
        for part in module.modules():
            device = getattr(getattr(part, "_hf_hook", None), "execution_device", None)
            if device is not None:
                return torch.device(device)
    return next(module.parameters()).device


def fetch_weights(module: nn.Module) -> None:
    """Move a module's weights to its execution device, as calling it does; calling one of its layers does not."""
    if hasattr(module, "_hf_hook"):
        module._hf_hook.pre_forward(module)

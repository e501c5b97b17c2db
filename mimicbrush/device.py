"""Tensors between the host and the device."""

from __future__ import annotations

import torch
from torch import Tensor

SHARED_OR_NONE = ("cpu", "mps", "meta")
"""Devices that take tensors from the host's own memory, or take none."""


def send(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Copy a tensor from the CPU to the device without waiting for what the device still has to do.

    A copy from ordinary memory may wait, whatever `non_blocking` says: the driver first copies it to pinned memory,
    behind all that was begun before (CUDA driver API, "API synchronization behavior").
    """
    device = torch.device(device)
    if tensor.device == device or device.type in SHARED_OR_NONE or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.contiguous().pin_memory().to(device, non_blocking=True)

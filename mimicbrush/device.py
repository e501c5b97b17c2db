"""The device and the precision to compute in, and copies of tensors to the device."""

from __future__ import annotations

import torch
from torch import Tensor

from mimicbrush.errors import UserError
from mimicbrush.machine import processor_name
from mimicbrush.requests import Precision

SHARED_OR_NONE = ("cpu", "mps", "meta")
"""Devices that use the host's memory, or none."""


def send(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Copy a tensor from the CPU to the device without waiting for the device's earlier work.

    A copy from pageable memory may wait even with `non_blocking`: the driver first copies it to pinned memory, after
    all earlier work (CUDA driver API, "API synchronization behavior").
    """
    device = torch.device(device)
    if tensor.device == device or device.type in SHARED_OR_NONE or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.contiguous().pin_memory().to(device, non_blocking=True)


def choose_device(name: str) -> torch.device:
    """Choose a device by name; `auto` is a GPU if there is one. Raises UserError if the device does not exist."""
    if name != "auto":
        try:
            return torch.zeros((), device=name).device
        except (RuntimeError, AssertionError):  # which of the two depends on the build of torch
            raise UserError(f"device {name} does not exist here; choose auto or cpu") from None
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def describe_device(device: torch.device) -> str:
    """Name a GPU or the processor, with the number of threads and torch's version, for a table of measurements."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name()
    return f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def choose_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """Choose a dtype; `auto` is float16 on a GPU, as in the release, and float32 elsewhere."""
    if precision == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    return getattr(torch, precision)

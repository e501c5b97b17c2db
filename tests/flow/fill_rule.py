"""Weights and pictures that follow from a name and a salt, so that golden numbers need no weight files."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import torch
from torch import Tensor, nn

GOLDEN_RATIO = np.uint64(0x9E3779B97F4A7C15)
GAIN = 1.3
GAINS = {"update_block.flow_head.conv2.weight": 0.5}
"""Smaller, so that one update moves a flow by a few pixels."""


def uniform(name: str, shape: tuple[int, ...], salt: str) -> np.ndarray:
    """Numbers in [0, 1) from a splitmix64 stream whose seed is a hash of salt and name."""
    seed = np.frombuffer(hashlib.sha256(f"{salt}/{name}".encode()).digest()[:8], "<u8")
    with np.errstate(over="ignore"):
        mixed = seed + np.arange(1, math.prod(shape) + 1, dtype=np.uint64) * GOLDEN_RATIO
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed = mixed ^ (mixed >> np.uint64(31))
    return ((mixed >> np.uint64(40)).astype(np.float64) / 2**24).reshape(shape)


def weight(name: str, shape: tuple[int, ...], salt: str, *, gain: float | None = None) -> Tensor:
    """The value of a tensor by its name; gain: of matrices and kernels, by default RAFT's with its authors' names."""
    if name.endswith(".num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    signed = 2 * uniform(name, shape, salt) - 1
    if name.endswith(".running_mean"):
        value = 0.1 * signed
    elif name.endswith(".running_var"):
        value = 1 + 0.3 * signed
    elif name.endswith("embedding.weight"):
        value = 0.5 * signed
    elif len(shape) > 1:
        gain = GAINS.get(name, GAIN) if gain is None else gain
        value = signed * (gain * np.sqrt(3.0 / math.prod(shape[1:])))
    elif name.endswith(".weight"):
        value = 1 + 0.1 * signed
    else:
        value = 0.05 * signed
    return torch.from_numpy(value.astype(np.float32))


def fill(module: nn.Module, salt: str, *, gain: float | None = None) -> None:
    """Set every tensor of a module by its name, except for whole numbers such as positions; gain: as for `weight`."""
    state = module.state_dict()
    for name, tensor in state.items():
        if tensor.is_floating_point() or name.endswith(".num_batches_tracked"):
            state[name] = weight(name, tuple(tensor.shape), salt, gain=gain)
    module.load_state_dict(state)

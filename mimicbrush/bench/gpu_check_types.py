"""Types shared by the checks of `python -m mimicbrush.bench gpu`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from mimicbrush.bench.config import TINY_PRESET, Size
from mimicbrush.config import load_config
from mimicbrush.model.config import NetworkConfig, full_size_network
from mimicbrush.training.config import TrainConfig

MEMORY_SHARES = (0.75, 1.15)
"""Accepted range of the measured peak divided by the counted one: libraries have workspaces, allocators have gaps."""
SLACK = 0.5
"""GiB by which the measured peak may exceed this range."""


class SkippedCheck(Exception):  # noqa: N818
    """A check cannot run on this machine; the message gives the reason."""


@dataclass
class CheckSetup:
    """Settings shared by all checks."""

    network: Size
    batch_size: int
    device: torch.device
    folder: Path
    """Temporary folder."""
    preset: Path = TINY_PRESET
    """Training config of the small network."""
    first_loss: float | None = None
    """Loss of the first training step of the first check that trained."""

    @property
    def is_gpu(self) -> bool:
        return self.device.type == "cuda"

    @property
    def network_config(self) -> NetworkConfig:
        """Sizes of the network that edits are measured with."""
        return full_size_network() if self.network == "full" else load_config(TrainConfig, self.preset).network


class CheckResult(NamedTuple):
    """Result of one check."""

    expected: str
    measured: str
    is_ok: bool
    first_loss: float | None = None
    """Loss of the first training step."""


def is_as_counted(peak: float, counted: float, *, least: float = MEMORY_SHARES[0]) -> bool:
    """Whether a measured peak agrees with the counted one, both in GiB. least: lower end of the accepted range."""
    return least * counted - SLACK <= peak <= MEMORY_SHARES[1] * counted + SLACK

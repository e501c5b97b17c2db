"""The optical-flow network of metrics: RAFT, found on this machine and loaded."""

from __future__ import annotations

from pathlib import Path

import torch

from mimicbrush.flow.raft import Raft
from mimicbrush.flow.raft_weights import find_raft, load_raft


def find_flow(source: str) -> Path:
    """Find the file of RAFT's weights; raises UserError where there is none."""
    return find_raft(source)[0]


def load_flow(path: Path, device: torch.device) -> Raft:
    """Load RAFT from its file, by the sizes in the config beside it if there is one."""
    has_config = (path.parent / "config.json").is_file()
    return load_raft(str(path.parent if has_config else path)).to(device)

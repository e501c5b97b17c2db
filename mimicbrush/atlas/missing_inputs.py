"""Check, without importing torch, that the files of an atlas's training exist."""

from __future__ import annotations

from mimicbrush.atlas.config import AtlasConfig
from mimicbrush.errors import Faults


def check_files(config: AtlasConfig) -> None:
    """Raise UserError if the clip, the masks or both are missing."""
    faults = Faults()
    for name, path in (("clip", config.clip), ("masks", config.masks)):
        faults.check(path is None or path.exists(), f"{name}: {path} does not exist; check the path")
    faults.refuse()

"""Check, without importing torch, that the files of an atlas's training exist."""

from __future__ import annotations

from mimicbrush.atlas.config import AtlasConfig
from mimicbrush.errors import UserError


def check_files(config: AtlasConfig) -> None:
    """Raise UserError if the clip or the masks are missing."""
    for name, path in (("clip", config.clip), ("masks", config.masks)):
        if path is not None and not path.exists():
            raise UserError(f"{name}: {path} does not exist; check the path")

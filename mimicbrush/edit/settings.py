"""The settings of an edit travel in its PNG, so that it can be made again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from mimicbrush.errors import UserError
from mimicbrush.files import whole
from mimicbrush.imaging import open_image
from mimicbrush.sixteen_bits import encode_sixteen_bits

KEY = "mimicbrush"
"""Of the PNG's text."""
NOT_SETTINGS = ("batch", "replay", "output", "force")
"""What is asked of one command, not of the edit."""


def save_with_settings(
    edited: Image.Image | Tensor,
    path: Path,
    config: object,
    *,
    portable: bool = False,
    icc_profile: bytes | None = None,
) -> None:
    """Write a PNG with the fields of `config`, a dataclass, in its text; paths are made absolute.

    edited: a picture with its own colour profile, or (3 or 4, H, W) in [0, 1] to be kept in 16 bits, with this one.
    portable: paths are names alone, to be replayed in the folder that holds the pictures.
    """
    note = PngInfo()
    place = (lambda path: path.name) if portable else (lambda path: str(path.resolve()))
    settings = {name: _plain(value, place) for name, value in asdict(config).items() if name not in NOT_SETTINGS}
    note.add_text(KEY, json.dumps(settings))
    with whole(path) as partial:
        if isinstance(edited, Tensor):
            partial.write_bytes(encode_sixteen_bits(edited, text=note, icc_profile=icc_profile))
        else:
            edited.save(partial, pnginfo=note)


def read_settings(path: Path) -> dict:
    """The settings in a PNG; raises UserError where it holds none."""
    try:
        settings = json.loads(getattr(open_image(path), "text", {})[KEY])
    except (KeyError, ValueError):
        settings = None
    if not isinstance(settings, dict):
        raise UserError(f"{path}: holds no settings of an edit; expected a PNG written by `python -m mimicbrush.edit`")
    return settings


def _plain(value: object, place: Callable[[Path], str]) -> object:
    if isinstance(value, list):
        return [_plain(item, place) for item in value]
    return place(value) if isinstance(value, Path) else value

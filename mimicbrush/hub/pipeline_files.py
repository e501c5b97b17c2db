"""Parts of a diffusers pipeline that are not networks: the tokenizer and the noise schedule."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from pathlib import Path

from transformers import CLIPTokenizer

from mimicbrush.config import config_from_dict
from mimicbrush.diffusion.config import ScheduleConfig
from mimicbrush.errors import UserError, first_line
from mimicbrush.files import read_object
from mimicbrush.hub.library_messages import quiet_libraries, reason_of
from mimicbrush.hub.locations import PartLocation

SCHEDULER = "scheduler_config.json"
"""Config of every scheduler of diffusers."""


def load_tokenizer(location: PartLocation, subfolder: str = "tokenizer") -> CLIPTokenizer:
    """Load CLIP's tokenizer from a subfolder, "" for the location itself; raises UserError where there is none."""
    names = _tokenizer_files(location.files_in(subfolder))
    if not names and location.is_partial:
        location.list_remote_files()
        names = _tokenizer_files(location.files_in(subfolder))
    try:
        with quiet_libraries():
            return CLIPTokenizer.from_pretrained(location.fetch(subfolder, names), local_files_only=True)
    except (OSError, ValueError) as error:
        raise UserError(f"{location.describe(subfolder)}: no tokenizer of CLIP ({reason_of(error)})") from None


def _tokenizer_files(names: Collection[str]) -> set[str]:
    """Small files beside the weights, of which a tokenizer is made."""
    return {name for name in names if Path(name).suffix in (".json", ".txt") and "index" not in name}


def read_schedule(location: PartLocation) -> ScheduleConfig:
    """Read the noise schedule that the weights were trained with; Stable Diffusion's where none is given.

    Raises UserError for a damaged file, and for a schedule that cannot be expressed.
    """
    if SCHEDULER not in location.files_in("scheduler"):
        return ScheduleConfig()
    path = location.fetch("scheduler", {SCHEDULER}) / SCHEDULER
    found, known = read_object(path), {field.name for field in fields(ScheduleConfig)}
    try:
        return config_from_dict(ScheduleConfig, {name: found[name] for name in known & found.keys()})
    except UserError as error:
        raise UserError(f"{path}: {first_line(error)}") from None

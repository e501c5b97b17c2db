"""Single files of weights, by path or URL, and the commands that fetch what is missing."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlparse

import torch

from mimicbrush.files import sha256
from mimicbrush.hub.local_networks import AbsentWeightsError
from mimicbrush.hub.locations import is_repository

FETCH = "python -m mimicbrush.evaluation.fetch"
NAMED_HASH = re.compile(r"-([0-9a-f]{8,})\.")
"""In the names of torchvision's files, and of whatever follows torch.hub's custom."""


def is_url(source: str) -> bool:
    return source.startswith(("https://", "http://"))


def find_file(source: str) -> Path:
    """A local file, or torch.hub's cached copy of a URL; raises AbsentWeightsError where it is missing or damaged."""
    path = cached_file(source) if is_url(source) else Path(source)
    if not path.is_file():
        raise AbsentWeightsError(f"{path.name} is not on this machine" if is_url(source) else f"{path}: no such file")
    named = NAMED_HASH.search(path.name)
    if named and not sha256(path).startswith(named[1]):
        raise AbsentWeightsError(
            f"{path} is damaged: its SHA-256 begins with {short_digest(path)}, not {named[1]}; delete it"
        )
    return path


def cached_file(url: str) -> Path:
    """Where torch.hub keeps what it downloads."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name


def fetch_command(name: str, source: str, default: str) -> str:
    """The end of a reason: the command that mends it."""
    if source == default:
        return f"fetch it by: {FETCH} --models '[{name}]'"
    if is_url(source) or is_repository(source):
        return f"fetch it by: {FETCH} --models '[{name}]' --sources.{name} {source}"
    return f"mend models.{name}, or leave it at its default, which is fetched by: {FETCH} --models '[{name}]'"


def short_digest(path: Path) -> str:
    """The first eight hex digits of a file's SHA-256."""
    return sha256(path)[:8]

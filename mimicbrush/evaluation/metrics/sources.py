"""Where weights lie on this machine: looked up, checked, and nothing fetched."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse

import torch
from huggingface_hub import try_to_load_from_cache
from safetensors import SafetensorError, safe_open

from mimicbrush.errors import UserError
from mimicbrush.files import sha256
from mimicbrush.hub import is_repository
from mimicbrush.weight_files import weight_files

FETCH = "python -m mimicbrush.evaluation.fetch"
NAMED_HASH = re.compile(r"-([0-9a-f]{8,})\.")
"""In the names of torchvision's files, and of whatever follows torch.hub's custom."""


class AbsentError(Exception):
    """Weights are not here, or are not what they should be; the message says which."""


def is_url(source: str) -> bool:
    return source.startswith(("https://", "http://"))


def find_folder(source: str, model_type: str, *, has_tokenizer: bool = False) -> Path:
    """A local folder, or the hub's cached copy of a repository, in which a network's files are complete.

    Raises AbsentError where it is not there, lacks files, is cut short, or holds another kind of network.
    """
    folder = Path(source)
    if is_repository(source):
        config = try_to_load_from_cache(source, "config.json")
        if not isinstance(config, str):
            raise AbsentError(f"{source} is not on this machine")
        folder = Path(config).parent
    if not (folder / "config.json").is_file():
        raise AbsentError(f"{source}: no folder with a config.json")
    found = _model_type(folder / "config.json")
    if found != model_type:
        raise AbsentError(f"{source}: expected a network of type {model_type}, found {found}")
    try:
        lacking, paths = list(_lacking(folder, has_tokenizer)), weight_files(folder)
    except UserError as error:  # a damaged index
        raise AbsentError(str(error)) from None
    if lacking:
        raise AbsentError(f"{source} lacks {', '.join(lacking)}")
    for path in paths:
        _check_whole(path)
    return folder


def _model_type(path: Path) -> str | None:
    try:
        return json.loads(path.read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError):
        raise AbsentError(f"{path} is damaged; delete it") from None


def find_file(source: str) -> Path:
    """A local file, or torch.hub's cached copy of a URL; raises AbsentError where it is not there or is damaged."""
    path = cached_file(source) if is_url(source) else Path(source)
    if not path.is_file():
        raise AbsentError(f"{path.name} is not on this machine" if is_url(source) else f"{path}: no such file")
    named = NAMED_HASH.search(path.name)
    if named and not sha256(path).startswith(named[1]):
        raise AbsentError(f"{path} is damaged: its SHA-256 begins with {short_digest(path)}, not {named[1]}; delete it")
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


def _lacking(folder: Path, has_tokenizer: bool) -> Iterator[str]:
    if not weight_files(folder):
        yield "model.safetensors"
    if not any((folder / name).is_file() for name in ("preprocessor_config.json", "processor_config.json")):
        yield "preprocessor_config.json"
    pieces = [folder / name for name in ("vocab.json", "merges.txt")]
    if has_tokenizer and not (folder / "tokenizer.json").is_file() and not all(map(Path.is_file, pieces)):
        yield "tokenizer.json"


def _check_whole(path: Path) -> None:
    if not path.is_file():
        raise AbsentError(f"{path} is missing")
    if path.suffix != ".safetensors":
        return
    try:
        with safe_open(path, "pt"):  # reads the header, which says how long the file must be
            pass
    except SafetensorError as error:
        raise AbsentError(f"{path} is damaged ({error}); delete it") from None

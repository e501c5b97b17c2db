"""Downloads the weights of the metrics' networks that are not on this machine."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from huggingface_hub import constants, get_session

from mimicbrush.errors import UserError
from mimicbrush.evaluation.config import FetchConfig
from mimicbrush.evaluation.metrics.models import NAMED_HASH, Models, cached_file, is_url
from mimicbrush.hub.locations import is_repository
from mimicbrush.hub.part_files import find_part
from mimicbrush.hub.weight_files import TRANSFORMERS

SECONDS = 10
"""Time in seconds after which a server that does not answer counts as unreachable."""
SMALL_FILES = ("*config.json", "tokenizer.json", "vocab.json", "merges.txt", "special_tokens_map.json")
"""Configs of preprocessing and files of a tokenizer."""
ADVICE = "go online, or copy the repository's files to this machine and give their folder"


def fetch_weights(config: FetchConfig) -> None:
    """Download missing weights into the caches of the hub's client and of torch.hub, and print where each lies.

    Raises UserError, after all have been tried, that names those that cannot be downloaded.
    """
    models = Models(config.sources, device="cpu")
    sources = {name: getattr(config.sources, name) for name in models.missing(config.models)}
    hub_fault = _find_hub_fault() if any(map(is_repository, sources.values())) else None
    faults: dict[str, list[str]] = {}
    for name in config.models:
        try:
            if name in sources:
                _fetch(sources[name], hub_fault)
            what = "fetched" if name in sources else "already here"
            print(f"{name}: {models.variant(name)}, {what}: {models.find(name)}", flush=True)
        except UserError as error:
            faults.setdefault(str(error), []).append(name)
    if faults:
        raise UserError("; ".join(f"{', '.join(names)}: {fault}" for fault, names in faults.items()))


def _fetch(source: str, hub_fault: str | None) -> None:
    """Download from a URL or the hub; a local path needs no download. Raises UserError if the download fails."""
    if is_url(source):
        _fetch_file(source, cached_file(source))
    elif is_repository(source):
        if hub_fault:
            raise UserError(hub_fault)
        _fetch_repository(source)


def _fetch_file(url: str, path: Path) -> None:
    named = NAMED_HASH.search(path.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _impatient():
            torch.hub.download_url_to_file(url, str(path), hash_prefix=named and named[1])
    except (OSError, RuntimeError) as error:  # a wrong hash is a RuntimeError
        reason = getattr(error, "reason", error)
        raise UserError(f"{url} cannot be fetched ({reason}); copy the file to {path}") from None


def _fetch_repository(source: str) -> None:
    try:
        find_part(source, TRANSFORMERS, class_name="", extra=SMALL_FILES)
    except UserError as error:
        raise UserError(f"{error}; {ADVICE}") from None


def _find_hub_fault() -> str | None:
    """Try once to reach the hub and return the reason if it fails; the client itself would retry for minutes."""
    if constants.HF_HUB_OFFLINE:
        return f"HF_HUB_OFFLINE is set, which forbids downloads from the hub; {ADVICE}"
    try:
        get_session().head(constants.ENDPOINT, timeout=SECONDS)
    except Exception as error:  # of the client's HTTP library, which changes
        return f"{constants.ENDPOINT} cannot be reached ({type(error).__name__}); {ADVICE}"
    return None


@contextmanager
def _impatient() -> Iterator[None]:
    """Set a time limit for connections in the block, because torch.hub sets none."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)

"""Folders on this machine, and hub repositories fetched to it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import snapshot_download

from mimicbrush.errors import UserError
from mimicbrush.files import shipped

FILE_SUFFIXES = (".bin", ".ckpt", ".pt", ".pth", ".safetensors")
UNREACHABLE = ("ConnectionError", "ConnectError", "ConnectTimeout", "ReadTimeout", "OfflineModeIsEnabled")


def local_folder(name: str) -> Path:
    """A path on this machine: `name` itself, shipped weights (asset:NAME), or a hub repository's, fetched.

    Raises UserError where none is.
    """
    name = shipped(name)
    path = Path(name)
    if path.exists() or path.suffix in FILE_SUFFIXES or name.count("/") != 1:
        return path
    try:
        with quiet_hub():
            return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors"]))
    except Exception as error:  # the hub's client raises a dozen kinds
        raise UserError(
            f"{name}: neither a folder here nor to be had from the hub ({reason_of(error)}); give a training run, a"
            " folder made by `python -m mimicbrush.model.weights convert`, or a mimicbrush.bin"
        ) from None


@contextmanager
def quiet_hub() -> Iterator[None]:
    """Without the hub client's notes on each retry: what failed is said once, at the end."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="huggingface_hub")
            yield
    finally:
        logger.setLevel(level)


def reason_of(error: BaseException) -> str:
    """The first line of an error, or that the hub was not reached, which libraries tell as a missing file."""
    cause: BaseException | None = error
    while cause is not None:
        if type(cause).__name__ in UNREACHABLE:
            return "the hub cannot be reached"
        cause = cause.__cause__ or cause.__context__
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__

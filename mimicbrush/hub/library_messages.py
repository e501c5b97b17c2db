"""Silence the libraries that load and fetch weights, and reduce their errors to one line."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from mimicbrush.errors import first_line

UNREACHABLE = ("ConnectionError", "ConnectError", "ConnectTimeout", "ReadTimeout", "OfflineModeIsEnabled")
REFUSALS = {
    "GatedRepoError": "its terms must be accepted on the hub first",
    "RepositoryNotFoundError": "the hub has no such repository, or it needs a login",
    "RevisionNotFoundError": "it has no such revision",
}
NOISY_LIBRARIES = ("huggingface_hub", "diffusers", "transformers")
MODULES_WITH_BARS = ("diffusers.utils.logging", "transformers.utils.logging")


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence the notes, errors and progress bars of the libraries: a failure is reported once, by this package."""
    loggers = [logging.getLogger(name) for name in NOISY_LIBRARIES]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    # Only libraries that are already imported: importing them takes seconds.
    modules = [sys.modules[name] for name in MODULES_WITH_BARS if name in sys.modules]
    with_bars = [module for module in modules if module.is_progress_bar_enabled()]
    for module in with_bars:
        module.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="huggingface_hub")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for module in with_bars:
            module.enable_progress_bar()


def reason_of(error: BaseException) -> str:
    """The first line of an error; an unreachable hub, which libraries report as a missing file, is called that."""
    cause: BaseException | None = error
    while cause is not None:
        if type(cause).__name__ in UNREACHABLE:
            return "the hub cannot be reached"
        if type(cause).__name__ in REFUSALS:
            return REFUSALS[type(cause).__name__]
        cause = cause.__cause__ or cause.__context__
    return first_line(error).rstrip(".")

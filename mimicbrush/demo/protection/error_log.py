"""Log refused requests in one line, and our own errors with their traceback."""

from __future__ import annotations

import logging
import sys
import traceback
from types import SimpleNamespace

from gradio import queueing, routes

MAX_LINE = 300
"""Largest number of characters of a visitor's request or error that are logged."""
LAYERS = (f"{__package__}.", "mimicbrush.demo.startup.", "mimicbrush.demo.held_pages")
"""Packages and the module of the layers that all requests pass."""

log = logging.getLogger(__name__)


def shorten_tracebacks() -> None:
    """Replace Gradio's tracebacks for failed events by one line, if the cause is the visitor's request."""
    for module in (queueing, routes):
        module.traceback = SimpleNamespace(**{**vars(traceback), "print_exc": _log_event_error})


def one_line(error: BaseException) -> str:
    """Describe an error by its class and the beginning of its message, quoted to keep control characters out."""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first!r}"[:MAX_LINE]


def is_ours(error: BaseException) -> bool:
    """Whether the error passed through code of this package, except for the layers that all requests pass."""
    modules = {frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)}
    return any(name.startswith("mimicbrush.") and not name.startswith(LAYERS) for name in modules)


def _log_event_error() -> None:
    error = sys.exc_info()[1]
    if is_ours(error):
        traceback.print_exception(error)
    else:
        log.warning("an event was refused: %s", one_line(error))

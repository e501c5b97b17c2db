"""A filter before Gradio: it refuses requests for files of other machines, and logs bad requests in one line."""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from types import SimpleNamespace

import anyio.to_thread
from gradio import queueing, routes
from gradio.route_utils import API_PREFIX, FnIndexInferError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 4_000_000
"""Largest request in bytes, except uploads: a hundred thousand points of strokes, minutes of painting."""
UPLOAD = f"{API_PREFIX}/upload"
"""Path of uploads, whose size Gradio limits."""
ELSEWHERE = re.compile(r"https?:|/proxy=", re.IGNORECASE)
"""Pattern of remote files in a decoded path: `file=https://...`, `file/https://...`; no own file has such a name."""
FORGED = (KeyError, ValueError, FnIndexInferError, ClientDisconnect)
"""Errors that Gradio raises for bodies that its page does not send, or that are incomplete."""

log = logging.getLogger(__name__)


class RequestFilter:
    """Refuses requests for `file=https://...`, which Gradio would fetch for any client, in paths and in bodies.

    A forged request that makes Gradio raise gets status 400 and one line in the log. Any other error, such as a full
    disk or a bug, gets status 500 and a traceback in the log.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path, started = scope["path"], False

        async def follow(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            if ELSEWHERE.search(path):
                await PlainTextResponse("Forbidden", status_code=403)(scope, receive, follow)
            elif scope["method"] == "POST" and path != UPLOAD:
                await self._check_body(scope, receive, follow)
            else:
                await self.app(scope, receive, follow)
        except Exception as error:
            is_forged = isinstance(error, FORGED) and not _is_ours(error)
            if is_forged:
                log.warning("%s %r was refused: %s", scope["method"], path, one_line(error))
            else:
                log.exception("%s %r failed", scope["method"], path)
            if not started:
                answer = PlainTextResponse("Bad request", 400) if is_forged else PlainTextResponse("Server error", 500)
                await answer(scope, receive, send)

    async def _check_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read(Request(scope, receive))
        if body is None:
            await PlainTextResponse("Too large", status_code=413)(scope, receive, send)
            return
        # In a thread, so that other requests are answered in the meantime.
        if await anyio.to_thread.run_sync(names_remote_file, body):
            log.warning("POST %r was refused: it names a file of another machine", scope["path"])
            await PlainTextResponse("Forbidden", status_code=403)(scope, receive, send)
            return
        messages = iter([{"type": "http.request", "body": body}])

        async def replay() -> Message:
            return next(messages, None) or await receive()

        await self.app(scope, replay, send)


def names_remote_file(body: bytes) -> bool:
    """Whether a JSON body contains a file (an object with a `path`) at a URL; Gradio itself refuses other bodies."""
    try:
        found = [json.loads(body)]
    except (ValueError, RecursionError):
        return False
    while found:
        value = found.pop()
        if isinstance(value, dict):
            if str(value.get("path", "")).lower().startswith(("http:", "https:")):
                return True
            found += value.values()
        elif isinstance(value, list):
            found += value
    return False


def shorten_tracebacks() -> None:
    """Replace Gradio's tracebacks for failed events by one line, if the cause is the visitor's request."""
    for module in (queueing, routes):
        module.traceback = SimpleNamespace(**{**vars(traceback), "print_exc": _log_event_error})


def one_line(error: BaseException) -> str:
    """Describe an error by its class and the beginning of its message, quoted to keep control characters out."""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first!r}"[:300]


def _log_event_error() -> None:
    error = sys.exc_info()[1]
    if _is_ours(error):
        traceback.print_exception(error)
    else:
        log.warning("an event was refused: %s", one_line(error))


def _is_ours(error: BaseException) -> bool:
    """Whether the error passed through code of this package, other than this module, which all requests pass."""
    modules = {frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)}
    return any(module.startswith("mimicbrush.") for module in modules - {__name__})


async def _read(request: Request) -> bytes | None:
    """Read the body; None if it is larger than MAX_BODY, which a client's content length may already show."""
    if int(request.headers.get("content-length", 0)) > MAX_BODY:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            return None
    return bytes(body)

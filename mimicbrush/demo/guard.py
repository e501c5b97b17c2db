"""What stands between visitors and Gradio: it refuses other machines' files, and tells of bad requests in a line."""

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
"""Bytes of a request beside uploads: a hundred thousand points of strokes, minutes of painting."""
UPLOAD = f"{API_PREFIX}/upload"
"""Where files are sent; Gradio limits their size there."""
ELSEWHERE = re.compile(r"https?:|/proxy=", re.IGNORECASE)
"""In a path, decoded: `file=https://...`, `file/https://...`. No file of the page's own is named so."""
FORGED = (KeyError, ValueError, FnIndexInferError, ClientDisconnect)
"""What Gradio raises on bodies that its page does not send, or that end too soon."""

log = logging.getLogger(__name__)


class Guard:
    """Gradio fetches what lies behind `file=https://...`, or a file sent as such a path, for whoever asks.

    Here it does not; and a forged request that makes it raise is a line in the log and a 400 for who sent it.
    Whatever else it raises, a full disk or a mistake of ours, is a traceback in the log and a 500.
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
                log.warning("%s %r was refused: %s", scope["method"], path, in_a_line(error))
            else:
                log.exception("%s %r failed", scope["method"], path)
            if not started:
                told = PlainTextResponse("Bad request", 400) if is_forged else PlainTextResponse("Server error", 500)
                await told(scope, receive, send)

    async def _check_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read(Request(scope, receive))
        if body is None:
            await PlainTextResponse("Too large", status_code=413)(scope, receive, send)
            return
        if await anyio.to_thread.run_sync(names_remote_file, body):  # others are answered meanwhile
            log.warning("POST %r was refused: it names a file of another machine", scope["path"])
            await PlainTextResponse("Forbidden", status_code=403)(scope, receive, send)
            return
        messages = iter([{"type": "http.request", "body": body}])

        async def replay() -> Message:
            return next(messages, None) or await receive()

        await self.app(scope, replay, send)


def names_remote_file(body: bytes) -> bool:
    """Whether JSON holds a file, an object with a `path`, whose path is a URL; what is no JSON, Gradio refuses."""
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


def tell_briefly() -> None:
    """Gradio prints a traceback where an event fails: where that is what a visitor sent, it is a line from now on."""
    for module in (queueing, routes):
        module.traceback = SimpleNamespace(**{**vars(traceback), "print_exc": _tell})


def in_a_line(error: BaseException) -> str:
    """Its class, and where its message begins, quoted: a visitor's control characters stay out of the log."""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first!r}"[:300]


def _tell() -> None:
    error = sys.exc_info()[1]
    if _is_ours(error):
        traceback.print_exception(error)
    else:
        log.warning("an event was refused: %s", in_a_line(error))


def _is_ours(error: BaseException) -> bool:
    """Whether code of this package ran into it; all requests pass through this module."""
    modules = {frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)}
    return any(module.startswith("mimicbrush.") for module in modules - {__name__})


async def _read(request: Request) -> bytes | None:
    """The body; None where it is larger than MAX_BODY, before anything is read where the client says so."""
    if int(request.headers.get("content-length", 0)) > MAX_BODY:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            return None
    return bytes(body)

"""What stands between visitors and Gradio: it refuses other machines' files, and tells of bad requests in a line."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from types import SimpleNamespace

from gradio import queueing, routes
from starlette.datastructures import URL, Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 32_000_000
"""Bytes of a request beside uploads: many long strokes are a few million."""

log = logging.getLogger(__name__)


class Guard:
    """Gradio fetches what lies behind `file=https://...`, or a file sent as such a path, for whoever asks.

    Here it does not; and a request that makes it raise is a line in the log and a 400 for who sent it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path, started = URL(scope=scope).path, False

        async def follow(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            if "file=http" in path or "/proxy=" in path:
                await PlainTextResponse("Forbidden", status_code=403)(scope, receive, follow)
            elif scope["method"] == "POST" and not _is_upload(scope):
                await self._check_body(scope, receive, follow)
            else:
                await self.app(scope, receive, follow)
        except Exception as error:
            log.warning("%s %s was refused: %s", scope["method"], path, in_a_line(error))
            if not started:
                await PlainTextResponse("Bad request", status_code=400)(scope, receive, send)

    async def _check_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytearray()
        async for chunk in Request(scope, receive).stream():
            body += chunk
            if len(body) > MAX_BODY:
                await PlainTextResponse("Too large", status_code=413)(scope, receive, send)
                return
        if names_remote_file(bytes(body)):
            log.warning("POST %s was refused: it names a file of another machine", scope["path"])
            await PlainTextResponse("Forbidden", status_code=403)(scope, receive, send)
            return
        messages = iter([{"type": "http.request", "body": bytes(body)}])

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
        module.traceback = SimpleNamespace(print_exc=_tell)


def in_a_line(error: BaseException) -> str:
    """Its class, and where its message begins."""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}"[:300]


def _tell() -> None:
    error = sys.exc_info()[1]
    modules = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    if any(module.startswith("mimicbrush.") for module in modules):
        traceback.print_exception(error)
    else:
        log.warning("an event was refused: %s", in_a_line(error))


def _is_upload(scope: Scope) -> bool:
    return Headers(scope=scope).get("content-type", "").startswith("multipart/")

"""Check requests before Gradio reads them: the size and structure of bodies, and the files that they name."""

from __future__ import annotations

import json
import re

import anyio.to_thread
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mimicbrush.demo.protection.refusals import RefusedRequestError
from mimicbrush.demo.protection.upload_quotas import UPLOAD, is_upload

MAX_BODY = 4_000_000
"""Largest request in bytes, except uploads, whose size Gradio limits."""
MAX_CONTAINERS = 50_000
"""Largest number of lists and objects in a body, such as points of strokes: some ten minutes of painting. Gradio needs
about ten microseconds for each, in which it answers nobody."""
MAX_NUMBERS = 200_000
"""Largest number of commas in a body, which separate numbers and other values."""
ELSEWHERE = re.compile(r"https?:|/proxy=", re.IGNORECASE)
"""Pattern of remote files in a decoded path: `file=https://...`, `file/https://...`; no own file has such a name."""


class RequestBodies:
    """Refuses bodies that are too large, and requests for files of other machines, which Gradio would fetch.

    Such files are named by paths (`file=https://...`) and by bodies. Uploads pass: they hold no JSON. Files sent to
    other addresses are refused, because Gradio's recorder of screens would leave them in the system's temporary folder.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if ELSEWHERE.search(scope["path"]):
                raise RefusedRequestError(403, "Forbidden: it names a file of another machine.")
            if scope["method"] not in ("GET", "HEAD") and not is_upload(scope):
                request = Request(scope, receive)
                if "multipart" in request.headers.get("content-type", "").lower():
                    raise RefusedRequestError(415, f"Files are accepted at {UPLOAD} alone.")
                receive = _replay(await _checked_body(request), receive)
        await self.app(scope, receive, send)


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Read a body; raises RefusedRequestError if it is larger, which a client's content length may already show."""
    declared = request.headers.get("content-length", "0")
    body = bytearray()
    if not declared.isdecimal() or int(declared) <= max_bytes:
        async for chunk in request.stream():
            body += chunk
            if len(body) > max_bytes:
                break
        else:
            return bytes(body)
    raise RefusedRequestError(413, f"Too large: expected at most {max_bytes} bytes.")


async def _checked_body(request: Request) -> bytes:
    body = await read_body(request, MAX_BODY)
    # Counted in the raw bytes: parsing a million lists would already keep the server busy.
    if body.count(b"[") + body.count(b"{") > MAX_CONTAINERS or body.count(b",") > MAX_NUMBERS:
        raise RefusedRequestError(413, f"Too large: expected at most {MAX_CONTAINERS} points of strokes.")
    # In a thread, so that other requests are answered in the meantime.
    if await anyio.to_thread.run_sync(names_remote_file, body):
        raise RefusedRequestError(403, "Forbidden: it names a file of another machine.")
    return body


def _replay(body: bytes, receive: Receive) -> Receive:
    messages = iter([{"type": "http.request", "body": body}])

    async def replay() -> Message:
        return next(messages, None) or await receive()

    return replay


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

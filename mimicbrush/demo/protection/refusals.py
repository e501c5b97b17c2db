"""Answer refused and failed requests: a status and a sentence for the visitor, a line or a traceback in the log."""

from __future__ import annotations

import asyncio
import logging
import time

from gradio.route_utils import FnIndexInferError
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mimicbrush.demo.protection.error_log import MAX_LINE, is_ours, one_line

FORGED = (KeyError, ValueError, FnIndexInferError, ClientDisconnect)
"""Errors that Gradio raises for bodies that its page does not send, or that are incomplete."""
CHUNK_SECONDS = 30.0
"""Longest wait for the next part of a body."""
BODY_SECONDS = 900.0
"""Longest time that a body may take: 50 MB at half a megabit per second."""

log = logging.getLogger(__name__)


class RefusedRequestError(Exception):
    """A request that a layer of protection refuses.

    status: the HTTP status of the answer; message: a sentence for the visitor.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Refusals:
    """Answers requests that a layer behind this one refuses, or on which Gradio fails.

    A forged request that makes Gradio raise gets status 400. A client that stops in the middle of a body gets status
    408. Both get one line in the log; any other error, such as a full disk or a bug, gets status 500 and a traceback.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        is_started = False

        async def follow(message: Message) -> None:
            nonlocal is_started
            is_started = True
            await send(message)

        try:
            await self.app(scope, impatient(receive) if scope["type"] == "http" else receive, follow)
        except Exception as error:
            answer = _answer(error, f"{scope.get('method', 'websocket')} {scope.get('path', '')!r}"[:MAX_LINE])
            if scope["type"] == "http" and not is_started:
                await answer(scope, receive, send)
            elif scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})


def impatient(receive: Receive) -> Receive:
    """Receive a body; raise RefusedRequestError if it does not arrive in time. Later messages may take any time."""
    end = time.monotonic() + BODY_SECONDS
    is_complete = False

    async def receive_in_time() -> Message:
        nonlocal is_complete
        if is_complete:
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), min(CHUNK_SECONDS, end - time.monotonic()))
        except TimeoutError:
            raise RefusedRequestError(408, "The request did not arrive in time; try again.") from None
        is_complete = not message.get("more_body")
        return message

    return receive_in_time


def _answer(error: Exception, request: str) -> PlainTextResponse:
    """Log an error, and make the answer to it."""
    if isinstance(error, RefusedRequestError):
        log.warning("%s was refused: %s", request, error.message)
        # The rest of the body is not read.
        return PlainTextResponse(error.message, error.status, headers={"Connection": "close"})
    if isinstance(error, FORGED) and not is_ours(error):
        log.warning("%s was refused: %s", request, one_line(error))
        return PlainTextResponse("Bad request", 400)
    log.error("%s failed", request, exc_info=error)
    return PlainTextResponse("Server error", 500)

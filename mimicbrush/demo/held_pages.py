"""A layer of the server that holds a page back until it is complete, and then changes it."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeldPage:
    """Passes responses on; a page is held back until it is complete, and then changed by `change`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start: Message | None = None
        content = bytearray()

        async def hold(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                if self.holds(scope, message["status"], MutableHeaders(scope=message)):
                    start = message
                    return
            elif message["type"] == "http.response.body" and start is not None:
                content.extend(message.get("body", b""))
                if message.get("more_body"):
                    return
                headers = MutableHeaders(scope=start)
                changed = self.change(scope, bytes(content), headers)
                if "content-length" in headers and content:
                    headers["Content-Length"] = str(len(changed))
                await send(start)
                start, message = None, {**message, "body": changed}
            await send(message)

        await self.app(scope, receive, hold)

    def holds(self, scope: Scope, status: int, headers: MutableHeaders) -> bool:
        """Whether a response is held back; may change its headers."""
        return headers.get("content-type", "").startswith("text/html")

    def change(self, scope: Scope, page: bytes, headers: MutableHeaders) -> bytes:
        """Return the page, or another one, and change the headers of the response."""
        raise NotImplementedError

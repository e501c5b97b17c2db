"""Quotas of uploads: number and bytes for each client, and a ceiling for all files of the page."""

from __future__ import annotations

import anyio.to_thread
from gradio.route_utils import API_PREFIX
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mimicbrush.demo.config import Limits
from mimicbrush.demo.protection.client_limits import RateLimit, client_name
from mimicbrush.demo.protection.refusals import RefusedRequestError
from mimicbrush.demo.temporary_folders import TemporaryFolders

UPLOAD = f"{API_PREFIX}/upload"


class UploadQuotas:
    """Refuses uploads beyond a client's quota with status 429; afterwards deletes the oldest files beyond the ceiling.

    Bytes count as they arrive, whether or not an upload is completed.
    """

    def __init__(self, app: ASGIApp, *, limits: Limits, folders: TemporaryFolders) -> None:
        self.app, self.folders = app, folders
        self.uploads = RateLimit(limits.uploads_per_minute, seconds=60)
        self.megabytes = RateLimit(limits.client_mb, seconds=3600)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_upload(scope):
            await self.app(scope, receive, send)
            return
        client = client_name(scope)
        if not self.uploads.allow(client):
            raise RefusedRequestError(429, f"More than {self.uploads.amount} uploads within a minute; try again later.")

        async def count() -> Message:
            message = await receive()
            if not self.megabytes.allow(client, len(message.get("body", b"")) / 1e6):
                raise RefusedRequestError(429, f"Uploads of more than {self.megabytes.amount} MB within an hour.")
            return message

        try:
            await self.app(scope, count, send)
        finally:
            # In a thread, so that other requests are answered in the meantime.
            await anyio.to_thread.run_sync(self.folders.make_room)


def is_upload(scope: Scope) -> bool:
    """Whether a request sends files."""
    return scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == UPLOAD

"""Quotas of uploads: number and bytes for each client, and a ceiling for all files of the page."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import anyio.to_thread
from gradio import route_utils
from gradio.route_utils import API_PREFIX, GradioMultiPartParser
from starlette.datastructures import Headers
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


class OneFileParser(GradioMultiPartParser):
    """Parses an upload of one file, as the page sends it; Gradio answers others with status 400.

    A thousand files would count as one upload, and Gradio would keep form fields of any size in memory.
    """

    def __init__(self, headers: Headers, stream: AsyncGenerator[bytes, None], **options: object) -> None:
        super().__init__(headers, stream, **(options | {"max_files": 1, "max_fields": 0}))


def accept_one_file_per_upload() -> None:
    """Replace Gradio's parser of uploads."""
    route_utils.GradioMultiPartParser = OneFileParser


def is_upload(scope: Scope) -> bool:
    """Whether a request sends files."""
    return scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == UPLOAD

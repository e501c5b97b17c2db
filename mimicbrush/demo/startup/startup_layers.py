"""Layers that make the page start sooner: a bundle of Gradio's files, compressed pages, and files that are kept."""

from __future__ import annotations

import gzip
import re
from importlib import resources
from secrets import token_urlsafe

import brotli
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from mimicbrush.demo.held_pages import HeldPage
from mimicbrush.demo.startup.startup_bundle import START, startup_bundle

SCRIPT = (resources.files("mimicbrush") / "demo" / "startup" / "startup.js").read_text(encoding="utf-8")
BUNDLES = "/startup/"
ALIVE = f"{BUNDLES}alive"
SERVER = token_urlsafe(8)
"""Name of this server, another one after each start, by which an open page sees that it was restarted."""
KEPT = "max-age=31536000, immutable"
"""Lets browsers keep files whose names contain a digest."""
QUALITY = 9
"""Quality of Brotli: 30 kB instead of 435 kB in 20 ms."""


class StartupLayer(HeldPage):
    """Holds back pages that are not compressed yet, and lets browsers keep Gradio's files."""

    def holds(self, scope: Scope, status: int, headers: MutableHeaders) -> bool:
        if scope["path"].startswith(("/assets/", "/static/ffmpeg/")) and status == 200:
            headers["Cache-Control"] = KEPT
        return super().holds(scope, status, headers) and "content-encoding" not in headers


class StartsFromBundle(StartupLayer):
    """Lets Gradio's page start from one file, which this layer also serves."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(BUNDLES):
            await _answer(scope)(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def change(self, scope: Scope, page: bytes, headers: MutableHeaders) -> bytes:
        text = page.decode()
        start, bundle = START.search(text), startup_bundle()
        if not start or bundle is None:
            return page
        address = f".{BUNDLES}{bundle.digest}.json"
        attributes = f'nonce="{token_urlsafe(16)}" data-entry="{bundle.entry}" data-bundle="{address}"'
        text = f"{text[: start.start()]}<script {attributes}>{SCRIPT}</script>{text[start.end() :]}"
        early = f'<link rel="preload" as="fetch" crossorigin href="{address}">'
        return re.sub(r"<base [^>]*>", lambda base: base[0] + early, text, count=1).encode()


class CompressedPage(StartupLayer):
    """Compresses pages; Gradio compresses only their scripts and styles."""

    def change(self, scope: Scope, page: bytes, headers: MutableHeaders) -> bytes:
        headers.add_vary_header("Accept-Encoding")
        encoding = _encoding(scope)
        if encoding is None:
            return page
        headers["Content-Encoding"] = encoding
        return brotli.compress(page, quality=QUALITY) if encoding == "br" else gzip.compress(page)


def _answer(scope: Scope) -> Response:
    if scope["path"] == ALIVE:
        return PlainTextResponse(SERVER, headers={"Cache-Control": "no-store"})
    bundle = startup_bundle()
    if bundle is None or scope["path"] != f"{BUNDLES}{bundle.digest}.json":
        return PlainTextResponse("Not found", 404)
    headers = {"Cache-Control": KEPT, "Vary": "Accept-Encoding"}
    encoding = _encoding(scope)
    if encoding is None:
        return Response(bundle.content, headers=headers, media_type="application/json")
    headers["Content-Encoding"] = encoding
    return Response(bundle.by_encoding[encoding], headers=headers, media_type="application/json")


def _encoding(scope: Scope) -> str | None:
    """The better encoding that the browser takes; browsers take Brotli over HTTPS and on their own machine alone."""
    accepted = re.split(r"[,\s;]+", Headers(scope=scope).get("accept-encoding", ""))
    return next((each for each in ("br", "gzip") if each in accepted), None)

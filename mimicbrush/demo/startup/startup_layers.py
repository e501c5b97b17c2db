"""Layers that make the page start sooner: a bundle of Gradio's files, compressed pages, and files that are kept."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from importlib import resources
from secrets import token_urlsafe

import brotli
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from mimicbrush.demo.held_pages import HeldPage
from mimicbrush.demo.startup.component_scripts import BUNDLES, COMPONENT_SCRIPTS
from mimicbrush.demo.startup.lighter_files import (
    FFMPEG_VERSION,
    lighter_file,
    lighter_versions,
    read_script,
    without_iframe_script,
)
from mimicbrush.demo.startup.startup_bundle import START, startup_bundle

SCRIPT = read_script(resources.files("mimicbrush") / "demo" / "startup" / "startup.js")
ASSETS_PATH = "/assets/"
FFMPEG_PATH = "/static/ffmpeg/"
ALIVE = f"{BUNDLES}alive"
SERVER = token_urlsafe(8)
"""Name of this server, another one after each start, by which an open page sees that it was restarted."""
KEPT = "max-age=31536000, immutable"
"""Lets browsers keep files whose addresses contain a digest or a version."""
ASKED = "no-cache"
"""Lets browsers ask whether a file has changed."""
QUALITY = 9
"""Quality of Brotli: 30 kB instead of 435 kB in 20 ms."""


class StartupLayer(HeldPage):
    """Holds back pages that are not compressed yet, and lets browsers keep Gradio's files."""

    def holds(self, scope: Scope, status: int, headers: MutableHeaders) -> bool:
        if scope["path"].startswith((ASSETS_PATH, FFMPEG_PATH)) and status == 200:
            headers["Cache-Control"] = KEPT if _names_content(scope) else ASKED
        return super().holds(scope, status, headers) and "content-encoding" not in headers


class StartsFromBundle(StartupLayer):
    """Lets Gradio's page start from one file, which this layer serves, as it does lighter files and our scripts."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        lighter = lighter_file(path.removeprefix(ASSETS_PATH)) if path.startswith(ASSETS_PATH) else None
        if lighter is not None:
            await _compressed(scope, lighter.encode(), "text/javascript")(scope, receive, send)
        elif path.startswith(BUNDLES):
            await _answer(scope)(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def change(self, scope: Scope, page: bytes, headers: MutableHeaders) -> bytes:
        text = without_iframe_script(page.decode())
        start, bundle = START.search(text), startup_bundle()
        if not start or bundle is None:
            return text.encode()
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
        return _compress(page, encoding)


def _names_content(scope: Scope) -> bool:
    """Whether the address of a file is another one when its content is."""
    query, name = scope["query_string"].decode(), scope["path"].removeprefix(ASSETS_PATH)
    if scope["path"].startswith(FFMPEG_PATH):
        return query == f"v={FFMPEG_VERSION}"
    return name not in lighter_versions() or query == f"v={lighter_versions()[name]}"


def _answer(scope: Scope) -> Response:
    if scope["path"] == ALIVE:
        return PlainTextResponse(SERVER, headers={"Cache-Control": "no-store"})
    if script := COMPONENT_SCRIPTS.get(scope["path"].removeprefix(BUNDLES)):
        return _compressed(scope, script.encode(), "text/javascript")
    bundle = startup_bundle()
    if bundle is None or scope["path"] != f"{BUNDLES}{bundle.digest}.json":
        return PlainTextResponse("Not found", 404)
    return _compressed(scope, bundle.content, "application/json", bundle.by_encoding)


def _compressed(
    scope: Scope, content: bytes, media_type: str, by_encoding: Mapping[str, bytes] | None = None
) -> Response:
    """Answer with a file that browsers keep, compressed now, or before: content by encoding."""
    headers = {"Cache-Control": KEPT, "Vary": "Accept-Encoding"}
    encoding = _encoding(scope)
    if encoding is not None:
        content = by_encoding[encoding] if by_encoding else _compress(content, encoding)
        headers["Content-Encoding"] = encoding
    return Response(content, headers=headers, media_type=media_type)


def _compress(content: bytes, encoding: str) -> bytes:
    return brotli.compress(content, quality=QUALITY) if encoding == "br" else gzip.compress(content)


def _encoding(scope: Scope) -> str | None:
    """The better encoding that the browser takes; browsers take Brotli over HTTPS and on their own machine alone."""
    accepted = re.split(r"[,\s;]+", Headers(scope=scope).get("accept-encoding", ""))
    return next((each for each in ("br", "gzip") if each in accepted), None)

"""Security headers of every response, among them the Content-Security-Policy."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256

from starlette.datastructures import MutableHeaders
from starlette.types import Scope

from mimicbrush.demo.held_pages import HeldPage

HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
FILE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; sandbox; frame-ancestors 'none'"
"""Policy of everything but pages: an uploaded SVG or HTML file that is opened by itself runs no script."""
WORKER_POLICY = "default-src 'none'; script-src 'self' blob: 'wasm-unsafe-eval'; connect-src blob:"
"""Policy of Gradio's scripts, of which one runs FFmpeg in a worker, where the page's own policy does not hold."""
PAGE_RULES = (
    "default-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "media-src 'self' blob:",
    "connect-src 'self' blob:",
    "object-src 'none'",
    "base-uri 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
)
INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)
NONCE = re.compile(rb'<script nonce="([\w-]+)"')


def page_policy(scripts: Iterable[bytes], nonces: Iterable[bytes] = ()) -> str:
    """Make the policy of a page with these inline scripts, and scripts with these nonces.

    Gradio's page has inline scripts with its configuration: they are allowed by their hashes, so that no other inline
    script runs. `unsafe-eval` is needed because Gradio compiles the script of the painter with `new Function`;
    `unsafe-inline` for styles, because its components carry style attributes. The script with a nonce adds others that
    it makes of files of the page: their import map, and blobs.
    """
    hashes = [f"'sha256-{b64encode(sha256(script).digest()).decode()}'" for script in scripts]
    hashes += [source for nonce in nonces for source in (f"'nonce-{nonce.decode()}'", "blob:")]
    return "; ".join((" ".join(("script-src 'self' 'unsafe-eval'", *hashes)), *PAGE_RULES))


class ResponseHeaders(HeldPage):
    """Adds the security headers; a page is held back until it is complete, because the policy names its scripts."""

    def holds(self, scope: Scope, status: int, headers: MutableHeaders) -> bool:
        headers.update(HEADERS)
        if super().holds(scope, status, headers) and not _is_file(scope):
            return True
        is_script = scope["path"].startswith("/assets/") and scope["path"].endswith(".js")
        headers["Content-Security-Policy"] = WORKER_POLICY if is_script else FILE_POLICY
        return False

    def change(self, scope: Scope, page: bytes, headers: MutableHeaders) -> bytes:
        headers["Content-Security-Policy"] = page_policy(INLINE_SCRIPT.findall(page), NONCE.findall(page))
        return page


def _is_file(scope: Scope) -> bool:
    """Whether the response is a file that a visitor may have uploaded."""
    return "/file" in scope["path"]

"""Refuse what a browser sends for pages of other sites: uploads, edits, embedded files. Links to the page work."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from mimicbrush.demo.protection.refusals import RefusedRequestError

OWN_SITES = ("same-origin", "none")
"""Values of Sec-Fetch-Site for requests of the page itself, and for addresses that a person entered."""


class SameOrigin:
    """Refuses requests of other sites with status 403, except for plain navigation to an address of the page.

    names: further host names of the page, such as that of a proxy, which may not be the Host that arrives here.
    Another program at the same host and another port is another site. Without both Origin and Sec-Fetch-Site, which
    every browser sends with a POST, the client is no browser that a foreign page could use.
    """

    def __init__(self, app: ASGIApp, *, names: Sequence[str]) -> None:
        self.app, self.names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            headers = Headers(scope=scope)
            if is_foreign(headers, self.names) and not _is_navigation(scope, headers):
                raise RefusedRequestError(
                    403,
                    "Forbidden: another site sent this request. Open the page at its own address; if a proxy gives it"
                    " another name, start it with --allowed_hosts.",
                )
        await self.app(scope, receive, send)


def is_foreign(headers: Headers, names: Sequence[str]) -> bool:
    """Whether Origin or Sec-Fetch-Site names another site than the Host header and `names`, or cannot be read."""
    if any(site not in OWN_SITES for site in headers.getlist("sec-fetch-site")):
        return True
    return any(not _is_own(origin, headers.get("host", ""), names) for origin in headers.getlist("origin"))


def _is_own(origin: str, host: str, names: Sequence[str]) -> bool:
    try:
        parts = urlsplit(origin.lower())
        name = parts.hostname or ""
    except ValueError:
        return False
    is_named = any(fnmatchcase(name, pattern.lower()) for pattern in names)
    return parts.scheme in ("http", "https") and name != "" and (parts.netloc == host.lower() or is_named)


def _is_navigation(scope: Scope, headers: Headers) -> bool:
    is_read = scope.get("method") in ("GET", "HEAD")
    return is_read and headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"

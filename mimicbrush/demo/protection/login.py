"""A password before the whole page.

Gradio has a login of its own, but several of its routes do not ask for it; this layer stands before all of them.
"""

from __future__ import annotations

import hmac
import time
from hashlib import sha256
from http import HTTPStatus
from importlib import resources
from secrets import token_urlsafe
from string import Template
from urllib.parse import parse_qs

from gradio.route_utils import API_PREFIX
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mimicbrush.demo.protection.client_limits import RateLimit, client_name
from mimicbrush.demo.protection.refusals import RefusedRequestError
from mimicbrush.demo.protection.request_bodies import read_body

LOGIN = "/login"
OPEN_PATHS = (f"{API_PREFIX}/startup-events",)
"""Paths without a login: Gradio itself asks for it when the page starts, and it tells nothing."""
SESSION_SECONDS = 24 * 3600
MAX_SESSIONS = 10_000
MAX_FORM = 4096
"""Largest size of the login form, in bytes."""
ATTEMPTS_PER_MINUTE = 10

FORM = Template((resources.files("mimicbrush") / "demo" / "protection" / "login.html").read_text(encoding="utf-8"))


class Login:
    """Shows a login page until a visitor has entered the password; other requests get status 401.

    A visitor who knows the password gets a random cookie, valid for a day, that scripts cannot read.
    """

    def __init__(self, app: ASGIApp, *, password: str, port: int) -> None:
        self.app = app
        self.password = _digest(password)
        self.cookie = f"mimicbrush-{port}"  # browsers share cookies between the ports of a host
        self.sessions: dict[str, float] = {}
        self.attempts = RateLimit(ATTEMPTS_PER_MINUTE, seconds=60)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] in OPEN_PATHS:
            await self.app(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == LOGIN:
            await (await self._answer(Request(scope, receive)))(scope, receive, send)
        elif self._is_known(HTTPConnection(scope)):
            await self.app(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == "/":
            await RedirectResponse(LOGIN, 303)(scope, receive, send)
        else:
            raise RefusedRequestError(401, f"Log in first, at {LOGIN}.")

    async def _answer(self, request: Request) -> Response:
        """Answer a request for the login page, or a password."""
        if request.method != "POST":
            return _form()
        if not self.attempts.allow(client_name(request.scope)):
            return _form("Too many attempts. Wait a minute, then try again.", HTTPStatus.TOO_MANY_REQUESTS)
        form = (await read_body(request, MAX_FORM)).decode(errors="replace")
        given = parse_qs(form).get("password", [""])[0].strip()
        if not hmac.compare_digest(_digest(given), self.password):
            return _form("This is not the password.", HTTPStatus.UNAUTHORIZED)
        answer = RedirectResponse("/", 303)
        is_secure = request.url.scheme == "https"
        answer.set_cookie(
            self.cookie, self._new_session(), max_age=SESSION_SECONDS, httponly=True, samesite="lax", secure=is_secure
        )
        return answer

    def _new_session(self) -> str:
        now = time.monotonic()
        valid = [(token, end) for token, end in self.sessions.items() if end > now][-MAX_SESSIONS + 1 :]
        token = token_urlsafe(32)
        self.sessions = {**dict(valid), token: now + SESSION_SECONDS}
        return token

    def _is_known(self, request: HTTPConnection) -> bool:
        return self.sessions.get(request.cookies.get(self.cookie, ""), 0.0) > time.monotonic()


def _digest(password: str) -> bytes:
    """Digests have one length, so that the time of a comparison does not tell that of the password."""
    return sha256(password.encode(errors="replace")).digest()


def _form(message: str = "", status: int = HTTPStatus.OK) -> HTMLResponse:
    return HTMLResponse(FORM.substitute(message=message), status, headers={"Cache-Control": "no-store"})

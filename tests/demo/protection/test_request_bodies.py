from __future__ import annotations

import asyncio
import threading

import pytest
from gradio import queueing, routes

from mimicbrush.demo.painter import PainterData, with_new
from mimicbrush.demo.protection.error_log import shorten_tracebacks
from mimicbrush.demo.protection.refusals import Refusals
from mimicbrush.demo.protection.request_bodies import MAX_BODY, RequestBodies


def post(app: object, body: bytes = b"{}", **headers: str) -> list[int]:
    """Statuses with which the filter in front of `app` answers."""
    statuses, messages = [], iter([{"type": "http.request", "body": body}])
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/gradio_api/queue/join",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }

    async def receive() -> dict:
        return next(messages)

    async def send(message: dict) -> None:
        statuses.append(message.get("status"))

    asyncio.run(Refusals(RequestBodies(app))(scope, receive, send))
    return [status for status in statuses if status]


async def answer_not(*_: object) -> None:
    raise AssertionError("was let through")


def test_a_body_of_too_large_content_length_is_not_read(monkeypatch):
    monkeypatch.setattr("starlette.requests.Request.stream", answer_not)
    assert post(answer_not, content_length=str(MAX_BODY + 1)) == [413]


def test_bodies_are_parsed_outside_the_event_loop(monkeypatch):
    threads = []

    def look(_: bytes) -> bool:
        threads.append(threading.current_thread())
        return True

    monkeypatch.setattr("mimicbrush.demo.protection.request_bodies.names_remote_file", look)
    assert post(answer_not) == [403] and threads != [threading.main_thread()]


@pytest.mark.parametrize("error", [KeyError("session_hash"), ValueError("x")])
def test_errors_of_gradio_for_forged_bodies_are_bad_requests(error, caplog):
    async def fail(*_: object) -> None:
        raise error

    assert post(fail) == [400] and "was refused" in caplog.text


def test_our_own_errors_of_any_class_keep_their_traceback(caplog):
    async def fail(*_: object) -> None:
        with_new(PainterData())  # a UserError, thus a ValueError

    assert post(fail) == [500] and "Traceback" in caplog.text and "with_new" in caplog.text


def test_everything_but_printing_uses_the_real_module():
    shorten_tracebacks()
    for module in (queueing, routes):
        assert "test_all_but_printing" in "".join(module.traceback.format_stack())

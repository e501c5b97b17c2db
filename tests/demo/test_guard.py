from __future__ import annotations

import asyncio
import threading

import pytest
from gradio import queueing, routes

from mimicbrush.demo.guard import MAX_BODY, Guard, tell_briefly
from mimicbrush.demo.painter import PainterData, with_new


def post(app: object, body: bytes = b"{}", **headers: str) -> list[int]:
    """Statuses that the guard answers with before `app`."""
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

    asyncio.run(Guard(app)(scope, receive, send))
    return [status for status in statuses if status]


async def answer_not(*_: object) -> None:
    raise AssertionError("was let through")


def test_what_says_that_it_is_too_large_is_not_read(monkeypatch):
    monkeypatch.setattr("starlette.requests.Request.stream", answer_not)
    assert post(answer_not, content_length=str(MAX_BODY + 1)) == [413]


def test_bodies_are_looked_at_beside_the_event_loop(monkeypatch):
    threads = []

    def look(_: bytes) -> bool:
        threads.append(threading.current_thread())
        return True

    monkeypatch.setattr("mimicbrush.demo.guard.names_remote_file", look)
    assert post(answer_not) == [403] and threads != [threading.main_thread()]


@pytest.mark.parametrize("error", [KeyError("session_hash"), ValueError("x")])
def test_what_gradio_raises_on_forged_bodies_is_a_bad_request(error, caplog):
    async def fail(*_: object) -> None:
        raise error

    assert post(fail) == [400] and "was refused" in caplog.text


def test_our_own_faults_keep_their_traceback_whatever_their_class(caplog):
    async def fail(*_: object) -> None:
        with_new(PainterData())  # a UserError, thus a ValueError

    assert post(fail) == [500] and "Traceback" in caplog.text and "with_new" in caplog.text


def test_all_but_printing_is_left_to_the_real_module():
    tell_briefly()
    for module in (queueing, routes):
        assert "test_all_but_printing" in "".join(module.traceback.format_stack())

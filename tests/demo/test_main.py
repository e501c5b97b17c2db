"""The page as a process: its start, and its end by signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from mimicbrush.demo.__main__ import COMMAND
from mimicbrush.demo.preconditions import announce
from tests.demo.conftest import free_port, send_picture, write_picture

SECONDS = 120
"""Timeout for a busy machine; a page that does not end fails the test."""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Start the page with its own folder for temporary files, and with signals as in a terminal."""
    (tmp_path / "temporary").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary"), "HF_HUB_OFFLINE": "1"}
    pages = []

    def start(*options: object) -> subprocess.Popen:
        # Ctrl-C is ignored if the tests themselves run in the background of a shell.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            command = [sys.executable, "-m", COMMAND.program.split()[-1], *map(str, options)]
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
            pages.append(subprocess.Popen(command, env=environment, **pipes))
        finally:
            signal.signal(signal.SIGINT, before)
        return pages[-1]

    yield start
    for page in pages:
        page.kill()
        page.communicate()


def ended(page: subprocess.Popen, number: int) -> tuple[int, str]:
    """Return the exit status and the output after the signal."""
    page.send_signal(number)
    errors = page.communicate(timeout=SECONDS)[1]
    return page.returncode, errors


def test_an_interrupt_while_libraries_load_ends_it_with_one_line(start):
    port = free_port()
    page = start("--port", port, "--device", "cpu")
    assert page.stdout.readline() == "loading asset:tiny on cpu; the address of the page follows\n"
    assert ended(page, signal.SIGINT) == (130, "stopped\n")


def test_loaded_weights_are_named_with_their_lora_file(config, tmp_path, capsys):
    (tmp_path / "lora.safetensors").touch()
    announce(config.__class__(weights="asset:tiny", lora=tmp_path / "lora.safetensors", port=free_port()))
    output = capsys.readouterr().out
    assert output.startswith(f"loading asset:tiny with {tmp_path / 'lora.safetensors'} on a GPU if there is one")


@pytest.mark.slow
def test_sigterm_during_an_edit_ends_the_page_and_deletes_uploads(start, tmp_path):
    port = free_port()
    page = start("--port", port, "--device", "cpu", "--limits.steps", 900)
    page.stdout.readline()
    assert page.stdout.readline() == f"http://127.0.0.1:{port}/ shows the page; Ctrl-C ends it\n"
    (folder,) = (tmp_path / "temporary").glob("mimicbrush-demo-*")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=SECONDS) as client:
        source, reference = (
            painted(send_picture(client, write_picture(tmp_path / f"{name}.png")).json()[0]) for name in ("s", "r")
        )
        source["strokes"] = [{"tool": "box", "points": [[20, 15], [40, 30]]}]
        # As the page does it: values of the controls in the order in which they were made.
        settings = [False, False, 1, 900, 2.0, False, 0, "together", False]
        for visitor in ("first", "second"):  # the second's edit waits
            join(client, "edit", [source, reference, None, None, None, None, *settings], visitor)
        with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": "first"}) as stream:
            output = next(line for line in stream.iter_lines() if "Step" in line)
            assert "of 900" in output and list(folder.rglob("*.png"))
            assert ended(page, signal.SIGTERM) == (143, "stopped by SIGTERM\n")
    assert not folder.exists()


def painted(path: str) -> dict:
    return {"picture": {"path": path, "meta": {"_type": "gradio.FileData"}}, "strokes": [], "size": [80, 60]}


def join(client: httpx.Client, name: str, data: list, visitor: str) -> None:
    functions = client.get("/config").json()["dependencies"]
    (number,) = (function["id"] for function in functions if function["api_name"] == name)
    event = {"data": data, "fn_index": number, "session_hash": visitor}
    assert client.post("/gradio_api/queue/join", json=event).status_code == 200

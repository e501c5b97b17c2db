"""A folder served over HTTP on this machine, with ranges of bytes, and with the faults that a test asks for."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

Answer = Callable[["Handler", bytes], None]


class Request(NamedTuple):
    """One request, as the server has seen it."""

    name: str
    range: tuple[int, int] | None
    """First byte and the byte after the last one."""
    query: str


class HttpFolder:
    """A folder at an address. `faults` answer the next requests for a file instead of the folder itself."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder
        self.address = address
        self.requests: list[Request] = []
        self.faults: dict[str, list[Answer]] = {}
        """By name of file; a fault is used once."""
        self.knows_ranges = True
        self.lists_folders = True
        self.delay = 0.0

    def bytes_of(self, suffix: str) -> int:
        """Bytes that were asked for by range in files of this suffix."""
        return sum(one.range[1] - one.range[0] for one in self.requests if one.name.endswith(suffix) and one.range)


class Handler(BaseHTTPRequestHandler):
    """Answers with whole files and ranges of them."""

    protocol_version = "HTTP/1.1"
    wbufsize = 2**16  # headers and body leave together: the body would otherwise wait for an acknowledgement

    def do_GET(self) -> None:
        served: HttpFolder = self.server.served
        url = urlsplit(self.path)
        path = served.folder / unquote(url.path).lstrip("/")
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")) if served.knows_ranges else None
        first, last = (int(found[1]), int(found[2]) + 1) if found else (0, None)
        served.requests.append(Request(path.name, (first, last) if found else None, url.query))
        time.sleep(served.delay)
        if path.is_dir() and served.lists_folders:
            links = "".join(f'<a href="{each.name}">{each.name}</a>' for each in sorted(path.iterdir()))
            return self.send_content(links.encode(), 200, kind="text/html")
        if not path.is_file():
            return self.send_status(404)
        with path.open("rb") as file:
            file.seek(first)
            content = file.read() if last is None else file.read(last - first)
        if served.faults.get(path.name):
            return served.faults[path.name].pop(0)(self, content)
        if found and not content:
            return self.send_status(416)
        return self.send_content(content, 206 if found else 200)

    def send_status(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_content(self, content: bytes, status: int = 206, kind: str = "application/octet-stream") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    """Connections that wait; with the usual five, many at once are refused, and tried again a second later."""


def status(number: int) -> Answer:
    """Answer with this status."""
    return lambda handler, content: handler.send_status(number)


def cut_off(handler: Handler, content: bytes) -> None:
    """Promise all bytes, send half of them, and close the connection."""
    handler.send_response(206)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[: len(content) // 2])
    handler.wfile.flush()
    handler.connection.shutdown(2)
    handler.close_connection = True


def send_short(handler: Handler, content: bytes) -> None:
    """Answer with fewer bytes than asked for, as if these were all."""
    handler.send_content(content[:-1])


def send_garbled(handler: Handler, content: bytes) -> None:
    """Answer with one other byte, in the middle."""
    middle = len(content) // 2
    handler.send_content(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])


@contextmanager
def served_folder(folder: Path) -> Iterator[HttpFolder]:
    """Serve a folder while the block runs."""
    server = Server(("127.0.0.1", 0), Handler)
    server.served = HttpFolder(folder, f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.served
    finally:
        server.shutdown()
        server.server_close()

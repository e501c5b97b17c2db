"""A stand-in for the Hugging Face hub on this machine: the requests of an upload, answered from memory."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

BINARY = (".safetensors", ".tar")
"""Suffixes of files that go through LFS, as they do on the hub."""


class HubStandIn:
    """The repositories that were made, with the files of their commits."""

    def __init__(self) -> None:
        self.created: list[dict] = []
        self.files: dict[str, dict[str, bytes]] = {}
        self.objects: dict[str, bytes] = {}
        self.refusal: int | None = None
        """Status with which every request is refused."""
        self.address = ""


def _answer(hub: HubStandIn, path: str, body: bytes) -> dict:
    """Answer a POST of the hub's API as huggingface_hub expects it."""
    if path == "/api/repos/create":
        asked = json.loads(body)
        hub.created.append(asked)
        name = f"{asked['organization']}/{asked['name']}"
        hub.files.setdefault(name, {})
        prefix = "datasets/" if asked.get("type") == "dataset" else ""
        return {"url": f"{hub.address}/{prefix}{name}", "name": name}
    if path == "/api/validate-yaml":  # of a card's metadata, before it is uploaded
        return {"errors": [], "warnings": []}
    if path.endswith("/info/lfs/objects/batch"):
        objects = [
            {**each, "actions": {"upload": {"href": f"{hub.address}/objects/{each['oid']}"}}}
            for each in json.loads(body)["objects"]
        ]
        return {"transfer": "basic", "objects": objects}
    if "/preupload/" in path:
        files = [each["path"] for each in json.loads(body)["files"]]
        modes = {name: "lfs" if name.endswith(BINARY) else "regular" for name in files}
        return {"files": [{"path": name, "uploadMode": mode, "shouldIgnore": False} for name, mode in modes.items()]}
    name = "/".join(path.split("/")[3:5])
    for entry in map(json.loads, body.splitlines()):
        value = entry["value"]
        if entry["key"] == "file":
            hub.files[name][value["path"]] = base64.b64decode(value["content"])
        elif entry["key"] == "lfsFile":
            hub.files[name][value["path"]] = hub.objects[value["oid"]]
    return {"success": True, "commitOid": "0" * 40, "commitUrl": f"{hub.address}/{name}/commit/{'0' * 40}"}


def _handler(hub: HubStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def _send(self, content: dict, status: int = 200) -> None:
            encoded = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        def do_POST(self) -> None:
            body = self._body()
            if hub.refusal:
                self._send({"error": "refused by the stand-in"}, hub.refusal)
            else:
                self._send(_answer(hub, self.path.partition("?")[0], body))

        def do_PUT(self) -> None:
            hub.objects[self.path.rpartition("/")[2]] = self._body()
            self._send({})

        def do_GET(self) -> None:
            self._send({"error": "not found"}, 404)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def running_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStandIn]:
    """Run a stand-in on the loopback, to which huggingface_hub sends everything."""
    hub = HubStandIn()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    for name, value in {"ENDPOINT": hub.address, "HF_HUB_OFFLINE": False, "HF_HUB_DISABLE_XET": True}.items():
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
    monkeypatch.setenv("HF_TOKEN", "hf_standin")
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()

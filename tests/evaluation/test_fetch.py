"""Weights fetched from a hub and a file server on this machine, which speak as the real ones do."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from transformers import ViTModel

from mimicbrush.bench.metric_networks import write_dino, write_features
from mimicbrush.errors import UserError
from mimicbrush.evaluation.config import FetchConfig, ModelsConfig
from mimicbrush.evaluation.fetch_weights import fetch_weights
from mimicbrush.evaluation.metrics.models import Models

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """The hub's answers about one repository, and plain files under /files."""

    root: Path
    asked: list[str]

    def do_HEAD(self) -> None:
        self.do_GET(with_body=False)

    def do_GET(self, *, with_body: bool = True) -> None:
        path = self.path.partition("?")[0]
        self.asked.append(path)
        repository = self.root / "someone" / "dino"
        if path in ("/", "/api/models/someone/dino/revision/main"):
            siblings = [{"rfilename": file.name} for file in sorted(repository.glob("*"))]
            body = json.dumps({"id": "someone/dino", "sha": COMMIT, "siblings": siblings}).encode()
        elif path.startswith("/api/models/someone/dino/tree/"):
            files = sorted(repository.iterdir())
            body = json.dumps(
                [{"type": "file", "path": file.name, "size": file.stat().st_size, "oid": _etag(file)} for file in files]
            ).encode()
        elif (file := self.root / path.lstrip("/").replace(f"resolve/{COMMIT}/", "")).is_file():
            body = file.read_bytes()
            return self._answer(200, body, with_body, ETag=f'"{_etag(file)}"')
        else:
            return self._answer(404, b"", with_body)
        return self._answer(200, body, with_body)

    def log_message(self, *args: object) -> None:
        """Nothing on the terminal."""

    def _answer(self, status: int, body: bytes, with_body: bool, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "X-Repo-Commit": COMMIT, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)


def _etag(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Iterator[type[Hub]]:
    """A running hub, and empty caches."""
    handler = type("OneHub", (Hub,), {"root": tmp_path / "served", "asked": []})
    (handler.root / "files").mkdir(parents=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    handler.url = f"http://127.0.0.1:{server.server_port}"
    _point_to(handler.url, monkeypatch)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    yield handler
    server.shutdown()
    server.server_close()


def _point_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


def free_url() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def dino_from_hub() -> FetchConfig:
    return FetchConfig(models=("dino",), sources=ModelsConfig(dino="someone/dino"))


def test_repository_is_fetched_once_and_then_found(hub, capsys):
    write_dino(hub.root / "someone" / "dino", "tiny")
    fetch_weights(dino_from_hub())
    models = Models(dino_from_hub().sources, device="cpu")
    assert models.missing(["dino"]) == {} and models.load("dino")
    first = capsys.readouterr().out
    assert (
        first.startswith("dino: DINO ViT of width 32/16 (someone/dino, ") and f"fetched: {models.find('dino')}" in first
    )
    hub.asked.clear()
    fetch_weights(dino_from_hub())
    assert "already here" in capsys.readouterr().out and not hub.asked


def test_old_weights_are_fetched_where_there_are_no_safetensors(hub):
    folder = hub.root / "someone" / "dino"
    write_dino(folder, "tiny")
    torch.save(ViTModel.from_pretrained(folder).state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    fetch_weights(dino_from_hub())
    assert Models(dino_from_hub().sources, device="cpu").load("dino")


def test_file_is_fetched_by_its_url_and_checked(hub, capsys):
    path = write_features(hub.root / "files", "alexnet")
    sources = ModelsConfig(alexnet=f"{hub.url}/files/{path.name}")
    fetch_weights(FetchConfig(models=("alexnet",), sources=sources))
    assert Models(sources, device="cpu").load("alexnet")
    assert f"checkpoints/{path.name}" in capsys.readouterr().out


def test_file_with_another_hash_is_not_kept(hub):
    path = write_features(hub.root / "files", "alexnet")
    shutil.copy(path, path.with_name("alexnet-00000000.pth"))
    sources = ModelsConfig(alexnet=f"{hub.url}/files/alexnet-00000000.pth")
    with pytest.raises(UserError, match=r"alexnet: http.* cannot be fetched \(invalid hash value"):
        fetch_weights(FetchConfig(models=("alexnet",), sources=sources))
    assert "is not on this machine" in Models(sources).missing(["alexnet"])["alexnet"]


def test_what_cannot_be_had_is_named_after_the_rest_is_fetched(hub, capsys):
    path = write_features(hub.root / "files", "alexnet")
    sources = ModelsConfig(dino="someone/unknown", alexnet=f"{hub.url}/files/{path.name}", vgg16=f"{hub.url}/none.pth")
    with pytest.raises(UserError) as caught:
        fetch_weights(FetchConfig(models=("dino", "vgg16", "alexnet"), sources=sources))
    message = str(caught.value)
    assert "dino: someone/unknown cannot be fetched" in message
    assert f"vgg16: {hub.url}/none.pth cannot be fetched (Not Found); copy the file to" in message
    assert capsys.readouterr().out.startswith("alexnet: ")


def test_unreachable_hub_is_one_quick_sentence_for_all(hub, monkeypatch):
    url = free_url()
    _point_to(url, monkeypatch)
    started = time.perf_counter()
    with pytest.raises(UserError) as caught:
        fetch_weights(FetchConfig(models=("dino", "clip")))
    assert time.perf_counter() - started < 5
    assert str(caught.value) == (
        f"dino, clip: {url} cannot be reached (ConnectError); go online, or copy the repository's files to this machine"
        " and give their folder"
    )


def test_offline_mode_is_respected(hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="dino: HF_HUB_OFFLINE is set, which forbids downloads"):
        fetch_weights(dino_from_hub())
    assert not hub.asked


def test_path_that_is_not_there_is_not_fetched(hub, tmp_path):
    with pytest.raises(UserError, match=r"dino: .*none: no folder with a config\.json; correct models\.dino"):
        fetch_weights(FetchConfig(models=("dino",), sources=ModelsConfig(dino=str(tmp_path / "none"))))


def test_unknown_network_is_refused():
    with pytest.raises(ValueError, match="models: lpips: not known; choose from dino, dinov2, clip, alexnet"):
        FetchConfig(models=("lpips",))

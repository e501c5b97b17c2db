from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from mimicbrush.demo.config import DemoConfig, Limits
from mimicbrush.demo.page import build_page
from mimicbrush.demo.server import check_port, launch
from mimicbrush.demo.studio import Studio
from mimicbrush.demo.tabs import TABS, Tab
from mimicbrush.demo.workspace import Workspace
from mimicbrush.errors import UserError
from mimicbrush.requests import ReferenceRequest, TextRequest
from tests.demo.conftest import free_port, write_picture


@pytest.fixture
def client(studio: Studio, config: DemoConfig, workspace: Workspace) -> Iterator[httpx.Client]:
    config = replace(config, port=free_port(), limits=Limits(upload_mb=1))
    page = build_page({ReferenceRequest: studio}, config, workspace)
    url = launch(page, config)
    with httpx.Client(base_url=url, trust_env=False) as client:
        yield client
    page.close()


def upload(client: httpx.Client, path: Path) -> httpx.Response:
    return client.post("/gradio_api/upload", files={"files": (path.name, path.read_bytes())})


def test_no_file_but_the_pages_own_is_served(client, workspace, tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    made = workspace.folder() / "secret.txt"
    made.write_text("secret")
    (uploaded,) = upload(client, write_picture(tmp_path / "p.png")).json()
    assert client.get(f"/gradio_api/file={uploaded}").content == (tmp_path / "p.png").read_bytes()
    served = workspace.served
    for path in (
        tmp_path / "secret.txt",
        made,
        "/etc/passwd",
        "pyproject.toml",
        Path("pyproject.toml").absolute(),
        f"{served}/../made/{made.parent.name}/secret.txt",
        f"{served}/%2e%2e/%2e%2e/secret.txt",
        "..%2f..%2fetc%2fpasswd",
        "file:///etc/passwd",
        "https://example.org/",
        "//example.org/",
        served,
    ):
        response = client.get(f"/gradio_api/file={path}")
        assert response.status_code in (403, 404), path
    for path in ("/static/../../../../etc/passwd", "/assets/%2e%2e/%2e%2e/app.py", "/gradio_api/proxy=https://a.org/"):
        assert client.get(path).status_code in (403, 404), path


def test_a_forged_path_is_not_taken_for_an_upload(client, workspace, tmp_path):
    stolen = write_picture(tmp_path / "stolen.png")
    (uploaded,) = upload(client, stolen).json()
    for path, meta, is_taken in (
        (uploaded, {"_type": "gradio.FileData"}, True),
        (str(stolen), {"_type": "gradio.FileData"}, False),
        (str(stolen), None, False),
        (f"{workspace.served}/../../stolen.png", {"_type": "gradio.FileData"}, False),
    ):
        value = {"new_picture": {"path": path, "meta": meta}, "strokes": []}
        answer = call(client, "look_at_source", value)
        assert ("picture.png" in answer) == is_taken, answer


def call(client: httpx.Client, name: str, *data: object) -> str:
    """What the server sends back for an event of the page."""
    functions = client.get("/config").json()["dependencies"]
    (number,) = (function["id"] for function in functions if function["api_name"] == name)
    joined = client.post("/gradio_api/queue/join", json={"data": data, "fn_index": number, "session_hash": "s"})
    assert joined.status_code == 200
    with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": "s"}, timeout=60) as stream:
        return "".join(stream.iter_text())


def test_too_large_an_upload_is_refused(client, tmp_path):
    (tmp_path / "large.png").write_bytes(b"0" * 1_100_000)
    assert upload(client, tmp_path / "large.png").status_code == 413


def test_the_page_names_no_other_machine(client):
    config = client.get("/config").json()
    assert not config["analytics_enabled"] and not config.get("is_space")
    html = client.get("/").text
    for tag in ("<script", "<link"):
        for piece in html.split(tag)[1:]:
            assert "https://" not in piece.split(">")[0], piece[:200]
    assert "https://" not in client.get("/theme.css").text


def test_a_port_in_use_is_told_before_anything_is_loaded(config):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"cannot listen at 127\.0\.0\.1:{port} .*; choose another --port"):
            check_port(replace(config, port=port))
    with pytest.raises(UserError, match=r"cannot listen at 192\.0\.2\.1"):
        check_port(replace(config, host="192.0.2.1"))


def test_it_listens_to_this_machine_unless_told_otherwise():
    assert DemoConfig().host == "127.0.0.1"
    with pytest.raises(ValueError, match="port is 0"):
        DemoConfig(port=0)
    with pytest.raises(ValueError, match=r"limits\.megapixels is 0"):
        Limits(megapixels=0)
    with pytest.raises(ValueError, match=r"num_inference_steps is 20, expected 1 to limits\.steps = 5"):
        DemoConfig(limits=Limits(steps=5))


def test_an_editor_guided_by_something_else_gets_its_own_tab(studio, config, workspace, monkeypatch):
    built = []
    monkeypatch.setitem(TABS, TextRequest, Tab("After a sentence", lambda *given: built.append(given)))
    page = build_page({ReferenceRequest: studio, TextRequest: studio}, config, workspace)
    titles = [block["props"]["label"] for block in page.get_config_file()["components"] if block["type"] == "tabitem"]
    assert titles == ["After a reference", "After a sentence"] and built == [(studio, config, workspace)]

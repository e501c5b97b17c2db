from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from starlette.responses import PlainTextResponse

from mimicbrush.demo.config import DemoConfig, Limits
from mimicbrush.demo.page import build_page
from mimicbrush.demo.preconditions import check_port
from mimicbrush.demo.shared_editor import SharedEditor
from mimicbrush.demo.tabs import TABS
from mimicbrush.demo.temporary_folders import TemporaryFolders
from mimicbrush.errors import UserError
from mimicbrush.pipeline import MimicBrushPipeline
from mimicbrush.requests import ReferenceRequest, TextRequest
from tests.demo.conftest import call, send_picture, serve_page, write_picture


@pytest.fixture(scope="module")
def config(weights: Path) -> DemoConfig:
    limits = Limits(upload_mb=1)
    return DemoConfig(weights=str(weights), device="cpu", limits=limits, allowed_hosts=["page.example.org"])


@pytest.fixture(scope="module")
def editor(pipe: MimicBrushPipeline, config: DemoConfig) -> SharedEditor:
    return SharedEditor(pipe, config.limits)


@pytest.fixture(scope="module")
def client(editor: SharedEditor, config: DemoConfig, served_folders: TemporaryFolders) -> Iterator[httpx.Client]:
    """Connection to one server for all tests of this file."""
    with serve_page(editor, config, served_folders) as client:
        yield client


def test_only_the_pages_own_files_are_served(client, served_folders, tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    made = served_folders.new_folder() / "secret.txt"
    made.write_text("secret")
    (uploaded,) = send_picture(client, write_picture(tmp_path / "p.png")).json()
    assert client.get(f"/gradio_api/file={uploaded}").content == (tmp_path / "p.png").read_bytes()
    served = served_folders.served
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


def test_a_forged_path_is_not_taken_for_an_upload(client, served_folders, tmp_path):
    stolen = write_picture(tmp_path / "stolen.png")
    (uploaded,) = send_picture(client, stolen).json()
    for path, meta, is_taken in (
        (uploaded, {"_type": "gradio.FileData"}, True),
        (str(stolen), {"_type": "gradio.FileData"}, False),
        (str(stolen), None, False),
        (f"{served_folders.served}/../../stolen.png", {"_type": "gradio.FileData"}, False),
    ):
        value = {"new_picture": {"path": path, "meta": meta}, "strokes": []}
        answer = call(client, "check_source", value)
        assert ("picture.webp" in answer) == is_taken, answer


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:{port}", 200),
        ("localhost:{port}", 200),
        ("LOCALHOST", 200),
        ("[::1]:{port}", 200),
        ("page.example.org:81", 200),
        ("evil.example.com:{port}", 400),
        ("127.0.0.1.evil.example.com", 400),
        ("[::2]:{port}", 400),
        ("", 400),
    ],
)
def test_only_allowed_host_names_are_answered(client, host, status):
    headers = {"Host": host.format(port=client.base_url.port)}
    for method, path in (("GET", "/"), ("GET", "/config"), ("POST", "/gradio_api/upload")):
        answer = client.request(method, path, headers=headers)
        assert (answer.status_code == 400 and "host" in answer.text) == (status == 400), answer.text


def test_names_follow_from_the_address():
    assert DemoConfig(host="0.0.0.0", open=True).names == DemoConfig(host="::", open=True).names == ["*"]
    assert "*" not in DemoConfig(host="0.0.0.0", open=True, allowed_hosts=["a.org"]).names
    assert "192.0.2.7" in DemoConfig(host="192.0.2.7", open=True).names
    assert "[fe80::1]" in DemoConfig(host="fe80::1", open=True).names
    for name in ("a.org:80", "a.*", "*a.org", "https://a.org", ""):
        with pytest.raises(ValueError, match="expected a name or address without a port"):
            DemoConfig(allowed_hosts=[name])


@pytest.mark.parametrize("path", ["http://example.org/a.png", "https://example.org/a.png", "HTTPS://example.org/a.png"])
def test_a_file_of_another_machine_is_refused_before_it_is_fetched(client, path, monkeypatch, caplog):
    fetched = []
    monkeypatch.setattr(
        "gradio.processing_utils.async_ssrf_protected_download", lambda *given, **_: fetched.append(given)
    )
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    for data in ([{"new_picture": file}], [file], [{"deep": [[file]]}]):
        for where in ("queue/join", "run/check_source", "call/check_source"):
            answer = client.post(f"/gradio_api/{where}", json={"data": data, "fn_index": 0, "session_hash": "s"})
            assert answer.status_code == 403
    assert not fetched and "names a file of another machine" in caplog.text


@pytest.mark.parametrize("route", ["file=", "file/"])
@pytest.mark.parametrize("scheme", ["http:", "https:", "HTTPS:", "%68ttp:", "http%3A", "%20http:"])
def test_no_route_to_files_fetches_one_of_another_machine(client, route, scheme, monkeypatch):
    fetched = []

    async def fetch(url: str, _: object) -> PlainTextResponse:
        fetched.append(url)
        return PlainTextResponse("fetched")

    monkeypatch.setattr("gradio.routes.secure_url_stream_response", fetch)
    for method in ("GET", "HEAD"):
        assert client.request(method, f"/gradio_api/{route}{scheme}//example.org/a.png").status_code == 403
    assert not fetched


def test_an_invalid_request_is_one_line_in_the_log(client, caplog, capfd):
    join = "/gradio_api/queue/join"
    for path, body in (
        (join, {"data": [], "fn_index": 9999, "session_hash": "s"}),
        ("/gradio_api/run/nonsense", {"data": []}),
        ("/gradio_api/call/v2/nonsense", {}),
        ("/gradio_api/component_server", {"data": 1, "component_id": 9999, "fn_name": "x", "session_hash": "s"}),
    ):
        assert client.post(path, json=body).status_code == 400
    for data in ([], ["x"], [{"picture": {"path": "x", "meta": None}}], [{"strokes": [{"tool": "bucket"}]}]):
        assert '"success":false' in call(client, "check_source", *data)
    assert client.post(join, content=b"{{{").status_code == 422
    assert client.post("/gradio_api/upload", content=b"nothing").status_code == 400
    assert client.get("/").status_code == 200
    logged = caplog.text + "".join(capfd.readouterr())
    assert "Traceback" not in logged and logged.count("was refused: ") == 8
    assert all(record.getMessage().isprintable() for record in caplog.records)


def test_a_visitor_cannot_forge_lines_of_the_log(client, caplog):
    forged = "%0aFAKE%0d%1b%5b31m"
    remote = {"path": "http://example.org/a.png"}
    assert client.post(f"/{forged}", json=remote).status_code == 403
    assert client.post(f"/gradio_api/run/{forged}", json={"data": []}).status_code == 400
    assert client.post(f"/gradio_api/run/FAKE%0d%1b%5b31m{forged}", json={"data": []}).status_code == 400
    logged = [record.getMessage() for record in caplog.records if "FAKE" in record.getMessage()]
    assert len(logged) == 3 and all(map(str.isprintable, logged)), logged


@pytest.mark.parametrize("forged", [999, -1, "x", 1.0, None])
def test_a_picture_that_does_not_exist_is_reported_in_a_sentence(client, forged, caplog, capfd):
    for name, data in (("load_example", []), ("choose", [None])):
        assert "There is no such picture" in call(client, name, *data, event_data={"index": forged, "value": None})
    assert "Traceback" not in caplog.text + "".join(capfd.readouterr())


def test_a_full_disk_is_a_server_error(client, tmp_path, monkeypatch, caplog):
    async def fail(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("gradio.routes.upload_fn", fail)
    assert send_picture(client, write_picture(tmp_path / "p.png")).status_code == 500
    assert "Traceback" in caplog.text and "No space left" in caplog.text


def test_our_own_errors_keep_their_traceback(client, editor, monkeypatch, capfd):
    monkeypatch.setattr(editor, "stop", lambda *_: 1 / 0)
    call(client, "stop")
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_an_endless_body_is_refused(client, monkeypatch):
    monkeypatch.setattr("mimicbrush.demo.protection.request_bodies.MAX_BODY", 1000)
    for body in (
        {"json": {"data": ["x" * 1000], "fn_index": 0, "session_hash": "s"}},
        {"content": iter([b"x" * 600] * 2)},
    ):
        assert client.post("/gradio_api/queue/join", **body).status_code == 413
    assert client.post("/gradio_api/upload", files={"files": ("a.png", b"x" * 1000)}).status_code == 200


def test_too_large_an_upload_is_refused(client, tmp_path):
    (tmp_path / "large.png").write_bytes(b"0" * 1_100_000)
    assert send_picture(client, tmp_path / "large.png").status_code == 413


def test_the_page_links_to_no_other_machine(client):
    config = client.get("/config").json()
    assert not config["analytics_enabled"] and not config.get("is_space")
    html = client.get("/").text
    for tag in ("<script", "<link"):
        for piece in html.split(tag)[1:]:
            assert "https://" not in piece.split(">")[0], piece[:200]
    assert "https://" not in client.get("/theme.css").text


def test_a_port_in_use_is_reported_before_anything_is_loaded(config):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"cannot listen at 127\.0\.0\.1:{port} .*; choose another --port"):
            check_port(replace(config, port=port))
    with pytest.raises(UserError, match=r"cannot listen at 192\.0\.2\.1"):
        check_port(replace(config, host="192.0.2.1", open=True))


def test_it_only_listens_to_this_machine_by_default():
    assert DemoConfig().host == "127.0.0.1"
    with pytest.raises(ValueError, match="port is 0"):
        DemoConfig(port=0)
    with pytest.raises(ValueError, match=r"limits\.megapixels is 0"):
        Limits(megapixels=0)
    with pytest.raises(ValueError, match=r"num_inference_steps is 20, expected 1 to limits\.steps = 5"):
        DemoConfig(num_inference_steps=20, limits=Limits(steps=5))


def test_an_editor_guided_by_something_else_gets_its_own_tab(editor, config, served_folders, monkeypatch):
    built = []
    monkeypatch.setitem(TABS, TextRequest, TABS[TextRequest]._replace(build=lambda *given: built.append(given)))
    page = build_page({ReferenceRequest: editor, TextRequest: editor}, config, served_folders)
    titles = [block["props"]["label"] for block in page.get_config_file()["components"] if block["type"] == "tabitem"]
    assert titles == ["From a reference", "From a text prompt"] and built == [(editor, config, served_folders)]

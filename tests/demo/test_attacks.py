"""Attacks on a running page: each is refused, and the page goes on to answer others."""

from __future__ import annotations

import asyncio
import io
import json
import pickle
import re
import socket
import struct
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from gradio.queueing import Queue

from mimicbrush.demo import server
from mimicbrush.demo.config import DemoConfig, Limits
from mimicbrush.demo.protection import refusals
from mimicbrush.demo.shared_editor import SharedEditor
from mimicbrush.demo.temporary_folders import TemporaryFolders
from mimicbrush.pipeline import MimicBrushPipeline
from tests.demo.conftest import call, make_folders, send_picture, serve_page, write_picture

EVIL = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
NAVIGATION = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporaryFolders]:
    with make_folders(tmp_path_factory.mktemp("workspace")) as folders:
        yield folders


@pytest.fixture(scope="module")
def client(pipe: MimicBrushPipeline, weights: Path, folders: TemporaryFolders) -> Iterator[httpx.Client]:
    """A page that is open to everybody, with small limits."""
    limits = Limits(upload_mb=1, uploads_per_minute=1000)
    config = DemoConfig(weights=str(weights), device="cpu", limits=limits, allowed_hosts=["mimic.example.org"])
    with serve_page(SharedEditor(pipe, limits), config, folders) as client:
        yield client


# --- requests of other sites ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers", [EVIL, {"Origin": "null"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://127.0.0.1:1"}]
)
def test_other_sites_change_nothing(client, tmp_path, folders, headers):
    picture = write_picture(tmp_path / "p.png")
    before = sorted(folders.served.rglob("*"))
    assert send_picture(client, picture, headers=headers).status_code == 403
    for path in ("queue/join", "run/check_source", "call/check_source", "cancel", "reset", "component_server"):
        assert client.post(f"/gradio_api/{path}", json={"data": []}, headers=headers).status_code == 403, path
    for method in ("PUT", "DELETE", "PATCH", "POST"):
        assert client.request(method, "/", headers=headers).status_code == 403, method
    assert sorted(folders.served.rglob("*")) == before


def test_a_link_on_another_site_opens_the_page_but_its_pages_embed_nothing(client):
    assert client.get("/", headers=NAVIGATION).status_code == 200
    for headers in (EVIL, {**NAVIGATION, "Sec-Fetch-Dest": "iframe"}, {"Sec-Fetch-Site": "cross-site"}):
        assert client.get("/", headers=headers).status_code == 403
    assert client.post("/", headers=NAVIGATION).status_code == 403


def test_questions_before_a_request_are_answered_by_the_same_rules(client):
    answer = client.options("/gradio_api/upload", headers={**EVIL, "Access-Control-Request-Method": "POST"})
    assert answer.status_code == 403 and not any("access-control" in name for name in answer.headers)
    address = client.base_url.host, client.base_url.port
    with socket.create_connection(address, timeout=30) as nameless:
        nameless.sendall(b"GET / HTTP/1.0\r\nOrigin: https://evil.example\r\n\r\n")
        answer = b"".join(iter(lambda: nameless.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 400") and b"x-frame-options: DENY" in answer


def test_the_page_itself_and_clients_without_a_browser_are_served(client, tmp_path):
    picture = write_picture(tmp_path / "p.png")
    own = {"Origin": str(client.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    assert send_picture(client, picture, headers=own).status_code == 200
    assert send_picture(client, picture).status_code == 200


def test_a_page_behind_a_proxy_knows_its_other_name(client, tmp_path):
    proxied = {"Origin": "https://mimic.example.org", "Sec-Fetch-Site": "same-origin"}
    assert send_picture(client, write_picture(tmp_path / "p.png"), headers=proxied).status_code == 200


# --- response headers ----------------------------------------------------------------------------------------------


def test_every_answer_carries_the_security_headers(client, tmp_path):
    (uploaded,) = send_picture(client, write_picture(tmp_path / "p.png")).json()
    answers = [client.get(path) for path in ("/", "/config", "/theme.css", f"/gradio_api/file={uploaded}", "/nothing")]
    answers += [client.get("/", headers=EVIL), client.get("/", headers={"Host": "evil.example"})]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 404, 403, 400]
    for answer in answers:
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert "access-control-allow-origin" not in answer.headers


def test_an_uploaded_page_runs_no_script(client, tmp_path):
    for name in ("page.svg", "page.html", "page.xml"):
        (tmp_path / name).write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
        (uploaded,) = send_picture(client, tmp_path / name).json()
        answer = client.get(f"/gradio_api/file={uploaded}")
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "sandbox" in policy and "script-src" not in policy


def test_the_page_names_every_inline_script_that_it_has(client):
    answer = client.get("/")
    (rule,) = re.findall(r"script-src ([^;]*)", answer.headers["Content-Security-Policy"])
    num_scripts = len(re.findall(r"<script(?![^>]*\ssrc=)", answer.text))
    assert rule.count("sha256-") == num_scripts > 0 and "unsafe-inline" not in rule


# --- quotas --------------------------------------------------------------------------------------------------------


def test_quotas_hold_for_each_client_and_for_the_workspace(pipe, weights, tmp_path):
    (tmp_path / "workspace").mkdir()
    limits = Limits(upload_mb=1, client_mb=2, workspace_mb=1, uploads_per_minute=7)
    config = DemoConfig(weights=str(weights), device="cpu", limits=limits, allowed_hosts=["proxy.example.org"])
    with (
        make_folders(tmp_path / "workspace", max_bytes=1e6) as folders,
        serve_page(SharedEditor(pipe, config.limits), config, folders) as client,
    ):
        permanent = set(folders.served.rglob("*"))
        answers = []
        for number in range(7):
            (tmp_path / "half.png").write_bytes(bytes([number]) * 450_000)
            answers.append(send_picture(client, tmp_path / "half.png", headers={"X-Forwarded-For": "192.0.2.1"}))
        assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 3
        assert "More" not in answers[4].text and "2 MB within an hour" in answers[4].text
        assert not Path(answers[0].json()[0]).exists() and Path(answers[3].json()[0]).exists()
        files = [path for path in folders.served.rglob("*") if path.is_file() and path not in permanent]
        assert sum(path.stat().st_size for path in files) < 1e6
        assert all(path.exists() for path in permanent)
        assert (
            "7 uploads within a minute"
            in send_picture(client, tmp_path / "half.png", headers={"X-Forwarded-For": "192.0.2.1"}).text
        )
        other = send_picture(client, tmp_path / "half.png", headers={"X-Forwarded-For": "192.0.2.2"})
        assert other.status_code == 200


def test_an_upload_holds_one_file_and_nothing_else(client, folders):
    before = sorted(folders.served.iterdir())
    several = [("files", (f"{number}.png", b"x")) for number in range(2)]
    assert client.post("/gradio_api/upload", files=several).status_code == 400
    field = {"text": (None, b"x" * 100_000)}
    assert client.post("/gradio_api/upload", files=field).status_code == 400
    assert sorted(folders.served.iterdir()) == before


@pytest.mark.parametrize("path", ["process_recording", "component_server"])
def test_files_are_accepted_nowhere_else(client, tmp_path, monkeypatch, path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for kind in ("multipart/form-data", "Multipart/Form-Data"):
        headers = {"Content-Type": f"{kind}; boundary=x"}
        body = b'--x\r\nContent-Disposition: form-data; name="video"; filename="a.mp4"\r\n\r\nx\r\n--x--\r\n'
        assert client.post(f"/gradio_api/{path}", content=body, headers=headers).status_code == 415
    assert not list(tmp_path.iterdir())


def test_events_beyond_a_number_are_refused(client, monkeypatch):
    monkeypatch.setattr(Queue, "__len__", lambda _: server.MAX_EVENTS)
    event = {"data": [None], "fn_index": 0, "session_hash": "s"}
    assert client.post("/gradio_api/queue/join", json=event).status_code == 503


def test_a_visitor_writes_short_lines_into_the_log(client, caplog):
    assert client.get(f"/{'a' * 50_000}%0Aforged", headers=EVIL).status_code == 403
    (message,) = caplog.messages
    assert len(message) < 600 and "\n" not in message


def test_a_picture_that_was_deleted_to_make_room_is_reported_in_a_sentence(client, tmp_path):
    (uploaded,) = send_picture(client, write_picture(tmp_path / "p.png")).json()
    Path(uploaded).unlink()
    value = {"new_picture": {"path": uploaded, "meta": {"_type": "gradio.FileData"}}, "strokes": []}
    assert "p.png: no longer here" in call(client, "check_source", value)


@pytest.mark.parametrize("value", [[[]] * 1_000_000, [{}] * 60_000, [0] * 300_000])
def test_a_body_of_very_many_values_is_refused_before_it_is_parsed(client, monkeypatch, value):
    def parse(_: bytes) -> bool:
        raise AssertionError("was parsed")

    monkeypatch.setattr("mimicbrush.demo.protection.request_bodies.names_remote_file", parse)
    body = json.dumps({"data": [value], "fn_index": 0, "session_hash": "s"}, separators=(",", ":"))
    assert client.post("/gradio_api/queue/join", content=body).status_code == 413


# --- password ------------------------------------------------------------------------------------------------------


def test_a_password_stands_before_everything(pipe, weights, tmp_path):
    (tmp_path / "workspace").mkdir()
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    config = DemoConfig(weights=str(weights), device="cpu", password_file=tmp_path / "password")
    editor = SharedEditor(pipe, config.limits)
    with make_folders(tmp_path / "workspace") as folders, serve_page(editor, config, folders) as client:
        picture = write_picture(tmp_path / "p.png")
        assert client.get("/").status_code == 303 and client.get("/").headers["location"] == "/login"
        form = client.get("/login")
        assert form.status_code == 200 and 'type="password"' in form.text and "script" not in form.text
        assert PASSWORD not in form.text
        for path in ("config", "theme.css", "gradio_api/info", "gradio_api/heartbeat/s", "gradio_api/queue/data", "x"):
            assert client.get(f"/{path}").status_code == 401, path
        for path in ("queue/join", "cancel", "reset", "vibe-edit", "call/check_source", "stream/1"):
            assert client.post(f"/gradio_api/{path}", json={}).status_code == 401, path
        assert send_picture(client, picture).status_code == 401 and not list(folders.served.rglob("p.png"))
        for wrong in ("", "wrong", PASSWORD + "x", PASSWORD.upper(), "\udcff" * 10):
            answer = client.post("/login", content=b"password=" + wrong.encode(errors="surrogateescape"))
            assert answer.status_code == 401 and "set-cookie" not in answer.headers
        assert client.post("/login", content=b"x" * 5000).status_code == 413
        assert client.post("/login", data={"password": PASSWORD}, headers=EVIL).status_code == 403
        client.cookies.set(f"mimicbrush-{config.port}", "forged")
        assert client.get("/config").status_code == 401
        client.cookies.clear()
        answer = client.post("/login", data={"password": PASSWORD})
        cookie = answer.headers["set-cookie"].lower()
        assert answer.status_code == 303 and "httponly" in cookie and "samesite=lax" in cookie
        assert client.get("/").status_code == 200 and send_picture(client, picture).status_code == 200
        stranger = httpx.Client(base_url=client.base_url, trust_env=False)
        spoofed = [{"X-Forwarded-For": f"192.0.2.{number}"} for number in range(12)]
        answers = [stranger.post("/login", data={"password": "guess"}, headers=each).status_code for each in spoofed]
        assert 429 in answers and stranger.post("/login", data={"password": PASSWORD}).status_code == 429


# --- files ---------------------------------------------------------------------------------------------------------


def check(client: httpx.Client, path: Path) -> str:
    """Upload a file and choose it as the picture; returns the server's answer."""
    (uploaded,) = send_picture(client, path).json()
    value = {"new_picture": {"path": uploaded, "meta": {"_type": "gradio.FileData"}}, "strokes": []}
    return call(client, "check_source", value)


def png(width: int, height: int, *, depth: int = 8, data: bytes = b"") -> bytes:
    """A PNG that states a size; data: its pixels, compressed."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


class Attack:
    def __reduce__(self) -> tuple:
        return Path.touch, (Path("executed"),)


def test_bombs_and_files_that_are_no_pictures_are_refused_in_a_sentence(client, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as written:
        written.writestr("a.png", bytes(5_000_000))
    contents = {
        "huge.png": png(60_000, 60_000),
        "largest.png": png(2**31 - 1, 2**31 - 1),
        "deep.png": png(4000, 4000, depth=16, data=zlib.compress(bytes(2_000_000), 9)),
        "nothing.png": png(0, 10),
        "zip.png": archive.getvalue(),
        "zip.zip": archive.getvalue(),
        **{f"pickle.{suffix}": pickle.dumps(Attack()) for suffix in ("png", "pt", "npy", "pkl", "ckpt", "jpg")},
        "text.jpg": b"no picture",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        answer = check(client, tmp_path / name)
        assert f"{name}: " in answer and "picture.png" not in answer, (name, answer)
    assert not (tmp_path / "executed").exists()
    assert client.get("/").status_code == 200


def test_names_with_markup_are_text(client, tmp_path):
    name = "<img src=x onerror=alert(1)>&'\".png"
    (tmp_path / "x.png").write_bytes(b"no picture")
    (uploaded,) = client.post("/gradio_api/upload", files={"files": (name, b"no picture")}).json()
    assert not set(Path(uploaded).name) & set('<>"')
    value = {"new_picture": {"path": uploaded, "meta": {"_type": "gradio.FileData"}}, "strokes": []}
    assert "<img" not in call(client, "check_source", value)


@pytest.mark.parametrize("name", ["../../a.png", "..\\..\\a.png", "/etc/a.png", "b/../../a.png"])
def test_uploads_stay_in_their_folder(client, folders, name):
    (uploaded,) = client.post("/gradio_api/upload", files={"files": (name, b"x")}).json()
    assert Path(uploaded).resolve().is_relative_to(folders.served.resolve())


def test_internal_addresses_are_not_fetched(client):
    for address in ("http://169.254.169.254/latest", "http://127.0.0.1:1/", "HTTPS://[::1]/", "http://2130706433/"):
        assert client.get(f"/gradio_api/file={address}").status_code == 403
        value = {"new_picture": {"path": address, "meta": {"_type": "gradio.FileData"}}, "strokes": []}
        event = {"data": [value], "fn_index": 0, "session_hash": "s"}
        assert client.post("/gradio_api/queue/join", json=event).status_code == 403


# --- many and slow clients -----------------------------------------------------------------------------------------


def test_two_hundred_uploads_at_once_are_answered(client, tmp_path):
    picture = write_picture(tmp_path / "p.png")

    async def send_all() -> Counter:
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(base_url=client.base_url, trust_env=False, timeout=120, limits=limits) as many:
            files = {"files": ("p.png", picture.read_bytes())}
            answers = await asyncio.gather(*(many.post("/gradio_api/upload", files=files) for _ in range(200)))
        return Counter(answer.status_code for answer in answers)

    with ThreadPoolExecutor() as pool:
        assert pool.submit(asyncio.run, send_all()).result() == {200: 200}
    assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    ("path", "kind"), [("upload", "multipart/form-data; boundary=x"), ("queue/join", "application/json")]
)
def test_a_client_that_never_finishes_its_body_is_disconnected(client, monkeypatch, path, kind):
    monkeypatch.setattr(refusals, "CHUNK_SECONDS", 0.2)
    address = client.base_url.host, client.base_url.port
    head = (
        f"POST /gradio_api/{path} HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\nContent-Length: 1000\r\n"
        f"Content-Type: {kind}\r\n\r\n--x\r\n"
    )
    with socket.create_connection(address, timeout=30) as slow:
        slow.sendall(head.encode())
        answer = b"".join(iter(lambda: slow.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 408") and b"did not arrive in time" in answer
    assert client.get("/").status_code == 200


def test_a_body_that_drips_is_cut_off_in_the_end(client, monkeypatch):
    monkeypatch.setattr(refusals, "BODY_SECONDS", 0.3)
    address = client.base_url.host, client.base_url.port
    head = f"POST /gradio_api/queue/join HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection(address, timeout=30) as slow:
        slow.sendall(head.encode())
        for _ in range(100):
            try:
                slow.sendall(b"x")
            except OSError:
                break
            slow.settimeout(0.05)
            try:
                if slow.recv(4096).startswith(b"HTTP/1.1 408"):
                    return
            except TimeoutError:
                continue
    raise AssertionError("was not cut off")

"""Uploads that are no pictures, too many, too large or too slow."""

from __future__ import annotations

import asyncio
import io
import json
import pickle
import socket
import struct
import tempfile
import zipfile
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from gradio.queueing import Queue

from mimicbrush.demo import server
from mimicbrush.demo.config import DemoConfig, Limits
from mimicbrush.demo.protection import refusals
from mimicbrush.demo.shared_editor import SharedEditor
from tests.demo.attacks.conftest import EVIL
from tests.demo.conftest import call, make_folders, send_picture, serve_page, write_picture

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


def test_an_upload_holds_one_file_and_nothing_else(client, served_folders):
    before = sorted(served_folders.served.iterdir())
    several = [("files", (f"{number}.png", b"x")) for number in range(2)]
    assert client.post("/gradio_api/upload", files=several).status_code == 400
    field = {"text": (None, b"x" * 100_000)}
    assert client.post("/gradio_api/upload", files=field).status_code == 400
    assert sorted(served_folders.served.iterdir()) == before


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


def test_a_saved_tab_brings_no_files_that_were_not_uploaded(client, tmp_path, monkeypatch):
    secret = write_picture(tmp_path / "secret.png")
    monkeypatch.chdir(tmp_path)  # from whose files Gradio lets a page answer
    for meta in ({}, {"meta": {"_type": "gradio.FileData"}}):
        state = {"page": "p", "values": {"source": {"picture": {"path": str(secret), **meta}}}}
        assert ".png" not in call(client, "come_back", state)
    (uploaded,) = send_picture(client, secret).json()
    state["values"]["source"]["picture"]["path"] = uploaded
    assert uploaded in call(client, "come_back", state)


def test_names_with_markup_are_text(client, tmp_path):
    name = "<img src=x onerror=alert(1)>&'\".png"
    (tmp_path / "x.png").write_bytes(b"no picture")
    (uploaded,) = client.post("/gradio_api/upload", files={"files": (name, b"no picture")}).json()
    assert not set(Path(uploaded).name) & set('<>"')
    value = {"new_picture": {"path": uploaded, "meta": {"_type": "gradio.FileData"}}, "strokes": []}
    assert "<img" not in call(client, "check_source", value)


@pytest.mark.parametrize("name", ["../../a.png", "..\\..\\a.png", "/etc/a.png", "b/../../a.png"])
def test_uploads_stay_in_their_folder(client, served_folders, name):
    (uploaded,) = client.post("/gradio_api/upload", files={"files": (name, b"x")}).json()
    assert Path(uploaded).resolve().is_relative_to(served_folders.served.resolve())


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

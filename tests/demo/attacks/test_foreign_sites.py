"""Requests of other sites, what others may do with the page, and the password."""

from __future__ import annotations

import re
import socket

import httpx
import pytest

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.shared_editor import SharedEditor
from tests.demo.attacks.conftest import EVIL
from tests.demo.conftest import make_folders, send_picture, serve_page, write_picture

NAVIGATION = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
PASSWORD = "correct horse"


# --- requests of other sites ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers", [EVIL, {"Origin": "null"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://127.0.0.1:1"}]
)
def test_other_sites_change_nothing(client, tmp_path, served_folders, headers):
    picture = write_picture(tmp_path / "p.png")
    before = sorted(served_folders.served.rglob("*"))
    assert send_picture(client, picture, headers=headers).status_code == 403
    for path in ("queue/join", "run/check_source", "call/check_source", "cancel", "reset", "component_server"):
        assert client.post(f"/gradio_api/{path}", json={"data": []}, headers=headers).status_code == 403, path
    for method in ("PUT", "DELETE", "PATCH", "POST"):
        assert client.request(method, "/", headers=headers).status_code == 403, method
    assert sorted(served_folders.served.rglob("*")) == before


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

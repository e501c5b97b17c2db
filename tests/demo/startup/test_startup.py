"""Compressed pages, and the bundle from which they start."""

from __future__ import annotations

import gzip
import json
import re

import brotli
import httpx
import pytest

from mimicbrush.demo.startup import component_scripts, lighter_files
from mimicbrush.demo.startup import startup_bundle as bundles
from tests.demo.conftest import serve_page


@pytest.fixture
def client(editor, config, folders):
    with serve_page(editor, config, folders) as client:
        yield client


def raw(client: httpx.Client, path: str, accepted: str) -> tuple[httpx.Headers, bytes]:
    with client.stream("GET", path, headers={"Accept-Encoding": accepted}) as answer:
        return answer.headers, b"".join(answer.iter_raw())


def test_the_page_and_its_bundle_are_small(client):
    plain = raw(client, "/", "identity")[1]
    headers, page = raw(client, "/", "gzip, br")
    assert headers["content-encoding"] == "br" and headers["vary"] == "Accept-Encoding"
    text = brotli.decompress(page).decode()
    nonces = [re.findall(r'<script nonce="([\w-]+)"', each)[0] for each in (text, plain.decode())]
    assert nonces[0] != nonces[1] and f"'nonce-{nonces[0]}' blob:" in headers["content-security-policy"]
    assert text.replace(nonces[0], nonces[1]) == plain.decode() and len(page) < len(plain) / 8
    assert gzip.decompress(raw(client, "/", "gzip")[1]).startswith(b"<!doctype html>")
    (address,) = re.findall(r'data-bundle="\.(/startup/\w+\.json)"', text)
    headers, content = raw(client, address, "gzip, br")
    assert "immutable" in headers["cache-control"] and len(page) + len(content) < 190_000
    assert brotli.decompress(content) == raw(client, address, "identity")[1]
    assert set(json.loads(brotli.decompress(content))) == {"scripts", "styles", "components", "versions"}
    assert client.get("/startup/other.json").status_code == 404


def test_scripts_of_components_have_addresses_of_their_own(client):
    page = client.get("/").text
    assert "requestFullscreen" not in page and "indexedDB" not in page  # of painter and store
    for name, text in component_scripts.COMPONENT_SCRIPTS.items():
        answer = client.get(f"/startup/{name}")
        assert answer.text == text and "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-type"].startswith("text/javascript")
    used = re.findall(r"/startup/(\w+\.js)\b", page)
    assert set(used) <= set(component_scripts.COMPONENT_SCRIPTS) and len(set(used)) >= 2


def test_a_gradio_of_another_form_is_left_as_it_is(client, monkeypatch, tmp_path):
    monkeypatch.setattr(bundles, "ASSETS", tmp_path / "assets")
    (tmp_path / "index.html").write_text("<html></html>")
    assert bundles.startup_files() == ("", ())
    monkeypatch.setattr("mimicbrush.demo.startup.startup_layers.startup_bundle", lambda: None)
    page = client.get("/").text
    assert bundles.START.search(page) and "nonce=" not in page


def test_files_with_a_digest_are_kept_by_browsers(client):
    entry, _ = bundles.startup_files()
    assert client.get(f"/assets/{entry}").headers["cache-control"] == "max-age=31536000, immutable"
    assert "cache-control" not in client.get("/theme.css").headers


def test_a_changed_file_has_another_address(client):
    versions = json.loads(bundles.startup_bundle().content)["versions"]
    assert {name.split("-")[0] for name in versions} == {"hls", "Video"}  # the others come within the bundle
    for name, version in versions.items():
        addresses = [f"/assets/{name}{query}" for query in (f"?v={version}", "?v=0", "")]
        kept = [client.get(address).headers["cache-control"] for address in addresses]
        assert kept == ["max-age=31536000, immutable", "no-cache", "no-cache"]
    (video,) = (each for each in versions if each.startswith("Video-"))
    script, program = re.findall(r"ffmpeg-core\.\w+\?v=[\d.]+(?=`)", client.get(f"/assets/{video}").text)
    assert program == script.replace(".js", ".wasm")
    kept = [client.get(f"/static/ffmpeg/{each}").headers["cache-control"] for each in (script, "ffmpeg-core.js")]
    assert kept == ["max-age=31536000, immutable", "no-cache"]


def test_files_are_lighter_and_those_of_another_form_stay(client):
    names = [path.name for path in lighter_files.ASSETS.iterdir() if lighter_files.lighter_file(path.name) is not None]
    assert len(names) == len(lighter_files.LIGHTER)
    for name in names:
        text = client.get(f"/assets/{name}").text
        before = (lighter_files.ASSETS / name).read_text(encoding="utf-8")
        assert text == lighter_files.lighter_file(name) != before
        assert len(text) < len(before) / 10 or "ffmpegwanted" in text
        assert all(change("let a = 1;") == "let a = 1;" for change in lighter_files.LIGHTER.values())
    assert "head.appendChild(script)" not in client.get("/").text


def test_names_that_visitors_make_up_are_not_kept(client):
    kept = lighter_files._lighter.cache_info().currsize
    beginning = next(iter(lighter_files.LIGHTER))
    for name in ("other.js", f"{beginning}0.js", f"{beginning}/../x.js"):
        client.get(f"/assets/{name}")
        assert lighter_files.lighter_file(name) is None
    assert lighter_files._lighter.cache_info().currsize == kept

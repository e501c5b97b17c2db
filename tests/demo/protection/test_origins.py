from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from mimicbrush.demo.protection.origins import is_foreign

HOST = "127.0.0.1:7860"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, False),
        ({"origin": "http://127.0.0.1:7860"}, False),
        ({"origin": "HTTP://127.0.0.1:7860", "sec-fetch-site": "same-origin"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"origin": "https://mimic.example.org", "sec-fetch-site": "same-origin"}, False),
        ({"origin": "https://a.pages.example.org"}, False),
        ({"origin": "https://evil.example"}, True),
        ({"origin": "http://127.0.0.1:9999"}, True),
        ({"origin": "http://localhost:7860"}, True),
        ({"origin": "http://127.0.0.1:7860.evil.example"}, True),
        ({"origin": "http://127.0.0.1:7860@evil.example"}, True),
        ({"origin": "null"}, True),
        ({"origin": ""}, True),
        ({"origin": "http://[::1"}, True),
        ({"origin": "file://127.0.0.1:7860"}, True),
        ({"sec-fetch-site": "cross-site"}, True),
        ({"sec-fetch-site": "same-site"}, True),
        ({"sec-fetch-site": "Same-Origin, cross-site"}, True),
        ({"origin": "http://127.0.0.1:7860", "sec-fetch-site": "cross-site"}, True),
        ({"origin": "https://evil.example", "sec-fetch-site": "same-origin"}, True),
    ],
)
def test_only_the_page_itself_and_its_other_names_are_no_strangers(headers, expected):
    names = ["mimic.example.org", "*.pages.example.org"]
    assert is_foreign(Headers({"host": HOST, **headers}), names) is expected


def test_a_second_header_is_not_overlooked():
    raw = [(b"host", HOST.encode()), (b"origin", b"http://127.0.0.1:7860"), (b"origin", b"https://evil.example")]
    assert is_foreign(Headers(raw=raw), [])


def test_a_missing_host_has_no_own_pages():
    assert is_foreign(Headers({"origin": "http://"}), [])

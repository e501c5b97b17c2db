"""The page on a slow line: how much it loads first, a picture while it is sent, and a line that is cut.

Prints what it measured with `pytest -m browser -n 0 -s tests/demo/test_browser_slow_line.py`.
"""

from __future__ import annotations

import pytest

from tests.demo.browsing import DESKTOP, MILLISECONDS, wait_for_width
from tests.demo.conftest import write_picture

pytestmark = pytest.mark.browser

SLOW = {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
"""400 ms and 400 kbit/s, in the words of the DevTools protocol."""
WHEN_SHOWN = """(function look() {
  if (document.querySelector("button.edit-button")?.getBoundingClientRect().height) window.shownAt = performance.now();
  else requestAnimationFrame(look);
})()"""
"""Notes when Edit is there; waiting from outside looks twice a second."""


@pytest.fixture
def slow_page(browser):
    context = browser.new_context(viewport=DESKTOP)
    page = context.new_page()
    page.set_default_timeout(MILLISECONDS)
    yield page
    context.close()


def emulate(page, **changes: float) -> None:
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", SLOW | changes)


def test_controls_need_few_bytes_and_requests(slow_page, url):
    sizes, addresses = [], []
    session = slow_page.context.new_cdp_session(slow_page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    slow_page.on("request", lambda request: addresses.append(request.url))
    slow_page.add_init_script(WHEN_SHOWN)
    emulate(slow_page)
    for visit in ("first", "second"):
        sizes.clear()
        addresses.clear()
        slow_page.goto(url, wait_until="commit")
        slow_page.locator("button.edit-button").wait_for()
        loaded = [address for address in addresses if not address.startswith(("blob:", "data:"))]
        seconds = slow_page.evaluate("shownAt / 1000")
        print(f"{visit} visit: {seconds:.1f} s, {sum(sizes)} bytes, {len(loaded)} requests")
        assert sum(sizes) < (230_000 if visit == "first" else 60_000)


def test_a_picture_is_seen_while_it_is_sent_and_a_smaller_copy_can_be(visit, tmp_path):
    page = visit()
    emulate(page, latency=0, downloadThroughput=-1, uploadThroughput=20_000)
    page.locator(".source .painter-drop input").set_input_files(write_picture(tmp_path / "long.png", size=(4096, 180)))
    page.locator(".source .painter-sending img").wait_for()
    smaller = page.get_by_role("button", name="Send a smaller copy")
    smaller.wait_for()
    assert "MB sent, about" in page.locator(".source .painter-sending output").inner_text()
    smaller.click()
    wait_for_width(page, 2048)
    page.locator(".source .painter-sending").wait_for(state="hidden")
    page.context.set_offline(True)
    page.get_by_text("This device is offline.").wait_for()
    page.context.set_offline(False)
    page.get_by_text("The connection is back.").wait_for()

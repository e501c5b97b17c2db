"""How report.html sorts, filters and fits in a real browser."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from mimicbrush.evaluation.compare_runs import run_comparison
from mimicbrush.evaluation.config import CompareConfig
from tests.conftest import CHROMIUM
from tests.evaluation.small import PASTE, RefusesDark

NEEDS_BROWSER = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
# Two of the three pictures of `make_set` lie below this mean.
FLAKY = {
    "class_path": f"{RefusesDark.__module__}.{RefusesDark.__name__}",
    "init_args": {"below": 0.4999},
}


def browse(page: Path, address: str = "", *, window: str = "800,600") -> str:
    """The page's elements after its scripts have run."""
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000", "--dump-dom"]
    command.append(f"--window-size={window}")
    return subprocess.run(
        [*command, f"file://{page}{address}"], capture_output=True, text=True, timeout=120, check=True
    ).stdout


def order(document: str) -> list[str]:
    return re.findall(r'<article class="card" data-id="(\d+)"', document)


@NEEDS_BROWSER
@pytest.mark.slow
def test_browser_sorts_as_the_address_says(report, tmp_path):
    text = report({"paste": PASTE, "flaky": FLAKY}, "inter_id")
    page = tmp_path / "out" / "report.html"
    edits = re.findall(r"<figure class='edit[^']*' data-editor='paste'.*?</figure>", text, re.DOTALL)
    for metric, better in (("source_psnr", "higher"), ("colour_distance", "lower")):
        values = [float(re.search(rf"data-metric='{metric}' data-value='([^']+)'", edit)[1]) for edit in edits]
        rising = [f"{number:03d}" for number in sorted(range(3), key=values.__getitem__)]
        worst_first = rising if better == "higher" else rising[::-1]
        address = f"#small.editor=paste&small.metric={metric}&small.order="
        assert order(browse(page, address + "worst")) == worst_first
        assert order(browse(page, address + "best")) == worst_first[::-1]
    assert order(browse(page)) == ["000", "001", "002"]


@NEEDS_BROWSER
@pytest.mark.slow
def test_browser_shows_failures_and_one_seed(report, tmp_path):
    text = report({"paste": PASTE, "flaky": FLAKY}, seeds=[1, 2])
    document = browse(tmp_path / "out" / "report.html", "#small.failed=1&small.seed=2")
    failed = text.count("class='edit failed'") // 2
    assert f"{failed} of 3 samples" in document
    assert len(re.findall(r'<article class="card" data-id="\d+">', document)) == failed
    assert len(re.findall(r'data-seed="1" hidden=""', document)) == 6
    assert not re.findall(r'data-seed="2" hidden=""', document)


@NEEDS_BROWSER
@pytest.mark.slow
def test_page_fits_a_phone(report, tmp_path):
    text = report({"a_rather_long_name_of_an_editor": PASTE, "flaky": FLAKY})
    measure = (
        "const root = document.documentElement; parent.postMessage(`${root.scrollWidth} of ${root.clientWidth}`, '*')"
    )
    (tmp_path / "page.html").write_text(text.replace("</body>", f"<script>{measure}</script></body>"))
    # A browser without a screen makes no window this narrow, but a frame.
    frame = tmp_path / "frame.html"
    frame.write_text(
        "<title></title><script>onmessage = (event) => { document.title = event.data; };</script>"
        "<iframe src='page.html' style='width: 390px; height: 800px; border: 0'></iframe>"
    )
    widest, screen = map(int, re.search(r"<title>(\d+) of (\d+)</title>", browse(frame)).groups())
    assert widest == screen <= 390


@NEEDS_BROWSER
@pytest.mark.slow
def test_a_phone_shows_the_verdicts_of_a_comparison(report, tmp_path):
    report({"paste": PASTE, "a_rather_long_name_of_an_editor": FLAKY})
    output = tmp_path / "out"
    run_comparison(CompareConfig(run_a=output, run_b=output, editor_b="a_rather_long_name_of_an_editor"))
    (written,) = (output / "comparisons").glob("*/comparison.html")
    measure = """
        const verdicts = [...document.querySelectorAll("td span")].filter(
          (one) => ["better", "worse", "undecided", "equal"].includes(one.className));
        const hidden = verdicts.filter((one) => one.getBoundingClientRect().right > innerWidth);
        parent.postMessage(`${verdicts.length} verdicts, ${hidden.length} hidden`, '*');
    """
    (tmp_path / "page.html").write_text(written.read_text().replace("</body>", f"<script>{measure}</script></body>"))
    frame = tmp_path / "frame.html"
    frame.write_text(
        "<title></title><script>onmessage = (event) => { document.title = event.data; };</script>"
        "<iframe src='page.html' style='width: 420px; height: 800px; border: 0'></iframe>"
    )
    assert re.search(r"<title>[1-9]\d* verdicts, 0 hidden</title>", browse(frame))


@NEEDS_BROWSER
@pytest.mark.slow
def test_desktop_shows_tables_whole_metrics_by_their_names_and_rows_of_equal_length(report, tmp_path):
    text = report({f"number_{number}_of_seven": PASTE for number in range(7)})
    measure = """
        const cut = (name) => [...document.querySelectorAll(name)].filter((one) => one.scrollWidth > one.clientWidth);
        const rows = {};
        for (const { offsetTop } of document.querySelector(".card").querySelectorAll("figure:not(.names)"))
          rows[offsetTop] = (rows[offsetTop] || 0) + 1;
        document.title = `${cut("table").length} ${cut("dt").length} ${Object.values(rows).join("+")}`;
    """
    page = tmp_path / "page.html"
    page.write_text(text.replace("</body>", f"<script>{measure}</script></body>"))
    # Source, mask, reference, seven edits.
    assert "<title>0 0 5+5</title>" in browse(page, window="1280,6000")

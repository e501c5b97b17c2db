"""The contents of report.html, and how its tables sort in a real browser."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from mimicbrush.evaluation.compare_runs import run_comparison
from mimicbrush.evaluation.config import CompareConfig, EvaluateConfig
from mimicbrush.evaluation.gather_results import Summary
from mimicbrush.evaluation.report.metric_tables import further_section, paper_section
from mimicbrush.evaluation.report.overview import editors_section
from mimicbrush.evaluation.report.published import published_rows
from mimicbrush.evaluation.report.samples import NUM_AT_FULL_SIZE, SMALLEST_SIDE, thumbnail_side
from mimicbrush.reports.html_pictures import THUMBNAIL_SIDE
from tests.conftest import CHROMIUM
from tests.evaluation.small import IDENTITY, PASTE, Loaded, RefusesDark, Shapeless, one_set

NEEDS_BROWSER = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
# Two of the three pictures of `make_set` lie below this mean.
FLAKY = {
    "class_path": f"{RefusesDark.__module__}.{RefusesDark.__name__}",
    "init_args": {"below": 0.4999},
}


@pytest.fixture
def report(evaluate, make_set):
    """report(editors): the text of the report on three inner-ID samples."""

    def make(editors: dict, track: str = "inner_id", **fields) -> str:
        output = evaluate({"sets": one_set(make_set(), track), "editors": editors, **fields})
        return (output / "report.html").read_text()

    return make


def test_published_rows_stand_beside_ours_and_are_marked(report):
    text = report({"identity": IDENTITY})
    measured, _, published = text.partition("published (other pictures, other code)")
    assert "measured here" in measured
    for row in published_rows("texture"):
        assert f"<tr class='published'><td>{row.name}, Table {row.table}</td><td>0.75</td><td>17.73</td>" in published
    assert "cannot be compared with those measured here" in text


def test_failures_come_first_and_means_say_how_many_edits_they_are_of(report):
    text = report({"identity": IDENTITY, "flaky": FLAKY})
    failed = re.search(r"(\d) of 6 edits failed", text)
    assert failed and failed.start() < text.index("The paper&#x27;s measures")
    number = int(failed[1])
    assert 0 < number < 3 and f"{3 - number} of 3 edits" in text
    assert text.count("class='edit failed'") == number == text.count("failed: too dark")


def test_every_sample_is_there_in_order_of_id_without_javascript(report):
    text = report({"identity": IDENTITY, "paste": PASTE})
    assert re.findall(r"<article class='card' data-id='(\d+)'", text) == ["000", "001", "002"]
    # Source, mask, reference, two edits, truth; before the tables they stand without the mask's own picture.
    glance, cards = text.split("class='cards'")
    assert cards.count("<img ") == cards.count("loading='lazy'") == 3 * 6
    assert glance.count("<img ") == glance.count("loading='lazy'") == 3 * 5
    assert "class='controls' hidden" in text
    assert not re.findall(r"(?:src|href)='(?!data:|#)", text)


def test_every_seed_is_there(report):
    text = report({"paste": PASTE}, seeds=[3, 5])
    assert text.count("data-seed='3'") == text.count("data-seed='5'") == 3
    assert "<option value='5'>5</option>" in text and "seeds 3, 5" in text


def test_values_are_there_to_sort_by(report):
    text = report({"identity": IDENTITY})
    assert text.count("data-metric='psnr' data-value='Infinity'") == 3
    assert "href='#small.editor=identity&amp;small.metric=psnr&amp;small.order=worst'" in text


def test_editors_are_compared_with_the_first(report):
    text = report({"paste": PASTE, "identity": IDENTITY})
    assert "Against paste, sample by sample" in text and "identity against paste" in text
    assert "3 of 3 pairs hold an infinite value" in text
    assert "Against" not in report({"paste": PASTE})


def test_a_metric_without_weights_is_not_computed_and_says_how(report):
    metric = SimpleNamespace(title="LPIPS", unit="", better="lower", column="LPIPS", meaning="distance")
    results = SimpleNamespace(
        config=SimpleNamespace(editors=["ours"]),
        edits=[],
        not_computed={"lpips": "weights are not here; fetch them by: python -m fetch"},
        variants={},
        summaries={("set", "ours", "lpips"): Summary(None, None, None, 0, 0, "3 of 3 not computed")},
    )
    benchmark_set = SimpleNamespace(task="parts", track="inner_id")
    paper = "".join(paper_section(results, "set", benchmark_set, {"lpips": metric}))
    assert "<td>ours</td><td><span class='none'>not computed</span></td>" in paper
    assert "<td>0.28</td>" in paper
    further = "".join(further_section(results, "set", benchmark_set, {"lpips": metric}))
    assert "<summary>Not computed: LPIPS</summary>" in further and "python -m fetch" in further
    # Another set's metrics are named there.
    assert "Not computed" not in "".join(further_section(results, "set", benchmark_set, {}))


def test_pictures_come_before_the_first_table_and_what_lacks_weights_after_the_numbers(report):
    text = report({"paste": PASTE})
    places = [text.index(part) for part in ("<img ", "The paper&#x27;s measures", "Further measures", "Not computed:")]
    assert places == sorted(places) and "<h2>Not computed" not in text


def test_glance_spreads_over_the_set_and_shows_failures(make_set, evaluate):
    output = evaluate({"sets": one_set(make_set(number=7), "inter_id"), "editors": {"paste": PASTE, "flaky": FLAKY}})
    glance = (output / "report.html").read_text().partition("class='glance'")[2].partition("</table>")[0]
    assert re.findall(r"alt='source of (\d+)'", glance) == ["000", "003", "006"]
    failed = glance.count("<span class='none'>failed</span>")
    assert failed > 0 and glance.count("by flaky") == 3 - failed and "truth" not in glance


def test_editors_are_explained_by_their_classes():
    def network(checkpoint: str, **fields) -> dict:
        arguments = {"checkpoint": checkpoint, "steps": 5}
        return {"class_path": f"{Loaded.__module__}.Loaded", "init_args": arguments, **fields}

    editors = {
        "ours": network("runs/x"),
        "control": network("runs/x", references="swapped"),
        "theirs": network("asset:tiny"),
        "paste": PASTE,
        "mute": {"class_path": f"{Shapeless.__module__}.Shapeless"},
    }
    config = EvaluateConfig(output=Path("out"), sets={"small": None}, editors=editors)
    names = re.findall(r"<li><b>(.*?)</b>: (.*?)</li>", editors_section(config))
    assert names == [
        ("ours", "Takes a checkpoint and has no use for it. Here: checkpoint runs/x."),
        (
            "control",
            "The same as ours. Each sample is edited with the reference of another group, to see whether the right one "
            "matters.",
        ),
        (
            "theirs",
            "Takes a checkpoint and has no use for it. Here: checkpoint asset:tiny, which comes with the package.",
        ),
        ("paste", "Pastes the reference, resized to the mask&#x27;s bounding box, through the mask."),
        ("mute", f"{Shapeless.__module__}.Shapeless."),
    ]


def test_many_pictures_are_smaller_and_none_is_left_out():
    assert thumbnail_side(NUM_AT_FULL_SIZE) == THUMBNAIL_SIDE
    assert thumbnail_side(4 * NUM_AT_FULL_SIZE) == THUMBNAIL_SIDE // 2
    assert thumbnail_side(10**6) == SMALLEST_SIDE


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
def test_desktop_shows_tables_whole_measures_by_their_names_and_rows_of_equal_length(report, tmp_path):
    text = report({f"number_{number}_of_seven": PASTE for number in range(7)})
    measure = """
        const cut = (name) => [...document.querySelectorAll(name)].filter((one) => one.scrollWidth > one.clientWidth);
        const rows = {};
        for (const { offsetTop } of document.querySelector(".pictures").children)
          rows[offsetTop] = (rows[offsetTop] || 0) + 1;
        document.title = `${cut("table").length} ${cut("dt").length} ${Object.values(rows).join("+")}`;
    """
    page = tmp_path / "page.html"
    page.write_text(text.replace("</body>", f"<script>{measure}</script></body>"))
    # Source, mask, reference, seven edits, truth.
    assert "<title>0 0 6+5</title>" in browse(page, window="1280,6000")

"""The contents of report.html, and how its tables sort in a real browser."""

from __future__ import annotations

import csv
import math
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mimicbrush.errors import UserError
from mimicbrush.evaluation.benchmark import list_samples
from mimicbrush.evaluation.compare_runs import run_comparison
from mimicbrush.evaluation.config import CompareConfig, EvaluateConfig
from mimicbrush.evaluation.evaluation_rounds import EditResult
from mimicbrush.evaluation.gather_results import Summary
from mimicbrush.evaluation.metrics.score import Score
from mimicbrush.evaluation.paired_comparison import MIN_GROUPS
from mimicbrush.evaluation.report.best_values import mark_best
from mimicbrush.evaluation.report.metric_tables import measures_sections
from mimicbrush.evaluation.report.overview import editors_section
from mimicbrush.evaluation.report.published import published_rows
from mimicbrush.evaluation.report.samples import (
    NUM_AT_FULL_SIZE,
    SMALLEST_SIDE,
    card_title,
    sample_pictures,
    stored_side,
)
from mimicbrush.pictures.conversion import to_levels
from mimicbrush.pictures.reading import read_frames
from mimicbrush.reports.data_table import DataTable
from mimicbrush.reports.html_pictures import STORED_SIDE
from tests.conftest import CHROMIUM
from tests.evaluation.small import IDENTITY, PASTE, Loaded, RefusesDark, Shapeless, one_set
from tests.evaluation.truth_sets import NUM_FRAMES, truth_set, write_truth_sample

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
    assert "<b>Flaky</b> on" in text


def test_every_sample_is_there_in_order_of_id_without_javascript(report):
    text = report({"identity": IDENTITY, "paste": PASTE})
    assert re.findall(r"<article class='card' data-id='(\d+)'", text) == ["000", "001", "002"]
    # Source, which is the truth, mask, reference, two edits; before the tables stand copies of all but the source.
    glance, cards = text.split("class='cards'")
    cards, _ = cards.split("<script>", 1)
    assert cards.count("<img ") == cards.count("loading='lazy'") == cards.count("data:image/") == 3 * 5
    copies = re.findall(r"<img data-copy='([^']+)'", glance)
    assert len(copies) == 3 * 5 and "data:image/" not in glance.partition("</style>")[2]
    assert set(copies) <= set(re.findall(r"<img id='([^']+)'", cards))
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
    assert ">Against Paste</h3>" in text and "Identity against Paste" in text
    assert "3 of 3 pairs hold an infinite value" in text
    assert "Against" not in report({"paste": PASTE})


def results_of(values: dict[str, list[float]], *, better: str = "higher", groups: int = 8) -> SimpleNamespace:
    """Results of a metric `score` on one set, by editor; each sample has a group of its own, up to that many."""
    edits = [
        EditResult("set", editor, 1, str(number), str(number % groups), 1.0, None, "", {"score": Score(value)})
        for editor, column in values.items()
        for number, value in enumerate(column)
    ]
    means = {editor: sum(column) / len(column) for editor, column in values.items()}
    return SimpleNamespace(
        config=SimpleNamespace(editors=list(values)),
        edits=edits,
        summaries={("set", editor, "score"): Summary(mean, None, None, 8, 8, "") for editor, mean in means.items()},
        metrics={"score": SimpleNamespace(better=better)},
    )


ROUGH = [0.1, 0.9, 0.2, 0.8, 0.3, 0.9, 0.1, 0.7]
"""Undecided against 0.6 for every sample; its mean is 0.5."""


@pytest.mark.parametrize(
    ("values", "better", "marks"),
    [
        ({"good": [0.9] * 8, "bad": [0.1] * 8}, "higher", {"good": "best"}),
        ({"good": [0.9] * 8, "bad": [0.1] * 8}, "lower", {"bad": "best"}),
        ({"good": [0.9] * 8, "same": [0.9] * 8, "bad": [0.1] * 8}, "higher", {"good": "best", "same": "best"}),
        ({"good": [0.6] * 8, "rough": ROUGH, "bad": [0.0] * 8}, "higher", {"good": "best", "rough": "tied"}),
        ({"good": [0.6] * 8, "rough": ROUGH}, "higher", {}),
        ({"good": [0.6] * 8, "rough": ROUGH}, None, {}),
        ({"infinite": [math.inf] * 8, "bad": [1.0] * 8}, "higher", {"infinite": "best"}),
        ({"alone": [0.9] * 8}, "higher", {}),
    ],
)
def test_best_values_are_marked_where_the_difference_is_decided(values, better, marks):
    results = results_of(values, better=better)
    assert mark_best(results, "set", results.metrics) == {(name, "score"): mark for name, mark in marks.items()}


def test_few_photographs_mark_nothing():
    results = results_of({"good": [0.9] * 8, "bad": [0.1] * 8}, groups=MIN_GROUPS - 1)
    assert mark_best(results, "set", results.metrics) == {}


def test_a_metric_without_weights_is_folded_away_and_says_how(report):
    metric = SimpleNamespace(title="LPIPS", unit="", better="lower", column="LPIPS", meaning="distance")
    config = SimpleNamespace(editors=["ours"], editor_titles={"ours": "Ours"}, set_titles={"set": "Set"}, output=Path())
    results = SimpleNamespace(
        config=config,
        edits=[],
        samples={"set": []},
        not_computed={"lpips": "weights are not here; fetch them by: python -m fetch"},
        variants={},
        summaries={("set", "ours", "lpips"): Summary(None, None, None, 0, 0, "3 of 3 not computed")},
    )
    benchmark_set = SimpleNamespace(task="parts", track="inner_id")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DataTable, "write", lambda table, folder: [])
        paper, measures = measures_sections(results, "set", benchmark_set, {"lpips": metric})
    shown = "".join(measures.parts)
    assert paper.parts == [] and measures.title == "Measures"
    table, folded = shown.split("</table>", 1)
    assert "LPIPS" not in table
    assert "<summary>Not computed: LPIPS</summary>" in folded and "python -m fetch" in folded
    # The published numbers of that column can be opened.
    assert "<td>0.28</td>" in folded


def test_pictures_come_before_the_first_table_and_what_lacks_weights_after_the_numbers(report):
    text = report({"paste": PASTE})
    places = [
        text.index(part)
        for part in ("<img ", "The paper&#x27;s measures</h3>", "Further measures</h3>", "Not computed:")
    ]
    assert places == sorted(places) and "<h2>Not computed" not in text


def test_tables_are_exported_beside_the_report(report, tmp_path):
    report({"paste": PASTE, "identity": {**IDENTITY, "title": "Source & nothing"}})
    files = sorted(path.name for path in (tmp_path / "out" / "tables").iterdir())
    assert files == [f"small_{kind}.{suffix}" for kind in ("comparisons", "means") for suffix in ("csv", "tex")]
    rows = list(csv.DictReader((tmp_path / "out" / "tables" / "small_means.csv").open(encoding="utf-8")))
    assert [row["Editor"] for row in rows] == ["Paste", "Source & nothing"]
    assert rows[1]["SSIM"] == "1.0" and float(rows[0]["SSIM, low"]) <= float(rows[0]["SSIM"]) < 1
    assert r"Source \& nothing" in (tmp_path / "out" / "tables" / "small_means.tex").read_text(encoding="utf-8")


def test_a_title_changes_no_edit(report, tmp_path):
    report({"paste": PASTE})
    (picture,) = (tmp_path / "out" / "edits").rglob("000.png")
    before = picture.stat().st_mtime_ns
    assert "Pasted reference" in report({"paste": {**PASTE, "title": "Pasted reference"}})
    assert picture.stat().st_mtime_ns == before


def test_two_editors_with_one_title_are_refused():
    with pytest.raises(UserError, match="Paste: more than one has this title"):
        EvaluateConfig(
            output=Path("out"), sets={"small": None}, editors={"paste": PASTE, "other": {**PASTE, "title": "Paste"}}
        )


@pytest.mark.parametrize(
    ("task", "given"),
    [
        ("texture", ["source", "mask", "reference", "truth"]),
        ("text", ["source", "mask", "truth"]),
        ("motion", ["source", "mask", "flow", "truth"]),
        ("video", ["source", "mask", "reference", "truth"]),
    ],
)
def test_cards_of_sets_with_a_truth_show_all_that_a_sample_has(tmp_path, task, given):
    write_truth_sample(tmp_path, "000", task)
    (sample,) = list_samples(truth_set(tmp_path, task))
    pictures = {each.role: each.frames for each in sample_pictures(sample)}
    assert list(pictures) == given
    assert [len(pictures[role]) for role in ("source", "mask", "truth")] == [NUM_FRAMES if task == "video" else 1] * 3
    assert np.array_equal(np.asarray(pictures["truth"][-1]), to_levels(read_frames(sample.truth)[-1]))
    assert "a checkered ball on grass" in card_title(sample)


def test_glance_spreads_over_the_set_and_shows_failures(make_set, evaluate):
    output = evaluate({"sets": one_set(make_set(number=7), "inter_id"), "editors": {"paste": PASTE, "flaky": FLAKY}})
    glance = (output / "report.html").read_text().partition("class='glance'")[2].partition("</table>")[0]
    assert re.findall(r"alt='mask of (\d+)'", glance) == ["000", "003", "006"]
    failed = glance.count("<span class='none'>failed</span>")
    assert failed > 0 and glance.count("by Flaky") == 3 - failed and "truth" not in glance


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
    names = re.findall(r"<li><b>(.*?)</b>: (.*?)</li>", "".join(editors_section(config)))
    assert names == [
        ("Ours", "Takes a checkpoint and has no use for it. Here: checkpoint runs/x."),
        (
            "Control",
            "The same as Ours. Each sample is edited with the reference of another group, to see whether the right one "
            "matters.",
        ),
        (
            "Theirs",
            "Takes a checkpoint and has no use for it. Here: checkpoint asset:tiny, which comes with the package.",
        ),
        ("Paste", "Pastes the reference, resized to the mask&#x27;s bounding box, through the mask."),
        ("Mute", f"{Shapeless.__module__}.Shapeless."),
    ]


def test_many_pictures_are_smaller_and_none_is_left_out():
    assert stored_side(NUM_AT_FULL_SIZE) == STORED_SIDE
    assert stored_side(4 * NUM_AT_FULL_SIZE) == STORED_SIDE // 2
    assert stored_side(10**6) == SMALLEST_SIDE


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
        for (const { offsetTop } of document.querySelector(".card").querySelectorAll("figure:not(.names)"))
          rows[offsetTop] = (rows[offsetTop] || 0) + 1;
        document.title = `${cut("table").length} ${cut("dt").length} ${Object.values(rows).join("+")}`;
    """
    page = tmp_path / "page.html"
    page.write_text(text.replace("</body>", f"<script>{measure}</script></body>"))
    # Source, mask, reference, seven edits.
    assert "<title>0 0 5+5</title>" in browse(page, window="1280,6000")

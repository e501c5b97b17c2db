"""The contents of report.html."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mimicbrush.errors import UserError
from mimicbrush.evaluation.benchmark import list_samples
from mimicbrush.evaluation.config import EvaluateConfig
from mimicbrush.evaluation.gather_results import Summary
from mimicbrush.evaluation.report.metric_tables import metric_sections
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
from tests.evaluation.small import IDENTITY, PASTE, Loaded, RefusesDark, Shapeless, one_set
from tests.evaluation.truth_sets import NUM_FRAMES, truth_set, write_truth_sample

# Two of the three pictures of `make_set` lie below this mean.
FLAKY = {
    "class_path": f"{RefusesDark.__module__}.{RefusesDark.__name__}",
    "init_args": {"below": 0.4999},
}


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
    assert failed and failed.start() < text.index("The paper&#x27;s metrics")
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
    copies = re.findall(r"<img data-shown-again='([^']+)'", glance)
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
        paper, further = metric_sections(results, "set", benchmark_set, {"lpips": metric})
    shown = "".join(further.parts)
    assert paper.parts == [] and further.title == "Metrics"
    table, folded = shown.split("</table>", 1)
    assert "LPIPS" not in table
    assert "<summary>Not computed: LPIPS</summary>" in folded and "python -m fetch" in folded
    # The published numbers of that column can be opened.
    assert "<td>0.28</td>" in folded


def test_pictures_come_before_the_first_table_and_what_lacks_weights_after_the_numbers(report):
    text = report({"paste": PASTE})
    places = [
        text.index(part) for part in ("<img ", "The paper&#x27;s metrics</h3>", "Further metrics</h3>", "Not computed:")
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

"""The command that compares two evaluations: numbers, files, refusals."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from mimicbrush.command import call_command
from mimicbrush.errors import UserError
from mimicbrush.evaluation.compare import COMMAND
from mimicbrush.evaluation.compare_runs import choose_sides
from mimicbrush.evaluation.config import CompareConfig
from tests.evaluation.small import IDENTITY, PASTE, mean_colour, one_set


@pytest.fixture
def compare():
    """compare(RUN_A, RUN_B, *options): run the command."""

    def run(*arguments: object) -> None:
        call_command(COMMAND, list(map(str, arguments)))

    return run


@pytest.fixture
def runs(evaluate, make_set, tmp_path) -> tuple[Path, Path]:
    """Two evaluations of the same three samples."""
    fields = {"sets": one_set(make_set())}
    editors = {"ours": PASTE, "fill": mean_colour()}
    return (
        evaluate({**fields, "editors": editors, "output": str(tmp_path / "a")}),
        evaluate({**fields, "editors": {"ours": IDENTITY}, "output": str(tmp_path / "b")}),
    )


def change(run: Path, **fields: object) -> None:
    path = run / "results.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def scores(run: Path, editor: str, metric: str) -> list[float]:
    edits = json.loads((run / "results.json").read_text())["edits"]
    return [edit["scores"][metric] for edit in edits if edit["editor"] == editor]


def test_first_editors_of_both_runs(compare, runs, tmp_path, capsys):
    run_a, run_b = runs
    compare(run_a, run_b, "--output", tmp_path / "out")
    document = json.loads((tmp_path / "out" / "comparison.json").read_text())
    found = {comparison["metric"]: comparison for comparison in document["comparisons"]}
    expected = sum(1 - value for value in scores(run_a, "ours", "ssim")) / 3
    assert found["ssim"]["difference"]["mean"] == pytest.approx(expected)
    assert (found["ssim"]["wins"], found["ssim"]["verdict"]) == (3, "undecided")
    assert (found["psnr"]["difference"], found["psnr"]["win_rate"]["mean"]) == (None, 1)
    assert found["change_outside"]["verdict"] == "equal"
    told = capsys.readouterr().out
    assert "Ours of b against Ours of a" in told and "hold an infinite value" in told


def test_every_sample_is_in_the_csv(compare, runs, tmp_path):
    run_a, run_b = runs
    compare(run_a, run_b, "--output", tmp_path / "out")
    with (tmp_path / "out" / "comparison.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "ssim"]
    assert [row["id"] for row in rows] == ["000", "001", "002"]
    assert [float(row["Ours of a"]) for row in rows] == scores(run_a, "ours", "ssim")
    for row in rows:
        assert float(row["difference"]) == pytest.approx(float(row["Ours of b"]) - float(row["Ours of a"]))


def test_page_shows_charts_and_the_samples_that_differ_most(compare, runs, tmp_path):
    compare(*runs, "--output", tmp_path / "out")
    text = (tmp_path / "out" / "comparison.html").read_text()
    assert "class='chart'" in text and "gain in SSIM" in text and "∞" in text
    # Source, which is the truth, mask, reference, both edits, of each card.
    assert text.count("<img ") == 5 * text.count("<article") > 0
    assert text.count("<figure class='names'") == text.count("<article")
    assert "src='http" not in text


def test_two_editors_of_one_run(compare, runs):
    run_a, _ = runs
    compare(run_a, run_a, "--editor_b", "fill")
    output = run_a / "comparisons" / "a.fill_against_a.ours"
    document = json.loads((output / "comparison.json").read_text())
    assert (document["first"]["label"], document["second"]["label"]) == ("Ours", "Fill")


def test_samples_of_one_run_only_are_said(compare, runs, tmp_path, capsys):
    run_a, run_b = runs
    results = json.loads((run_b / "results.json").read_text())
    change(run_b, edits=results["edits"][:2], samples=results["samples"][:2], metrics_code="older")
    compare(run_a, run_b, "--output", tmp_path / "out")
    told = capsys.readouterr().out
    assert "1 of 3 edits of Ours of a have no counterpart" in told
    assert "scored by different versions of the metrics" in told


def test_pictures_that_are_gone_are_said(compare, runs, tmp_path):
    run_a, run_b = runs
    (tmp_path / "set").rename(tmp_path / "moved")
    compare(run_a, run_b, "--output", tmp_path / "out")
    text = (tmp_path / "out" / "comparison.html").read_text()
    assert "no longer exists" in text and "<img " not in text


def test_other_pictures_are_refused(compare, evaluate, make_set, tmp_path):
    editors = {"ours": PASTE}
    run_a = evaluate({"sets": one_set(make_set("one")), "editors": editors, "output": str(tmp_path / "a")})
    run_b = evaluate({"sets": one_set(make_set("two", size=48)), "editors": editors, "output": str(tmp_path / "b")})
    with pytest.raises(UserError, match=r"show different pictures under the same id .000 of small, 001 of small"):
        compare(run_a, run_b)


def test_runs_without_a_common_sample_are_refused(compare, runs):
    run_a, run_b = runs
    edits = json.loads((run_b / "results.json").read_text())["edits"]
    change(run_b, edits=[{**edit, "seed": 9} for edit in edits])
    with pytest.raises(UserError, match=r"share no sample.*seeds 1,.*seeds 9,"):
        compare(run_a, run_b)


def test_metrics_of_other_networks_are_refused(compare, runs):
    for run, variant in zip(runs, ("AlexNet 1", "AlexNet 2"), strict=True):
        metrics = json.loads((run / "results.json").read_text())["metrics"]
        metrics["ssim"]["variant"] = variant
        change(run, metrics=metrics)
    with pytest.raises(UserError, match="SSIM by AlexNet 1 and by AlexNet 2"):
        compare(*runs)


def test_unknown_editor_and_one_and_the_same_are_refused(compare, runs):
    run_a, run_b = runs
    with pytest.raises(UserError, match=r"editor_b: .* has no editor theirs; choose from ours"):
        compare(run_a, run_b, "--editor_b", "theirs")
    with pytest.raises(UserError, match="both sides are ours"):
        compare(run_a, run_a)


def test_an_output_named_like_a_file_is_refused(compare, runs, tmp_path):
    with pytest.raises(UserError, match=r"comparison\.html would become a folder"):
        compare(*runs, "--output", tmp_path / "comparison.html")
    assert not (tmp_path / "comparison.html").exists()


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"edits": 3}'])
def test_damaged_results_are_refused(compare, runs, text):
    run_a, run_b = runs
    (run_b / "results.json").write_text(text)
    with pytest.raises(UserError, match="damaged"):
        compare(run_a, run_b)


@pytest.mark.parametrize("edits", [[3], [{}], [{"set": "small"}]])
def test_damaged_edits_are_refused(compare, runs, edits):
    change(runs[1], edits=edits)
    with pytest.raises(UserError, match=r"results\.json: damaged"):
        compare(*runs)


def test_folder_that_is_no_evaluation_is_refused(runs, tmp_path):
    with pytest.raises(UserError, match=r"holds no results\.json"):
        choose_sides(CompareConfig(run_a=runs[0], run_b=tmp_path))

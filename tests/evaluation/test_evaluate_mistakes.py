"""Mistakes of a whole evaluation, named before its first edit where they can be."""

from __future__ import annotations

from pathlib import Path

import pytest

from mimicbrush.errors import UserError
from mimicbrush.evaluation.config import BenchmarkSet, EvaluateConfig
from mimicbrush.evaluation.preconditions import check_evaluation
from tests.evaluation.small import BASELINES, IDENTITY, STAND_INS, mean_colour, one_set, strict_json


@pytest.mark.parametrize("broken", ["Shapeless", "Bytes", "Nothing", "TooFew"])
def test_what_is_no_edit_is_named(evaluate, make_set, broken):
    fields = {"sets": one_set(make_set()), "editors": {"odd": {"class_path": f"{STAND_INS}.{broken}"}}}
    with pytest.raises(UserError, match=rf"{broken} answered .* expected a"):
        evaluate(fields)


def test_unreadable_weights_of_a_chosen_metric_stop_before_the_first_edit(evaluate, make_set, tmp_path):
    (tmp_path / "alexnet.pth").write_bytes(b"no weights")
    fields = {
        "sets": one_set(make_set()),
        "editors": {"identity": IDENTITY},
        "models": {"alexnet": str(tmp_path / "alexnet.pth")},
    }
    with pytest.raises(UserError, match=r"metrics: lpips: .*does not hold torchvision's alexnet"):
        evaluate({**fields, "metrics": ["lpips"]})
    assert not (tmp_path / "out").exists()
    results = strict_json(evaluate(fields) / "results.json")
    assert "does not hold torchvision's alexnet" in results["metrics"]["lpips"]["not_computed"]
    assert results["edits"][0]["scores"]["lpips"] is None and results["edits"][0]["scores"]["psnr"] == "inf"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"editors": {"typo": {"class_path": f"{BASELINES}.Identiti"}}}, "Identiti"),
        ({"editors": {"fill": mean_colour(width=3)}}, "width"),
        ({"editors": {"nan": {"class_path": f"{STAND_INS}.Broken"}}}, "nan: all 3 edits failed, as listed above$"),
        (
            {"editors": {"x": {**IDENTITY, "references": "mixed"}}},
            'references: expected one of own, swapped, found "mixed"',
        ),
        ({"editors": {"x": {**IDENTITY, "weights": 1}}}, "editors.x"),
        ({"seeds": [1, 1]}, "each once"),
        ({"seeds": []}, "at least one"),
        ({"editors": {"x": {**IDENTITY, "seeds": [2, 2]}}}, "editors.x: seeds is .*each once"),
        ({"editors": {"x": {**IDENTITY, "seeds": [2, 3]}}}, r"expected \[1\] among them"),
        (
            {
                "editors": {
                    "x": {"class_path": "mimicbrush.editors.text2live.Text2LiveEditor", "init_args": {"clip": "a.bin"}}
                }
            },
            "editors.x: a.bin holds no network of transformers, expected clip",
        ),
        ({"sets": {"heldout": {"folder": ".", "task": "parts", "track": "inter_id"}}}, "choose another name"),
        ({"data_summaries": [__file__]}, "data_summaries: .*damaged"),
        ({"metrics": ["beauty"]}, "metrics names beauty"),
        ({"metrics": ["colour_distance"]}, "colour_distance applies to none of the sets"),
        ({"work": {"task": 2, "num_tasks": 2}}, "task is 2"),
        ({"editors": {"../up": IDENTITY}}, "names a folder"),
        ({"editors": {"bare": {"init_args": {}}}}, "class_path"),
        ({"heldout": {"shards": "nowhere"}}, "heldout.shards: nowhere: no such folder"),
        ({"training_run": "nowhere"}, "training_run: nowhere: no such folder"),
        ({"sets": one_set(Path("nowhere")), "inputs_from": "make demo"}, "the inputs are made by: make demo"),
    ],
)
def test_mistakes_end_in_a_user_error(evaluate, make_set, changes, named):
    with pytest.raises(UserError, match=named):
        evaluate({"sets": one_set(make_set()), "editors": {"identity": IDENTITY}, **changes})


def test_every_fault_is_named_at_once_before_anything_is_written(evaluate, make_set, tmp_path):
    good, bad = make_set("good"), make_set("bad")
    evaluate({"sets": one_set(good), "editors": {"fill": mean_colour(ring=5)}})
    (bad / "002_source_mask.png").unlink()
    before = sorted((tmp_path / "out").rglob("*"))
    fields = {
        "sets": {**one_set(good), "bad": {"folder": str(bad), "task": "parts", "track": "inner_id"}},
        "editors": {
            "fill": mean_colour(ring=3),
            "typo": {"class_path": f"{BASELINES}.Identiti"},
        },
        "metrics": ["colour_distance"],
    }
    with pytest.raises(UserError) as caught:
        evaluate(fields)
    for fault in (
        "002: source mask is missing",
        "colour_distance applies to none",
        "- editors.typo\n  - mimicbrush.editors.baselines.Identiti: no such class",
    ):
        assert fault in str(caught.value)
    assert sorted((tmp_path / "out").rglob("*")) == before
    (bad / "002_source_mask.png").write_bytes((bad / "001_source_mask.png").read_bytes())
    with pytest.raises(UserError, match=r"(?s)typo.*ring was 5, is 3"):
        evaluate(fields)


def test_all_that_is_missing_is_named_at_once():
    absent = {"class_path": "mimicbrush.editors.mimicbrush.MimicBrushEditor", "init_args": {"checkpoint": "nowhere"}}
    config = EvaluateConfig(
        output=Path("out"),
        sets={"lost": BenchmarkSet(folder=Path("lost"), task="parts", track="inner_id")},
        editors={"absent": absent},
        training_run=Path("never"),
        inputs_from="make demo",
    )
    with pytest.raises(UserError) as caught:
        check_evaluation(config)
    for fault in (
        "- lost: lost\n  - no such folder",
        "- training_run\n  - never: no such folder",
        "- editors.absent\n  - nowhere does not exist",
        "the inputs are made by: make demo",
    ):
        assert fault in str(caught.value)


def test_bad_set_stops_before_the_first_edit(evaluate, make_set, tmp_path):
    folder = make_set()
    (folder / "002_source_mask.png").unlink()
    with pytest.raises(UserError, match="002: source mask is missing"):
        evaluate({"sets": one_set(folder), "editors": {"identity": IDENTITY}})
    assert not (tmp_path / "out").exists()

"""The same command again: what goes on, what is scored anew, and what is another run."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from mimicbrush.errors import UserError
from mimicbrush.folder_lock import held
from tests.evaluation.small import BASELINES, IDENTITY, PASTE, STAND_INS, mean_colour, numbers, one_set, strict_json


def test_interrupted_evaluation_goes_on_where_it_stopped(evaluate, make_set):
    fields = {"sets": one_set(make_set(number=4)), "editors": {"paste": PASTE, "identity": IDENTITY}}
    output = evaluate(fields)
    before = numbers(output)
    lost, *kept = sorted((output / "edits" / "small" / "paste" / "1").glob("*.png"))
    times = [path.stat().st_mtime_ns for path in kept]
    content = lost.read_bytes()
    lost.unlink()

    evaluate({**fields, "batch_size": 3})

    assert [path.stat().st_mtime_ns for path in kept] == times
    assert lost.read_bytes() == content
    assert numbers(output) == before


def test_tasks_share_the_folder_and_a_whole_evaluation_has_it_alone(evaluate, make_set):
    fields = {"sets": one_set(make_set()), "editors": {"identity": IDENTITY}}
    output = evaluate(fields)
    with held(output, share="0000"):
        evaluate({**fields, "work": {"task": 1, "num_tasks": 2}})
        for refused in (fields, {**fields, "work": {"task": 0, "num_tasks": 2}}):
            with pytest.raises(UserError, match=f"{output} is held by process"):
                evaluate(refused)
    with held(output), pytest.raises(UserError, match=f"{output} is held by process"):
        evaluate({**fields, "work": {"task": 1, "num_tasks": 2}})
    evaluate(fields)


def test_editors_may_be_added_to_a_finished_evaluation(evaluate, make_set):
    fields = {"sets": one_set(make_set()), "editors": {"identity": IDENTITY}}
    output = evaluate(fields)
    evaluate({**fields, "editors": {"identity": IDENTITY, "paste": PASTE}})
    assert {edit["editor"] for edit in strict_json(output / "results.json")["edits"]} == {"identity", "paste"}


def test_seeds_may_be_added_to_a_finished_evaluation(evaluate, make_set):
    fields = {"sets": one_set(make_set()), "editors": {"noise": {"class_path": f"{STAND_INS}.SeededNoise"}}}
    output = evaluate({**fields, "seeds": [1]})
    first = output / "edits" / "small" / "noise" / "1" / "000.png"
    made = first.stat().st_mtime_ns
    evaluate({**fields, "seeds": [1, 2]})
    results = strict_json(output / "results.json")
    assert first.stat().st_mtime_ns == made
    assert [(edit["seed"], edit["id"]) for edit in results["edits"]] == [
        (seed, name) for seed in (1, 2) for name in ("000", "001", "002")
    ]
    (psnr,) = (mean for mean in results["means"] if mean["metric"] == "psnr_mask")
    # Two seeds of one photograph are one group.
    assert (psnr["count"], psnr["groups"]) == (6, 3)
    assert first.read_bytes() != (first.parents[1] / "2" / "000.png").read_bytes()


def test_each_sample_has_noise_of_its_own_and_edits_of_the_time_before_are_another_run(evaluate, make_set):
    folder = make_set(number=2)
    shutil.copy(folder / "000_source.png", folder / "001_source.png")
    fields = {"sets": one_set(folder), "editors": {"noise": {"class_path": f"{STAND_INS}.SeededNoise"}}, "seeds": [1]}
    edits = evaluate(fields) / "edits" / "small" / "noise" / "1"
    assert (edits / "000.png").read_bytes() != (edits / "001.png").read_bytes()
    config = edits / "config.yaml"
    config.write_text(config.read_text().replace("own_noise: true\n", ""))
    with pytest.raises(UserError, match="own_noise was False, is True"):
        evaluate(fields)


def test_an_editor_may_have_more_seeds_than_the_others(evaluate, make_set):
    noise = {"class_path": f"{STAND_INS}.SeededNoise"}
    fields = {"sets": one_set(make_set()), "editors": {"identity": IDENTITY, "noise": noise}}
    output = evaluate(fields)
    made = (output / "edits" / "small" / "noise" / "1" / "000.png").stat().st_mtime_ns
    evaluate({**fields, "editors": {"identity": IDENTITY, "noise": {**noise, "seeds": [1, 2]}}})
    edits = strict_json(output / "results.json")["edits"]
    assert {(edit["editor"], edit["seed"]) for edit in edits} == {("identity", 1), ("noise", 1), ("noise", 2)}
    assert (output / "edits" / "small" / "noise" / "1" / "000.png").stat().st_mtime_ns == made
    assert "seeds 1, 2" in (output / "report.html").read_text()


def test_prompts_may_be_written_after_the_edits_of_editors_that_need_none(evaluate, make_set):
    folder = make_set()
    fields = {"sets": one_set(folder), "editors": {"identity": IDENTITY}}
    evaluate(fields)
    (folder / "prompts.json").write_text(json.dumps({"001": "a red hat"}))
    evaluate(fields)


def test_changed_edits_are_scored_again(evaluate, make_set):
    fields = {"sets": one_set(make_set()), "editors": {"identity": IDENTITY}}
    output = evaluate(fields)
    Image.new("RGB", (40, 40)).save(output / "edits" / "small" / "identity" / "1" / "001.png")
    evaluate(fields)
    psnr = {edit["id"]: edit["scores"]["psnr"] for edit in strict_json(output / "results.json")["edits"]}
    assert psnr["000"] == psnr["002"] == "inf" and psnr["001"] < 20


def test_a_changed_reference_mask_is_scored_again_though_the_edit_is_the_same(evaluate, make_set, tmp_path):
    folder = make_set()
    fields = {"sets": one_set(folder, "inter_id"), "editors": {"identity": IDENTITY}}
    output = evaluate(fields)
    mask = np.zeros((30, 36), np.uint8)
    mask[:6, :6] = 255
    Image.fromarray(mask).save(folder / "001_reference_mask.png")
    shutil.rmtree(output / "edits")
    fresh = evaluate({**fields, "output": str(tmp_path / "fresh")})
    assert numbers(evaluate(fields)) == numbers(fresh)


def test_other_groups_are_another_run_where_references_are_swapped(evaluate, make_set):
    folder = make_set(number=4)
    fields = {"sets": one_set(folder), "editors": {"paste": {**PASTE, "references": "swapped"}}}
    evaluate(fields)
    (folder / "groups.json").write_text(json.dumps({"000": "a", "001": "b", "002": "a", "003": "b"}))
    with pytest.raises(UserError, match=r"references\.000 was 002_reference\.png, is 00[13]_reference\.png"):
        evaluate(fields)


def test_damaged_scores_and_records_are_mended_or_named(evaluate, make_set):
    fields = {"sets": one_set(make_set()), "editors": {"identity": IDENTITY}}
    output = evaluate(fields)
    before = numbers(output)
    for name, text in (("000", "{"), ("001", '{"scores": 3}'), ("002", "[]")):
        (output / "scores" / "small" / "identity" / "1" / f"{name}.json").write_text(text)
    assert numbers(evaluate(fields)) == before
    edited = output / "edits" / "small" / "identity" / "1" / "001.png"
    edited.write_bytes(edited.read_bytes()[:60])
    with pytest.raises(UserError, match=r"001\.png: not a readable picture .* delete it"):
        evaluate(fields)
    edited.unlink()
    assert numbers(evaluate(fields)) == before


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (
            {"editors": {"fill": {"class_path": f"{BASELINES}.MeanColour", "init_args": {"ring": 3}}}},
            "ring was 5, is 3",
        ),
    ],
)
def test_another_runs_output_is_refused(evaluate, make_set, changes, named):
    fields = {"sets": one_set(make_set()), "editors": {"fill": mean_colour(ring=5)}}
    evaluate(fields)
    with pytest.raises(UserError, match=named):
        evaluate({**fields, **changes})


def test_changed_pictures_are_another_run(evaluate, make_set):
    fields = {"sets": one_set(make_set()), "editors": {"identity": IDENTITY}}
    evaluate(fields)
    make_set(size=48)
    with pytest.raises(UserError, match="pictures was"):
        evaluate(fields)


def test_retrained_weights_are_another_run(evaluate, make_set, tmp_path):
    weights = tmp_path / "weights.ckpt"
    weights.write_bytes(b"first")
    editors = {"loaded": {"class_path": f"{STAND_INS}.Loaded", "init_args": {"checkpoint": str(weights)}}}
    fields = {"sets": one_set(make_set()), "editors": editors}
    evaluate(fields)
    weights.write_bytes(b"second")
    with pytest.raises(UserError, match="weights was"):
        evaluate(fields)


def test_mended_class_path_is_not_another_run(evaluate, make_set):
    fields = {"sets": one_set(make_set())}
    with pytest.raises(UserError):
        evaluate({**fields, "editors": {"identity": {"class_path": f"{BASELINES}.Identiti"}}})
    evaluate({**fields, "editors": {"identity": IDENTITY}})

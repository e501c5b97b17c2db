"""The whole command on small sets: edits and numbers."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mimicbrush.bench.metric_networks import write_networks
from mimicbrush.config import load_config
from mimicbrush.data.shards import write_shard
from mimicbrush.errors import UserError
from mimicbrush.evaluation.config import EvaluateConfig
from mimicbrush.evaluation.metrics.all_metrics import METRICS
from mimicbrush.model.weights.exported_folder import save_pretrained
from tests.conftest import make_pairs
from tests.evaluation.small import IDENTITY, PASTE, STAND_INS, numbers, one_set, strict_json

REPOSITORY = Path(__file__).parents[2]


def test_identity_is_perfect_and_its_infinity_is_json(evaluate, make_set):
    output = evaluate({"sets": one_set(make_set()), "editors": {"identity": IDENTITY}})
    results = strict_json(output / "results.json")
    scores = results["edits"][0]["scores"]
    assert scores["ssim"] == pytest.approx(1) and scores["psnr"] == scores["psnr_mask"] == "inf"
    assert scores["change_outside"] == 0
    (psnr,) = (mean for mean in results["means"] if mean["metric"] == "psnr")
    assert (psnr["mean"], psnr["low"], psnr["note"]) == ("inf", None, "3 of 3 values are infinite")
    assert "∞" in (output / "report.html").read_text()


def test_reference_paste_scores_what_a_hand_calculation_gives(evaluate, make_set):
    folder = make_set(number=2)
    for name, source, reference in (("000", 100, 150), ("001", 200, 80)):
        Image.fromarray(np.full((40, 40, 3), source, np.uint8)).save(folder / f"{name}_source.png")
        Image.fromarray(np.full((30, 36, 3), reference, np.uint8)).save(folder / f"{name}_reference.png")
    mask = np.zeros((40, 40), np.uint8)
    mask[10:30, 10:26] = 255
    Image.fromarray(mask).save(folder / "001_source_mask.png")
    output = evaluate({"sets": one_set(folder), "editors": {"paste": PASTE}})
    results = strict_json(output / "results.json")
    first, second = (edit["scores"] for edit in results["edits"])
    # The L covers 12 x 8 and 6 x 20 pixels, 48 of them twice, in a box of 12 x 20; each is off by 50.
    covered, box = 12 * 8 + 6 * 20 - 48, 12 * 20
    assert first["psnr_mask"] == pytest.approx(10 * math.log10(255**2 / 50**2))
    assert first["psnr"] == pytest.approx(10 * math.log10(255**2 / (50**2 * covered / box)))
    # A whole box of one colour, off by 120: two flat pictures have only their means to compare.
    assert second["psnr"] == second["psnr_mask"] == pytest.approx(10 * math.log10(255**2 / 120**2))
    constant = (0.01 * 255) ** 2
    assert second["ssim"] == pytest.approx((2 * 200 * 80 + constant) / (200**2 + 80**2 + constant))
    # Across the border 120 levels, none beside it; the source is flat.
    assert second["seam"] == pytest.approx(121)
    means = {mean["metric"]: mean["mean"] for mean in results["means"]}
    assert means["psnr"] == pytest.approx((first["psnr"] + second["psnr"]) / 2)


def test_numbers_do_not_depend_on_the_batch(evaluate, make_set, tmp_path):
    editors = {"noise": {"class_path": f"{STAND_INS}.SeededNoise"}}
    fields = {"sets": one_set(make_set(number=5), "inter_id"), "editors": editors}
    alone = evaluate({**fields, "batch_size": 1, "output": str(tmp_path / "alone")})
    together = evaluate({**fields, "batch_size": 4, "output": str(tmp_path / "together")})
    assert numbers(alone) == numbers(together)


@pytest.mark.parametrize("num_tasks", [2, 5])
def test_tasks_and_a_last_call_give_the_numbers_of_one(evaluate, make_set, tmp_path, num_tasks):
    editors = {
        "noise": {"class_path": f"{STAND_INS}.SeededNoise"},
        "swapped": {**PASTE, "references": "swapped"},
    }
    sets = {**one_set(make_set(number=4)), "more": {**one_set(make_set("more", 3))["small"], "track": "inter_id"}}
    fields = {"sets": sets, "editors": editors, "seeds": [3, 4]}
    alone = evaluate({**fields, "output": str(tmp_path / "alone")})
    for task in range(num_tasks):
        output = evaluate(
            {**fields, "output": str(tmp_path / "shared"), "work": {"task": task, "num_tasks": num_tasks}}
        )
        assert not (output / "results.json").exists()
    edited = {path: path.stat().st_mtime_ns for path in (tmp_path / "shared").rglob("[!.]*.[pj][ns][go]*")}
    assert len([path for path in edited if path.suffix == ".png"]) == 2 * 2 * 7
    evaluate({**fields, "output": str(tmp_path / "shared")})
    assert numbers(tmp_path / "shared") == numbers(alone)
    assert {path: path.stat().st_mtime_ns for path in edited} == edited


def largest_difference(ours: object, theirs: object) -> float:
    """Between numbers in nested lists and dicts that are otherwise equal."""
    if isinstance(ours, float) and isinstance(theirs, float):
        return abs(ours - theirs)
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys()
        return max((largest_difference(ours[key], theirs[key]) for key in ours), default=0)
    if isinstance(ours, list):
        return max((largest_difference(*pair) for pair in zip(ours, theirs, strict=True)), default=0)
    assert ours == theirs
    return 0


@pytest.mark.slow
def test_batches_order_tasks_and_resume_change_no_number(evaluate, make_set, tmp_path, network):
    """With the network's edits, and every metric on small random networks."""
    save_pretrained(network, tmp_path / "weights")
    models = asdict(write_networks(tmp_path / "networks", "tiny"))
    folders = make_set("inner", 3), make_set("inter", 3)
    (folders[1] / "prompts.json").write_text(json.dumps({f"00{number}": "a #red# thing" for number in range(3)}))
    sets = {
        "inner": {"folder": str(folders[0]), "task": "texture", "track": "inner_id"},
        "inter": {"folder": str(folders[1]), "task": "parts", "track": "inter_id"},
    }
    ours = {
        "class_path": "mimicbrush.editors.mimicbrush.MimicBrushEditor",
        "init_args": {"checkpoint": str(tmp_path / "weights"), "num_inference_steps": 2},
    }
    fields = {"editors": {"ours": ours, "paste": PASTE}, "models": models}

    def run(name: str, **changes) -> Path:
        return evaluate({"sets": sets, **fields, "output": str(tmp_path / name), **changes})

    alone = run("alone", batch_size=1)
    scores = [edit["scores"] for edit in strict_json(alone / "results.json")["edits"]]
    assert not any(value is None for score in scores for value in score.values())
    expected = {name for name, metric in METRICS.items() if metric.tracks & {"inner_id", "inter_id"}}
    assert {name for score in scores for name in score} == expected

    turned = run("turned", sets=dict(reversed(sets.items())), batch_size=3)
    for task in (1, 0):
        shared = run("shared", work={"task": task, "num_tasks": 2}, batch_size=2)
    for lost in ("edits/inner/ours/1/001.png", "scores/inter/paste/1/000.json", "reference_use/inner/ours.json"):
        (shared / lost).unlink()
    run("shared", batch_size=2)

    def sorted_numbers(output: Path) -> list:
        """Numbers of an evaluation, sorted: its sets or editors may come in another order."""
        edits, means = numbers(output)
        return [sorted(edits, key=lambda edit: edit[:4]), sorted(means, key=lambda mean: str(list(mean.values())[:3]))]

    for other in (turned, shared):
        assert largest_difference(sorted_numbers(alone), sorted_numbers(other)) < 1e-4
        use = [strict_json(folder / "results.json")["reference_use"] for folder in (alone, other)]
        assert largest_difference(*use) < 1e-4


def test_swapped_references_are_another_groups(evaluate, make_set):
    folder = make_set(number=3)
    (folder / "groups.json").write_text(json.dumps({"000": "a", "001": "a", "002": "b"}))
    for number, level in enumerate((10, 20, 30)):
        Image.fromarray(np.full((30, 36, 3), level, np.uint8)).save(folder / f"00{number}_reference.png")
    output = evaluate({"sets": one_set(folder), "editors": {"paste": {**PASTE, "references": "swapped"}}})
    pasted = [
        np.asarray(Image.open(output / "edits" / "small" / "paste" / "1" / f"00{number}.png"))[15, 10, 0]
        for number in range(3)
    ]
    assert pasted[0] == pasted[1] == 30 and pasted[2] in (10, 20)


def test_one_refused_edit_costs_no_other(evaluate, make_set):
    folder = make_set(number=4)
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(folder / "002_source.png")
    fields = {"sets": one_set(folder), "editors": {"choosy": {"class_path": f"{STAND_INS}.RefusesDark"}}}
    results = strict_json(evaluate(fields) / "results.json")
    failures = {edit["id"]: edit["failure"] for edit in results["edits"]}
    assert failures == {"000": "", "001": "", "002": "too dark: 0.000", "003": ""}
    (ssim,) = (mean for mean in results["means"] if mean["metric"] == "ssim")
    assert (ssim["count"], ssim["note"]) == (3, "1 of 4 not computed: the edit failed")


def test_what_an_edit_cost_is_recorded(evaluate, make_set):
    output = evaluate({"sets": one_set(make_set(number=1)), "editors": {"identity": IDENTITY}})
    (edit,) = strict_json(output / "results.json")["edits"]
    assert edit["seconds"] >= 0
    # Torch alone is larger than this.
    assert sys.platform != "linux" or edit["peak_memory"] > 50e6


def test_editors_guided_by_text_are_given_the_prompt(evaluate, make_set):
    folder = make_set(number=2)
    prompts = folder / "prompts.json"
    prompts.write_text(json.dumps({"001": "a #red# hat"}))
    fields = {"sets": one_set(folder), "editors": {"sentence": {"class_path": f"{STAND_INS}.Sentence"}}}
    edits = evaluate(fields) / "edits" / "small" / "sentence" / "1"
    levels = [np.asarray(Image.open(edits / name))[15, 10, 0] for name in ("000.png", "001.png")]
    assert levels == [0, len("a red hat")]
    prompts.write_text(json.dumps({"001": "a blue hat"}))
    with pytest.raises(UserError, match=r"prompts\.001 was a #red# hat, is a blue hat"):
        evaluate(fields)


def test_metrics_are_chosen_by_name(evaluate, make_set):
    output = evaluate({"sets": one_set(make_set()), "editors": {"identity": IDENTITY}, "metrics": ["psnr"]})
    assert strict_json(output / "results.json")["edits"][0]["scores"] == {"psnr": "inf"}


def test_report_shows_training_data_and_reference_use(evaluate, make_set, tmp_path):
    run, shards = tmp_path / "run", tmp_path / "shards"
    (run / "previews").mkdir(parents=True)
    write_shard(shards / "pairs-000000.tar", make_pairs(4), {})
    (run / "metrics.csv").write_text("step,loss,loss_inside\n10,1.5,1.75\n20,0.25,0.125\n")
    Image.new("RGB", (8, 8)).save(run / "loss.png")
    for step in (10, 20):
        Image.new("RGB", (8, 8)).save(run / "previews" / f"step-{step:07d}.png")
    summary = {"noun": "videos", "inputs": 9, "kept": 7, "pairs": 21, "skipped": {"too_short": {"a": "", "b": ""}}}
    summary["words"] = {"too_short": "too short"}
    (shards / "summary.json").write_text(json.dumps(summary))
    output = evaluate(
        {
            "sets": one_set(make_set(), "inter_id"),
            "editors": {"identity": IDENTITY},
            "heldout": {"shards": str(shards), "num_pairs": 4},
            "training_run": str(run),
            "data_summaries": [str(shards / "summary.json"), str(tmp_path / "absent.json")],
        }
    )
    report = (output / "report.html").read_text()
    for text in (
        "Not defined for Identity",
        "<td>1.50</td><td>0.250</td>",
        "After step 20",
        "too short (2)",
        "agreement with the source",
    ):
        assert text in report
    # Three samples: source, mask, reference, edit on a card, three of these in the first rows; curve, two previews.
    assert report.count("<img ") == 3 * (4 + 3) + 3
    assert "src='http" not in report
    assert strict_json(output / "results.json")["reference_use"] == {"heldout": {"identity": "not defined"}}


@pytest.mark.parametrize("path", sorted((REPOSITORY / "configs" / "eval").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_config_parses(path):
    config = load_config(EvaluateConfig, path)
    assert config.sets and config.editors
    assert path.read_text().startswith("# ")

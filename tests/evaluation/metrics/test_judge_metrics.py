"""How often the judge names an edit as its truth: here, a judge that tells red from blue, and bright from dark."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from mimicbrush.benchmark_layout import SampleFacts
from mimicbrush.evaluation.benchmark import material_of_reference
from mimicbrush.evaluation.config import ModelsConfig
from mimicbrush.evaluation.metrics.judge_network import Judge, Named, save_judge
from mimicbrush.evaluation.metrics.models import Models
from mimicbrush.evaluation.metrics.score import EditedPicture, Score
from tests.evaluation.metrics.edits import make_edit, score

RED, BLUE, DARK_RED = (255, 0, 0), (0, 0, 255), (120, 0, 0)
FACTS = SampleFacts(scoring="exact", vocabulary="seen", object="ball", material="red")


class ColourJudge:
    """Names bright crops a ball and dark ones a box, and the stronger of red and blue."""

    size, context = 8, 1.0
    objects, materials = ("ball", "box"), ("red", "blue")

    def name(self, crops: Tensor) -> list[Named]:
        red, _, blue = crops[0].mean(dim=(1, 2)).tolist()
        return [Named("ball" if red + blue > 0.5 else "box", "red" if red > blue else "blue")]


@pytest.fixture
def models() -> Models:
    models = Models(device="cpu")
    models._loaded["judge"] = ColourJudge()
    return models


def edit_of(edited: tuple, truth: tuple = RED, **changes) -> EditedPicture:
    """A green picture in which a square is painted."""
    mask = np.zeros((32, 32), bool)
    mask[8:24, 8:24] = True

    def painted(colour: tuple) -> np.ndarray:
        return np.where(mask[..., None], np.uint8(colour), np.uint8((0, 255, 0)))

    fields = {"mask": mask, "edited": painted(edited), "truth": painted(truth), "truth_mask": mask, "facts": FACTS}
    return make_edit(source=painted((0, 255, 0)), **fields | changes)


@pytest.mark.parametrize(
    ("edited", "object_", "material"), [(RED, 100, 100), (BLUE, 100, 0), (DARK_RED, 0, 100), ((0, 0, 90), 0, 0)]
)
def test_an_edit_is_named_as_its_truth_or_not(edited, object_, material, models):
    edit = edit_of(edited)
    assert score(edit, "judge_object", models) == Score(object_)
    assert score(edit, "judge_material", models) == Score(material)
    assert score(edit, "judge_object_truth", models) == score(edit, "judge_material_truth", models) == Score(100)


def test_an_edit_whose_truth_the_judge_misnames_has_no_score(models):
    edit = edit_of(RED, truth=BLUE)
    assert score(edit, "judge_object", models) == Score(100)
    assert score(edit, "judge_material", models) == Score(None, "the judge names another material in the truth itself")
    assert score(edit, "judge_material_truth", models) == Score(0)


def test_a_sample_without_a_name_is_not_judged(models):
    edit = edit_of(RED, facts=replace(FACTS, material=None))
    assert score(edit, "judge_material", models) == Score(None, "the sample names no material")
    assert score(edit, "judge_object", models) == Score(100)
    unknown = edit_of(RED, facts=replace(FACTS, object="toad"))
    assert score(unknown, "judge_object", models) == Score(None, "the judge knows no object called toad")
    hidden = edit_of(RED, truth_mask=np.zeros((32, 32), bool))
    assert score(hidden, "judge_object", models) == Score(None, "the truth shows no object")


def test_swapped_references_are_scored_by_both_materials(models):
    followed = edit_of(BLUE, given_material="blue")
    assert score(followed, "judge_given_material", models) == Score(100)
    assert score(followed, "judge_material", models) == Score(0)
    ignored = edit_of(RED, given_material="blue")
    assert score(ignored, "judge_given_material", models) == Score(0)
    assert score(ignored, "judge_material", models) == Score(100)
    assert score(edit_of(RED), "judge_given_material", models) == Score(100)
    for name in ("judge_material", "judge_given_material"):
        reason = "the reference of the other sample has the same material"
        assert score(edit_of(RED, given_material="red"), name, models) == Score(None, reason)


def test_the_material_of_a_reference_is_that_of_its_sample(tmp_path):
    facts = {"scoring": "exact", "vocabulary": "seen"}
    samples = {"000_same": facts | {"material": "red"}, "001_same": facts | {"material": "blue dotted"}}
    (tmp_path / "samples.json").write_text(json.dumps(samples))
    assert material_of_reference(tmp_path / "001_same_reference.png") == "blue dotted"


def test_a_judge_of_a_folder_is_found_described_and_loaded(tmp_path):
    judge = Judge(["ball", "box"], ["red", "blue"])
    with torch.no_grad():
        judge.object_head.bias.copy_(torch.tensor([100.0, 0.0]))  # names every object a ball
    save_judge(judge, tmp_path)
    models = Models(ModelsConfig(judge=str(tmp_path)), device="cpu")
    assert models.missing(["judge"]) == {}
    assert models.variant("judge").startswith(f"Judge ({tmp_path}, ")
    assert models.load("judge").materials == ("red", "blue")
    assert score(edit_of(RED), "judge_object", models) == Score(100)


def test_a_missing_judge_is_named_with_what_to_do(tmp_path):
    found = Models(ModelsConfig(judge=str(tmp_path / "none"))).missing(["judge"])["judge"]
    assert found == (
        f"{tmp_path}/none: no folder with a config.json; correct models.judge, or leave it out to use asset:judge"
    )
    unknown = Models(ModelsConfig(judge="asset:jury")).missing(["judge"])["judge"]
    assert unknown.startswith("asset:jury: no such weights come with this package; there are asset:")

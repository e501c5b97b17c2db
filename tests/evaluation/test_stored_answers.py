"""Pictures made elsewhere in an evaluation: the same scores as those made here, and everything missing named first."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from mimicbrush.errors import UserError
from tests.evaluation.small import PASTE, one_set, strict_json


def stored(folder, **others) -> dict:
    arguments = {"folder": str(folder), **others}
    return {"class_path": "mimicbrush.editors.pictures_from_folder.PicturesFromFolder", "init_args": arguments}


def test_stored_pictures_score_as_the_editor_that_made_them(evaluate, make_set, tmp_path):
    asked = {"sets": one_set(make_set()), "editors": {"paste": PASTE}, "metrics": ["psnr", "seam"]}
    output = evaluate(asked)
    shutil.copytree(output / "edits" / "small" / "paste" / "1", tmp_path / "elsewhere")
    asked["editors"]["theirs"] = {**stored(tmp_path / "elsewhere"), "title": "Another lab's method"}
    results = strict_json(evaluate(asked) / "results.json")

    edits = {(edit["editor"], edit["id"]): edit for edit in results["edits"]}
    for name in ("000", "001", "002"):
        assert edits["theirs", name]["scores"] == edits["paste", name]["scores"]
        assert edits["theirs", name]["seconds"] is None and edits["paste", name]["seconds"] > 0
    assert {each["metric"]: each["verdict"] for each in results["comparisons"]} == {"psnr": "equal", "seam": "equal"}

    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / "elsewhere" / "001.png")
    with pytest.raises(UserError, match="holds another run in edits/small/theirs/1"):
        evaluate(asked)


def test_missing_pictures_are_named_together_before_anything_is_written(evaluate, make_set, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    Image.new("RGB", (40, 40)).save(tmp_path / "elsewhere" / "001.png")
    fields = {"sets": one_set(make_set()), "editors": {"paste": PASTE, "theirs": stored(tmp_path / "elsewhere")}}
    with pytest.raises(UserError, match=r"editors.theirs: .*elsewhere lacks 2 of 3 pictures: 000.png, 002.png"):
        evaluate(fields)
    assert not (tmp_path / "out").exists()


def test_two_sets_with_the_same_ids_are_refused(evaluate, make_set, tmp_path):
    sets = one_set(make_set("a")) | {"other": one_set(make_set("b"))["small"]}
    with pytest.raises(UserError, match="several sets have the sample 000, 001, 002; evaluate each set by a config"):
        evaluate({"sets": sets, "editors": {"theirs": stored(tmp_path)}})

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from mimicbrush.errors import UserError
from mimicbrush.evaluation.build.config import CollectionConfig, InnerIdConfig, RebuildConfig, SizeConfig
from mimicbrush.evaluation.build.inner_id import build_inner_id
from mimicbrush.evaluation.build.rebuild import rebuild_set
from mimicbrush.evaluation.build.recipe import read_recipe

PHOTOGRAPHS = ["dog/00.jpg", "dog/01.jpg", "cat/00.jpg", "cat/01.png"]


@pytest.fixture
def built(make_photographs, tmp_path) -> Path:
    """A set of two triplets with masks by GrabCut."""
    subjects = CollectionConfig(folder=make_photographs(*PHOTOGRAPHS))
    size = SizeConfig(max_side=128, min_side=64)
    build_inner_id(InnerIdConfig(subjects=subjects, output=tmp_path / "set", task="texture", size=size))
    return tmp_path / "set"


def test_others_get_the_same_bytes_from_photographs_under_other_names(built, tmp_path):
    for number, file in enumerate(PHOTOGRAPHS):
        copy = tmp_path / "theirs" / "deep" / f"{number}{Path(file).suffix}"
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tmp_path / "photographs" / file, copy)
    (tmp_path / "theirs" / "folder.png").mkdir()
    config = RebuildConfig(recipe=built / "recipe.json", photographs=[tmp_path / "theirs"], output=tmp_path / "again")
    rebuild_set(config)
    files = [path for path in sorted(built.iterdir()) if path.suffix == ".png" or path.name == "groups.json"]
    assert len(files) == 9
    for path in [*files, built / "recipe.json"]:
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name
    assert "made 2 of 2 triplets; skipped 0 of 4 photographs" in (tmp_path / "again" / "contact_sheet.html").read_text()
    rebuild_set(config)  # resumes


def test_a_recipe_holds_checksums_boxes_and_seeds_but_no_picture_and_no_path(built, tmp_path):
    text = (built / "recipe.json").read_text()
    recipe = json.loads(text)
    source = recipe["triplets"][0]["source"]
    assert source["sha256"] == hashlib.sha256((tmp_path / "photographs" / source["file"]).read_bytes()).hexdigest()
    assert source["mask"] == {"method": "grabcut", "iterations": 5, "seed": 0, "central_box": 0.9}
    assert set(recipe["masks"]) == {f"00{n}_{part}_mask.png" for n in (0, 1) for part in ("source", "reference")}
    assert str(tmp_path) not in text
    assert len(text) < min(path.stat().st_size for path in built.glob("*_source.png"))


def test_missing_and_changed_photographs_are_named_together_and_nothing_is_written(built, tmp_path):
    (tmp_path / "photographs" / "dog" / "00.jpg").unlink()
    with (tmp_path / "photographs" / "cat" / "01.png").open("ab") as file:
        file.write(b"more")
    config = RebuildConfig(
        recipe=built / "recipe.json", photographs=[tmp_path / "photographs"], output=tmp_path / "again"
    )
    with pytest.raises(UserError) as caught:
        rebuild_set(config)
    assert "2 of 4 photographs are not there, or changed" in str(caught.value)
    assert "dog/00.jpg (SHA-256 " in str(caught.value) and "cat/01.png (SHA-256 " in str(caught.value)
    assert not list((tmp_path / "again").glob("*.png"))


def test_a_file_that_differs_is_named_with_the_versions(built, tmp_path):
    recipe = json.loads((built / "recipe.json").read_text())
    recipe["files"]["001_source.png"] = "0" * 64
    (tmp_path / "other.json").write_text(json.dumps(recipe))
    config = RebuildConfig(
        recipe=tmp_path / "other.json", photographs=[tmp_path / "photographs"], output=tmp_path / "a"
    )
    with pytest.raises(
        UserError, match=r"1 of 9 files differ from the recipe: 001_source.png; it was made with .*pillow"
    ):
        rebuild_set(config)


@pytest.mark.parametrize(
    "damage",
    [
        lambda recipe: recipe["triplets"][0]["source"].pop("sha256"),
        lambda recipe: recipe["triplets"][0].update(id="../../escaped"),
        lambda recipe: recipe["files"].update({"../config.yaml": "0" * 64}),
        lambda recipe: recipe["masks"].update({"000_source_mask.png": None}),
        lambda recipe: recipe.update(task="textures"),
        lambda recipe: recipe.update(track="truth"),
        lambda recipe: recipe.update(files=[]),
        lambda recipe: recipe.clear(),
    ],
)
def test_a_damaged_recipe_is_refused(tmp_path, damage):
    side = {"file": "dog/00.jpg", "sha256": "0" * 64}
    recipe = {
        "task": "texture",
        "track": "inner_id",
        "size": {},
        "versions": {},
        "triplets": [{"id": "000", "group": "dog", "prompt": None, "source": dict(side), "reference": dict(side)}],
        "masks": {"000_source_mask.png": "", "000_reference_mask.png": ""},
        "files": {"000_source.png": "0" * 64},
    }
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(recipe))
    assert read_recipe(path) == recipe
    damage(recipe)
    path.write_text(json.dumps(recipe))
    with pytest.raises(UserError, match="damaged, or not the recipe"):
        read_recipe(path)

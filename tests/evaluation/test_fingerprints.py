from __future__ import annotations

import json
import shutil

import pytest

from mimicbrush.evaluation.config import EditorSpec
from mimicbrush.evaluation.fingerprints import recommended_to, weights_of
from mimicbrush.hub.locations import shipped

CLASS_PATH = "mimicbrush.editors.mimicbrush.MimicBrushEditor"
SAMPLER = {"scheduler": "DPMSolverMultistepScheduler", "timestep_spacing": "trailing"}


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({}, {"num_inference_steps": 8, "guidance_scale": 3.0, **SAMPLER}),
        ({"guidance_scale": 2.0}, {"num_inference_steps": 8, **SAMPLER}),
        ({"guidance_scale": 2.0, "num_inference_steps": 30}, SAMPLER),
    ],
)
def test_edits_depend_on_what_the_weights_recommend_where_the_editor_is_given_nothing(given, left):
    assert recommended_to(EditorSpec(class_path=CLASS_PATH, init_args={"checkpoint": "asset:tiny", **given})) == left


def test_older_weights_leave_an_evaluation_as_it_was(tmp_path):
    for name in ("model_index.json", "network.json"):
        shutil.copy(f"{shipped('asset:tiny')}/{name}", tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    del index["recommended"]
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    assert recommended_to(EditorSpec(class_path=CLASS_PATH, init_args={"checkpoint": str(tmp_path)})) == {}
    assert recommended_to(EditorSpec(class_path=CLASS_PATH, init_args={"checkpoint": "not/weights"})) == {}


@pytest.mark.parametrize(
    ("class_path", "folder"),
    [
        ("mimicbrush.editors.through_atlas.ThroughAtlasEditor", "atlases"),
        ("mimicbrush.editors.text2live.Text2LiveClipEditor", "atlases"),
        ("mimicbrush.editors.genvideo.GenVideoEditor", "tuned_clips"),
    ],
)
def test_what_edits_add_to_their_own_folder_is_no_other_evaluation(class_path, folder, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "weights.pt").write_bytes(b"a")
    spec = EditorSpec(
        class_path=class_path, init_args={folder: str(tmp_path / "own"), "a": str(tmp_path / "weights.pt")}
    )
    before = weights_of(spec)
    (tmp_path / "own" / "atlas.pt").write_bytes(b"made by an edit")
    assert weights_of(spec) == before
    (tmp_path / "weights.pt").write_bytes(b"b")
    assert weights_of(spec) != before

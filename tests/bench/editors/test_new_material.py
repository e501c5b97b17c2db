"""Pairs and edits of a new material: what trains has it on both sides, what is asked for has it in the truth alone."""

from __future__ import annotations

import numpy as np
import pytest

from data_prep.photographs.source_to_pairs import shard_photographs
from mimicbrush.bench.editors.config import NewMaterialConfig
from mimicbrush.bench.editors.new_material import draw, draw_edits, render_new_material
from mimicbrush.config import load_config
from mimicbrush.data.shard_index import require_shards
from mimicbrush.errors import UserError
from mimicbrush.evaluation.benchmark import list_samples
from mimicbrush.evaluation.config import EvaluateConfig
from mimicbrush.pictures.reading import read_image
from tests.conftest import REPOSITORY
from tests.data_prep.photographs.conftest import config_for


def small(folder, **changes) -> NewMaterialConfig:
    return NewMaterialConfig(output=folder, **{"num_pairs": 2, "num_heldout_pairs": 2, "num_sources": 2} | changes)


def test_the_material_is_in_every_pair_and_in_the_truth_but_not_in_the_source(tmp_path):
    config = small(tmp_path)
    for number in range(8):
        drawn = draw("pairs", number, config)
        shown = {scene.subject.material.name for scene in drawn[:3]}
        assert shown == {"red zigzag"} and drawn.other_name != drawn.combination.object
        for edit in draw_edits(number, config):
            assert edit.truth[0].subject.material.name == edit.reference.subject.material.name == "red zigzag"
            assert edit.source[0].subject.material.name == edit.facts.source_material != "red zigzag"
            assert edit.source[0].subject.pose == edit.truth[0].subject.pose
    assert {edit.facts.reference_object == edit.facts.object for edit in draw_edits(1, config)} == {True, False}


def test_training_and_evaluation_read_what_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr("data_prep.shard_report.report_page.training_view", lambda samples: [])
    render_new_material(small(tmp_path / "out"))
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").rglob("*.png")}
    folders = ("pairs", "heldout_pairs")
    pairs, heldout = ({path.name for path in (tmp_path / "out" / folder).iterdir()} for folder in folders)
    assert len(pairs) == len(heldout) == 6 and not pairs & heldout
    shard_photographs(config_for(tmp_path / "out" / "pairs", tmp_path / "shards"))
    require_shards(tmp_path / "shards")
    evaluation = load_config(EvaluateConfig, REPOSITORY / "configs" / "eval" / "new_material.yaml")
    members = evaluation.sets["new_material"]
    samples = list_samples(type(members)(**vars(members) | {"folder": tmp_path / "out" / "set"}))
    assert [sample.id for sample in samples] == ["000_other", "000_same", "001_other", "001_same"]
    assert sorted({sample.group for sample in samples}) == ["000", "001"]
    source, truth = (read_image(tmp_path / "out" / "set" / f"000_same_{name}.png") for name in ("source", "truth"))
    assert np.abs(source.numpy() - truth.numpy()).max() > 0.2
    render_new_material(small(tmp_path / "out"))
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "out").rglob("*.png")}


@pytest.mark.parametrize("material", ["red", "brick", "no such material"])
def test_a_material_that_is_not_new_is_refused_before_anything_is_written(tmp_path, material):
    with pytest.raises(UserError, match=f"material is {material}, expected one that no training shows: .*zigzag"):
        render_new_material(small(tmp_path / "out", material=material))
    assert not (tmp_path / "out").exists()

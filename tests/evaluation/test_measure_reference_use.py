from __future__ import annotations

import pytest
import torch

from mimicbrush.data.shards import write_shard
from mimicbrush.editors.baselines import Identity
from mimicbrush.evaluation.benchmark import list_samples
from mimicbrush.evaluation.config import BenchmarkSet, EditorSpec, HeldoutConfig
from mimicbrush.evaluation.measure_reference_use import (
    ReferenceUseMeasurement,
    measure_all,
    read_reference_use,
    record_reference_use,
)
from mimicbrush.pictures.reading import read_mask
from mimicbrush.statistics import Interval
from tests.conftest import make_pairs

SHARES = {"another / both": Interval(0.75, 0.6, 0.9, 8, 4)}


class Judge(Identity):
    """Measures nothing, and keeps what it was given."""

    def __init__(self, canvas_size: int) -> None:
        self.canvas_size = canvas_size

    def measure_reference_use(self, batches, *, seed, keep_shape):
        self.batches, self.seed, self.keep_shape = batches, seed, keep_shape
        return SHARES


def test_measured_once_on_the_editors_own_size(tmp_path):
    editor = Judge(64)
    write_shard(tmp_path / "pairs-000000.tar", make_pairs(8), {})
    path = tmp_path / "use" / "editor.json"
    record_reference_use(editor, path, HeldoutConfig(shards=tmp_path, num_pairs=8), seed=3)
    assert (editor.seed, editor.keep_shape) == (3, False)
    assert torch.cat([batch.source for batch in editor.batches]).shape == (8, 3, 64, 64)
    assert read_reference_use(path) == SHARES


def test_samples_of_a_set_are_judged_as_pairs_with_their_shape(tmp_path, make_set):
    folder = make_set(number=3)
    samples = list_samples(BenchmarkSet(folder=folder, task="texture", track="inner_id"))
    editor = Judge(80)
    record_reference_use(editor, tmp_path / "use.json", samples, seed=0, batch_size=2)
    first, second = editor.batches
    assert editor.keep_shape
    assert (first.key, second.key) == (["000", "001"], ["002"]) and len({*first.group, *second.group}) == 3
    mask = read_mask(folder / "000_source_mask.png")
    # The set's pictures are 40 pixels square: the canvas is twice that.
    assert first.mask[0, 0, ::2, ::2].sum() == pytest.approx(float(mask.sum()), rel=0.2)
    assert set(first.mask.unique().tolist()) == {0, 1}


def test_samples_of_one_group_have_no_wrong_reference(tmp_path, make_set):
    folder = make_set(number=2)
    (folder / "groups.json").write_text('{"000": "one", "001": "one"}')
    samples = list_samples(BenchmarkSet(folder=folder, task="texture", track="inner_id"))
    record_reference_use(Judge(64), tmp_path / "use.json", samples, seed=0)
    assert read_reference_use(tmp_path / "use.json") is None


def test_not_defined_for_an_editor_without_noise_prediction(tmp_path):
    path = tmp_path / "identity.json"
    record_reference_use(Identity(), path, HeldoutConfig(shards=tmp_path), seed=0)
    assert read_reference_use(path) is None


def test_an_editor_that_cannot_measure_is_not_loaded(tmp_path):
    path = tmp_path / "use.json"
    spec = EditorSpec(class_path="tests.evaluation.small.Loaded", init_args={"checkpoint": 1, "unknown": 2})
    heldout = HeldoutConfig(shards=tmp_path)
    measure_all(
        [ReferenceUseMeasurement(editor="loaded", spec=spec, pairs_name="heldout", pairs=heldout, seed=0, path=path)]
    )
    assert read_reference_use(path) is None

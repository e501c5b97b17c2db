from __future__ import annotations

from types import SimpleNamespace

import torch

from mimicbrush.editors.baselines import Identity
from mimicbrush.evaluation.reference_use import read_reference_use, record_reference_use
from mimicbrush.evaluation.run import HeldoutConfig
from mimicbrush.statistics import Interval


def test_measured_once_on_the_editors_own_size(tmp_path):
    editor = Identity()
    editor.network = SimpleNamespace(size=64)
    told = {}

    def load_batches(shards, size, num_pairs, seed):
        told.update(shards=shards, size=size, num_pairs=num_pairs, seed=seed)
        return [torch.zeros(1)]

    def measure(network, batches, *, seed, progress):
        told.update(network=network, batches=batches)
        return {"another / both": Interval(0.75, 0.6, 0.9, 8, 4)}

    heldout = HeldoutConfig(shards=tmp_path, num_pairs=8)
    path = tmp_path / "use" / "editor.json"
    record_reference_use(editor, path, heldout, seed=3, load_batches=load_batches, measure=measure)
    assert told == {
        "shards": tmp_path,
        "size": 64,
        "num_pairs": 8,
        "seed": 3,
        "network": editor.network,
        "batches": [torch.zeros(1)],
    }
    assert read_reference_use(path) == {"another / both": Interval(0.75, 0.6, 0.9, 8, 4)}


def test_not_defined_for_an_editor_without_noise_prediction(tmp_path):
    path = tmp_path / "identity.json"
    record_reference_use(Identity(), path, HeldoutConfig(shards=tmp_path), seed=0)
    assert read_reference_use(path) is None

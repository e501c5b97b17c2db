"""The benchmark of atlases: its clip, and its lines for both kinds of networks."""

from __future__ import annotations

import re

from mimicbrush.atlas.layered_atlas import published_atlas
from mimicbrush.bench.atlases import atlas_quality
from mimicbrush.bench.atlases.config import AtlasBenchConfig


def test_both_are_trained_and_reported(capsys, monkeypatch):
    monkeypatch.setattr(atlas_quality, "PUBLISHED_BATCH", 16)
    monkeypatch.setattr(atlas_quality, "published_atlas", lambda: published_atlas(width=4))
    config = AtlasBenchConfig(num_frames=2, width=24, num_steps=2, published_seconds=1e-3, warm_up_steps=1)
    atlas_quality.bench_atlas(config)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "clip 1 of the small world, 2 frames of 24 x 16 pixels"
    assert [re.sub(r", .*", "", line) for line in lines[1:]] == [
        "trained atlas: step 1",
        "trained atlas: step 2",
        "published networks: step 1",
    ]

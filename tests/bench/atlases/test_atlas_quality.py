"""The benchmark of atlases: its clip, its lines for both kinds of networks, and the error of coordinates."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from mimicbrush.atlas.atlas_training import AtlasTraining
from mimicbrush.atlas.first_motion import first_atlas
from mimicbrush.atlas.layered_atlas import published_atlas
from mimicbrush.bench.atlases import atlas_quality
from mimicbrush.bench.atlases.config import AtlasBenchConfig
from mimicbrush.bench.atlases.world_clip import coordinate_error, world_clip
from mimicbrush.errors import UserError
from mimicbrush.world.renderer.exact_flow import BACKGROUND, exact_flow

PIXELS_APART = re.compile(r"coordinate error: object \d+\.\d\d pixels, background \d+\.\d\d")


@pytest.fixture
def config(monkeypatch, tmp_path) -> AtlasBenchConfig:
    monkeypatch.setattr(atlas_quality, "PUBLISHED_BATCH", 16)
    monkeypatch.setattr(atlas_quality, "published_atlas", lambda: published_atlas(width=4))
    sizes = {"num_frames": 2, "width": 24, "num_steps": 2, "published_seconds": 1e-3, "warm_up_steps": 1}
    return AtlasBenchConfig(clips=[1], output=tmp_path, **sizes)


def test_both_are_trained_and_reported(config, capsys):
    atlas_quality.bench_atlas(config)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "clip 1 of the small world, 2 frames of 24 x 16 pixels"
    assert sorted(re.sub(r", .*", "", line) for line in lines[1:4]) == [
        "published networks: step 1",
        "trained atlas: step 1",
        "trained atlas: step 2",
    ]
    assert re.match(r"published networks: \d+\.\d\d dB after 0 CPU seconds; the trained atlas ", lines[4])
    assert PIXELS_APART.fullmatch(lines[5])


def test_a_mistaken_option_leaves_the_folder_free(config, tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        atlas_quality.bench_atlas(replace(config, flow="nowhere"))
    assert not any(tmp_path.iterdir())


def test_stopped_run_resumes_at_its_step_with_its_reports(config, capsys, monkeypatch):
    run_step, seen = AtlasTraining.run_step, []

    def run_two(training: AtlasTraining) -> float:
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(training.step)
        return run_step(training)

    monkeypatch.setattr(AtlasTraining, "run_step", run_two)
    with pytest.raises(KeyboardInterrupt):
        atlas_quality.bench_atlas(config)
    before = capsys.readouterr().out.splitlines()
    seen.append(None)
    warm_ups = []
    monkeypatch.setattr(atlas_quality, "warm_up", lambda *_: warm_ups.append(1))
    atlas_quality.bench_atlas(config)
    after = capsys.readouterr().out.splitlines()
    assert seen == [0, 0, None, 1] and not warm_ups
    assert sorted(before[1:]) == sorted(after[1:3]) and "trained atlas: step 2" in after[3]


def test_coordinate_error_of_a_map_that_stands_still():
    """Such a map is wrong by the motion of each point."""
    clip = world_clip(1, num_frames=2, width=48, flow="asset:flow", seed=0)
    atlas = first_atlas(clip.training)
    for layer in ("foreground", "background"):
        atlas.mappings[layer].affine.data[:] = torch.eye(2, 3)
    flow, visible, front = exact_flow(clip.scenes[1], clip.scenes[0], 48)
    rows = slice(clip.top, clip.top + 32)
    row = np.arange(32)[:, None] + flow[1, rows]
    inside = visible[rows] & (row >= 0) & (row <= 31)
    for layer, own in (("foreground", front[rows] != BACKGROUND), ("background", front[rows] == BACKGROUND)):
        moved = np.hypot(*flow[:, rows])[own & inside].mean()
        assert coordinate_error(atlas, clip, layer) == pytest.approx(moved, rel=1e-3)
    atlas.mappings["foreground"].affine.data[0, :, 2] += 1.0 / 24
    shifted = np.hypot(flow[0, rows] + 1, flow[1, rows] + 1)[(front[rows] != BACKGROUND) & inside].mean()
    assert coordinate_error(atlas, clip, "foreground") == pytest.approx(shifted, rel=0.02)

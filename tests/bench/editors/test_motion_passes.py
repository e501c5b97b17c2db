from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mimicbrush.bench.editors.config import MotionBenchConfig, MotionMemoryConfig
from mimicbrush.bench.editors.motion_memory import bench_motion_memory
from mimicbrush.bench.editors.motion_passes import bench_motion
from mimicbrush.errors import UserError
from mimicbrush.flow.flow_files import write_flow

SHIFT = (9, 4)
PLACE, MOVED = (slice(5, 12), slice(3, 11)), (slice(9, 16), slice(12, 20))


@pytest.fixture
def motion_set(tmp_path) -> Path:
    """One sample of 32 pixels: a random block on a ramp, shifted."""
    ramp = np.tile(np.linspace(30, 200, 32).astype(np.uint8)[:, None], (32, 1, 3))
    block = np.random.default_rng(0).integers(0, 256, (7, 8, 3)).astype(np.uint8)
    source, truth, mask = ramp.copy(), ramp.copy(), np.zeros((32, 32), np.uint8)
    source[PLACE], truth[MOVED], mask[PLACE] = block, block, 255
    flow = np.zeros((1, 2, 32, 32), np.float32)
    flow[0][:, *PLACE] = np.array(SHIFT)[:, None, None]
    for name, picture in (("source", source), ("truth", truth), ("object_mask", mask)):
        Image.fromarray(picture).save(tmp_path / f"000_{name}.png")
    write_flow(flow, tmp_path / "000_flow.npz")
    return tmp_path


def test_edits_are_measured_once_and_put_the_object_at_its_place(motion_set, capsys):
    output = motion_set / "motion.json"
    config = MotionBenchConfig(motion_set=motion_set, num_samples=1, rows=("warped, 20 steps x 2",), output=output)
    bench_motion(config)
    (edit,) = json.loads(output.read_text())["edits"]
    assert (edit["unet"], edit["decoder"], edit["flow_network"], edit["error"]) == (24, 21, 0, 0.0)
    edit["error"] = 7.5
    output.write_text(json.dumps({"edits": [edit]}))
    bench_motion(config)
    assert capsys.readouterr().out.rstrip().splitlines()[-1].split()[-3:-1] == ["7.5", "7.5"]


def test_too_few_samples_and_unknown_settings_are_named(motion_set):
    with pytest.raises(UserError, match="has 1 samples of shifted objects, expected 4"):
        bench_motion(MotionBenchConfig(motion_set=motion_set))
    with pytest.raises(UserError, match="rows: there is no fast; choose from released, noise, 100 steps x 5"):
        bench_motion(MotionBenchConfig(motion_set=motion_set, num_samples=1, rows=("fast",)))


@pytest.mark.slow
def test_gradient_checkpointing_saves_memory(tmp_path):
    bench_motion_memory(MotionMemoryConfig(size=128, output=tmp_path / "memory.json"))
    rows = json.loads((tmp_path / "memory.json").read_text())["rows"]
    for plain, checkpointed in (rows[:2], rows[2:]):
        assert checkpointed["unet"] < plain["unet"] / 2 and checkpointed["decoder"] < plain["decoder"] / 2
        assert plain["weights"] + plain["unet"] + plain["decoder"] < plain["peak"]

import json
from dataclasses import replace

import pytest
import torch

from mimicbrush.bench.config import MemoryBenchConfig
from mimicbrush.bench.edit_memory import WAYS, bench_memory, count_memory, measure
from mimicbrush.model.config import PartConfig
from mimicbrush.model.weights.build import initialise
from mimicbrush.model.weights.exported_folder import save_pretrained
from mimicbrush.pipeline import MimicBrushPipeline
from mimicbrush.training.flops_and_bytes import LiveBytes
from mimicbrush.training.step_cost import num_bytes_of, shaped_network
from tests.conftest import DEPTH, network_config

CONFIG = network_config(depth=PartConfig(arguments=DEPTH))


@pytest.mark.parametrize("num_images", [1, 3])
def test_counted_memory_agrees_with_a_real_edit(num_images):
    network = initialise(CONFIG).eval()
    counted = max(count_memory(shaped_network(CONFIG), WAYS["float32"], num_images=num_images).values())
    pipe = MimicBrushPipeline.from_network(network)
    pipe.set_progress_bar_config(disable=True)
    source, mask = torch.rand(3, 32, 32), torch.zeros(1, 32, 32)
    mask[:, 8:24, 8:24] = 1
    with LiveBytes(network.parameters()) as live:
        pipe(source, mask, source, keep_shape=True, num_inference_steps=1, num_images_per_prompt=num_images)
    weights = num_bytes_of(network)
    assert counted - weights == pytest.approx(live.peak, rel=0.25)


@pytest.mark.slow
def test_each_way_saves_memory_where_it_should():
    ways = {name: replace(way, dtype=way.dtype or torch.bfloat16) for name, way in WAYS.items()}
    counted = {name: count_memory(shaped_network(CONFIG), way, num_images=4) for name, way in ways.items()}
    peaks = {name: max(parts.values()) for name, parts in counted.items()}
    single, half = (
        num_bytes_of(shaped_network(CONFIG).to_precision(dtype)) for dtype in (torch.float32, torch.bfloat16)
    )
    assert peaks["float32"] > single and half < peaks["bfloat16"] < peaks["float32"]
    assert counted["vae_slicing"]["decode"] < counted["bfloat16"]["decode"]
    assert counted["vae_slicing"]["step"] == counted["bfloat16"]["step"]
    for part, plain in counted["bfloat16"].items():
        assert counted["sequential_offload"][part] < counted["model_offload"][part] < plain


def test_loading_and_editing_are_measured(tmp_path):
    save_pretrained(initialise(CONFIG), tmp_path / "weights")
    measured = measure(str(tmp_path / "weights"), WAYS["float32"], MemoryBenchConfig(device="cpu"))
    # More than the imports alone, and less than the memory of a small machine.
    assert 0.2 < measured["loading"] < 8 and 0.2 < measured["editing"] < 8 and measured["seconds"] > 0


@pytest.mark.slow
def test_rows_are_measured_each_in_its_own_process_and_written(tmp_path, capsys):
    output = tmp_path / "memory.json"
    ways = ("float32", "sequential_offload")
    bench_memory(MemoryBenchConfig(network="tiny", ways=ways, device="cpu", output=output))
    measured, counted = json.loads(output.read_text())["rows"]
    assert [measured["name"], counted["name"]] == [*ways]
    assert 0.2 < measured["loading"] < 4 and 0.2 < measured["editing"] < 4 and measured["gpu"] is None
    assert counted["loading"] is None and counted["failure"] == "not measured: needs a GPU"
    assert "float32" in capsys.readouterr().out

from dataclasses import replace

import pytest
import torch

from mimicbrush.bench.editors.config import LayerBenchConfig
from mimicbrush.bench.editors.layer_speed import as_released, bench_layers, count_parts
from mimicbrush.bench.editors.released_layer_losses import ReleasedLosses
from mimicbrush.editors.text2live import Text2LiveEditor
from mimicbrush.editors.text2live.settings import Text2LiveSettings
from mimicbrush.requests import LayerRequest
from tests.editors.text2live.golden_numbers import GOLDEN

CLIP = str(GOLDEN / "clip")
QUICK = Text2LiveSettings(resolution=None, num_scales=2, num_channels=6, num_views=2)


@pytest.fixture
def editor() -> Text2LiveEditor:
    return Text2LiveEditor(CLIP, settings=QUICK, device="cpu")


def test_our_losses_equal_the_released_ones(editor):
    generator = torch.Generator().manual_seed(0)
    request = LayerRequest(
        source=torch.rand(1, 3, 40, 56, generator=generator),
        prompts=("golden statue",),
        source_prompts=("astronaut",),
        region_prompts=("woman",),
    )
    optimisation = editor.prepare(request)
    released = ReleasedLosses(optimisation.losses, ["woman"])
    for step in (0, 1):
        draws = optimisation.draw(step)
        items = optimisation.make_items(draws)
        found, expected = (compute(items, draws.losses, step) for compute in (optimisation.losses, released))
        assert found.keys() == expected.keys() and len(found) == 6
        for name, loss in expected.items():
            torch.testing.assert_close(found[name], loss, rtol=0, atol=1e-5)


@pytest.mark.parametrize("canvas_side", [0, 16])
def test_our_steps_equal_the_released_ones(canvas_side):
    """Network, gradients and optimiser: the picture's sides are odd, so that every scale is cut."""
    settings = replace(QUICK, canvas_side=canvas_side, num_starts=8 if canvas_side else 0, learning_rate=1e-4)
    editor = Text2LiveEditor(CLIP, settings=settings, device="cpu")
    request = LayerRequest(
        source=torch.rand(1, 3, 41, 55, generator=torch.Generator().manual_seed(0)),
        prompts=("golden statue",),
        region_prompts=("woman",),
    )
    ours, released = editor.prepare(request), as_released(editor.prepare(request), ["woman"])
    for step in range(3):
        draws = ours.draw(step)
        found, expected = ours.run_step(draws), released.run_step(draws)
        assert found == pytest.approx(expected, abs=2e-5)
    moved = released.network.scales[0].up1.conv.weight.detach()
    torch.testing.assert_close(ours.network.scales[0].up1.conv.weight.detach(), moved, rtol=0, atol=2e-5)


def test_a_row_for_each_algorithm_and_a_count_of_each_part(capsys, monkeypatch):
    monkeypatch.setattr("mimicbrush.bench.editors.layer_speed.PRESETS", {"small": QUICK})
    bench_layers(LayerBenchConfig(clip=CLIP, preset="small", size=40, repeats=1, device="cpu"))
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines if line.startswith(("released", "ours"))]
    assert [float(row[-1]) < limit for row, limit in zip(rows, (1e-9, 1e-4, 0.1), strict=True)] == [True] * 3
    assert any(line.startswith("GFLOPs of a step") for line in lines)


def test_parts_of_a_step_add_up(editor):
    config = LayerBenchConfig(clip=CLIP, size=40, device="cpu")
    flops = count_parts(config, editor.guide, QUICK, torch.device("cpu"))
    assert set(flops) == {"network", "structure", "composition", "screen", "bootstrap"}
    assert all(count > 0 for count in flops.values())
    # Three of four batches of views belong to composition; one of them is without gradient.
    assert flops["composition"] > 2 * flops["screen"] > flops["structure"]

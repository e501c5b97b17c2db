"""The comparison of samplers: what counts as equal, what is compared, and that it resumes."""

from __future__ import annotations

import json

import pytest

from mimicbrush.bench.editors import sampler_quality
from mimicbrush.bench.editors.config import SamplerBenchConfig
from mimicbrush.bench.editors.sampler_quality import SamplerRow, bench_samplers, describe_rows
from mimicbrush.errors import UserError

GROUPS = [str(number // 2) for number in range(16)]


def row(sampler: str, passes: int, ssim: list[float], distance: float = 2.0) -> SamplerRow:
    lists = {"distance": [distance] * 16, "ssim": ssim, "psnr": [20.0] * 16}
    return SamplerRow(sampler=sampler, spacing="leading", steps=passes, passes=passes, cpu_seconds=0.5, **lists)


def test_the_fewest_passes_with_an_interval_above_the_margin_win():
    whole = row("DDIMScheduler", 50, [0.5] * 16)
    worse, equal, better = row("A", 4, [0.48] * 16), row("B", 8, [0.495] * 16), row("C", 8, [0.501] * 16)
    noisy = row("D", 6, [0.3, 0.3, 0.75, 0.75] * 4)  # better in the mean, but perhaps by chance
    blurred = row("E", 4, [0.55] * 16, distance=8.0)  # closer to the truth, but not the result of 50 steps
    found = describe_rows([whole, worse, equal, better, noisy, blurred], GROUPS, [True] * 16)
    assert found.endswith("in the fewest passes: C leading, 8 steps")
    assert "-0.005 [-0.005, -0.005]" in found
    # Edits without a single true result have no say.
    assert describe_rows([whole, row("A", 4, [0.5] * 8 + [0.0] * 8)], GROUPS, [True] * 8 + [False] * 8).endswith(
        "A leading, 4 steps"
    )


def test_a_sampler_that_takes_as_many_steps_differs_in_nothing_and_finished_rows_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(sampler_quality, "STEPS_OF_TRUTH", 2)
    options = {"weights": "asset:tiny", "output": tmp_path / "out", "num_sources": 1}
    few = {"samplers": ("DDIMScheduler", "HeunDiscreteScheduler"), "spacings": ("leading",), "steps": (1, 2)}
    bench_samplers(SamplerBenchConfig(**options, **few))
    rows = {each["sampler"] + str(each["steps"]): each for each in read_rows(tmp_path)}
    assert rows["DDIMScheduler2"]["distance"] == [0, 0] and min(rows["DDIMScheduler1"]["distance"]) > 1
    assert [rows[f"HeunDiscreteScheduler{steps}"]["passes"] for steps in (1, 2)] == [1, 3]
    assert (tmp_path / "out" / "edits.png").is_file()
    seconds = rows["HeunDiscreteScheduler2"]["cpu_seconds"]
    printed = bench_samplers(SamplerBenchConfig(**options, **few | {"steps": (2,)}))
    again = {each["sampler"] + str(each["steps"]): each for each in read_rows(tmp_path)}
    assert again["HeunDiscreteScheduler2"]["cpu_seconds"] == seconds
    assert again["DDIMScheduler2"] == rows["DDIMScheduler2"]
    (tmp_path / "out" / "edits_in_50_steps.npz").write_bytes(b"half")
    with pytest.raises(UserError, match=r"edits_in_50_steps\.npz: damaged; delete it"):
        bench_samplers(SamplerBenchConfig(**options, **few))
    assert "in the fewest passes: " in printed
    results = tmp_path / "out" / "results.json"
    results.write_text(results.read_text().replace('"weights": "', '"weights": "0'))
    with pytest.raises(UserError, match=r"results\.json: rows of other weights, or of another version"):
        bench_samplers(SamplerBenchConfig(**options, **few))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": (0,)}, r"steps are \(0,\)"),
        ({"samplers": ()}, "samplers is empty"),
        ({"guidance_scale": -1.0}, "guidance_scale is -1.0, expected 0 to 100"),
    ],
)
def test_wrong_options_are_named(wrong, message):
    with pytest.raises(UserError, match=message):
        SamplerBenchConfig(**wrong)


def read_rows(folder) -> list[dict]:
    return json.loads((folder / "out" / "results.json").read_text())["rows"]

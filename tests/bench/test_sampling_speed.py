import torch

from mimicbrush.bench.config import SampleBenchConfig
from mimicbrush.bench.released_sampling import sample_as_released, use_released_attention
from mimicbrush.bench.sampling_speed import bench_network, bench_sampling, random_conditions
from mimicbrush.diffusion.schedulers import make_scheduler
from mimicbrush.diffusion.seeded_noise import seeded_generators
from mimicbrush.model.sampling import draw_noise, sample
from mimicbrush.model.weights.build import initialise

TINY = SampleBenchConfig(widths=(32, 32, 32, 32), cross_attention_dim=32, latent_sizes=(16,), repeats=1)


def test_our_sampling_equals_the_released_algorithm():
    for timestep in ("current", "zero"):
        network = initialise(bench_network(TINY, 16, timestep)).eval()
        conditions, noise = random_conditions(network, 2), draw_noise(network, seeded_generators([0, 1]))
        settings = {"num_inference_steps": 3, "guidance_scale": 5.0}
        ours = sample(network, conditions, noise, scheduler=make_scheduler(), **settings)
        network = use_released_attention(network)
        settings |= {"scheduler": make_scheduler(), "on_step": lambda *_: None}
        released = sample_as_released(network, conditions, noise, **settings)
        torch.testing.assert_close(ours, released, rtol=0, atol=1e-4)


def test_one_line_for_each_size_and_timestep(capsys, monkeypatch):
    monkeypatch.setattr("mimicbrush.bench.sampling_speed.NUM_STEPS", 2)
    bench_sampling(TINY)
    output = capsys.readouterr().out
    assert "first step done" in output and "4 samples of 2 steps together" in output
    lines = [line.split() for line in output.splitlines() if line.startswith(" 16 x")]
    assert [line[3] for line in lines] == ["current", "zero"]
    assert all(float(line[6]) > 0 and float(line[7]) < 1e-4 for line in lines)

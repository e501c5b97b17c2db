import pytest

from mimicbrush.bench.config import MetricsBenchConfig, SampleBenchConfig
from mimicbrush.bench.metric_speed import bench_metrics, random_edits
from mimicbrush.bench.sampling_speed import bench_network, guided_step, random_conditions
from mimicbrush.diffusion.schedulers import make_scheduler
from mimicbrush.diffusion.seeded_noise import seeded_generators
from mimicbrush.evaluation.metrics.all_metrics import METRICS
from mimicbrush.model.sampling import draw_noise, sample
from mimicbrush.model.weights.build import initialise
from mimicbrush.training.flops_and_bytes import count_flops
from mimicbrush.training.step_cost import shaped_network


def test_counted_flops_of_a_step_agree_with_sampling():
    sizes = SampleBenchConfig(widths=(32, 32, 32, 32), cross_attention_dim=32)
    config = bench_network(sizes, latent_size=16, timestep="current")
    network = initialise(config).eval()
    conditions, noise = random_conditions(network, 1), draw_noise(network, seeded_generators([0]))

    def flops_of(num_steps: int) -> int:
        arguments = {"scheduler": make_scheduler(), "num_inference_steps": num_steps, "guidance_scale": 5.0}
        return count_flops(lambda: sample(network, conditions, noise, **arguments))[1]

    _, counted = count_flops(lambda: guided_step(shaped_network(config)))
    # The CPU's attention kernels share slightly more between the two rows than the kernels for the meta device.
    assert counted == pytest.approx(flops_of(3) - flops_of(2), rel=0.1)


def test_each_metric_and_the_share_of_all_are_printed(capsys):
    bench_metrics(MetricsBenchConfig(picture_size=64, num_edits=1, networks="tiny", device="cpu"))
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    costs = {words[0]: float(words[3]) for words in lines if "GFLOP" in words}
    assert list(costs) == [*METRICS, "all"]
    assert all(cost == 0 for name, cost in costs.items() if name in METRICS and METRICS[name].model is None)
    # The convolutions of VGG16 take 30.7 GFLOP at 224 pixels; here they see two pictures of 64.
    assert costs["lpips_vgg"] == pytest.approx(2 * 30.7 * 64**2 / 224**2, rel=0.01)
    assert "all metrics:" in out


def test_random_edits_are_all_different():
    first, second = random_edits(32, (0, 1))
    assert (first.source != second.source).any() and (first.reference != second.reference).any()
    assert (first.source[~first.mask] == first.edited[~first.mask]).all()

"""`python -m mimicbrush.bench train | sample | data | loader | metrics | memory | start | gpu`."""

from mimicbrush.bench.config import (
    GpuCheckConfig,
    LoaderBenchConfig,
    MemoryBenchConfig,
    MetricsBenchConfig,
    PreparationBenchConfig,
    SampleBenchConfig,
    StartBenchConfig,
    TrainBenchConfig,
)
from mimicbrush.bench.gpu import check_gpu
from mimicbrush.bench.loader import bench_loader
from mimicbrush.bench.memory import bench_memory
from mimicbrush.bench.metrics import bench_metrics
from mimicbrush.bench.preparation import bench_preparation
from mimicbrush.bench.sampling import bench_sampling
from mimicbrush.bench.start import bench_start
from mimicbrush.bench.training import bench_training
from mimicbrush.config import run_subcommand
from mimicbrush.errors import run_command


def main() -> None:
    commands = {
        "train": (TrainBenchConfig, bench_training),
        "sample": (SampleBenchConfig, bench_sampling),
        "data": (PreparationBenchConfig, bench_preparation),
        "loader": (LoaderBenchConfig, bench_loader),
        "metrics": (MetricsBenchConfig, bench_metrics),
        "memory": (MemoryBenchConfig, bench_memory),
        "start": (StartBenchConfig, bench_start),
        "gpu": (GpuCheckConfig, check_gpu),
    }
    run_subcommand(commands, program="python -m mimicbrush.bench")


if __name__ == "__main__":
    run_command(main)

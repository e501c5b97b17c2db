"""`python -m mimicbrush.bench train | sample | data`."""

from mimicbrush.bench.sampling import SampleBenchConfig, bench_sampling
from mimicbrush.bench.training import DataBenchConfig, TrainBenchConfig, bench_data, bench_training
from mimicbrush.config import run_subcommand
from mimicbrush.errors import run_command


def main() -> None:
    commands = {
        "train": (TrainBenchConfig, bench_training),
        "sample": (SampleBenchConfig, bench_sampling),
        "data": (DataBenchConfig, bench_data),
    }
    run_subcommand(commands, program="python -m mimicbrush.bench")


if __name__ == "__main__":
    run_command(main)

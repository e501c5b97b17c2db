"""Train: shards in, a network that imitates out. `python train.py --config configs/train/tiny.yaml`"""

from __future__ import annotations

from pathlib import Path

from mimicbrush.config import parse_config
from mimicbrush.errors import run_command
from mimicbrush.run_folder import claim
from mimicbrush.training.run import (
    TrainConfig,
    checkpoint_path,
    finished_steps,
    make_data,
    make_module,
    make_trainer,
)

DEFAULT_CONFIG = Path(__file__).parent / "configs" / "train" / "tiny.yaml"


def main() -> None:
    config = parse_config(TrainConfig, default=DEFAULT_CONFIG)
    claim(config.output, config, free=("output", "run", "data.num_workers"))
    start_step = finished_steps(config)
    if start_step >= config.run.max_steps:
        print(f"already trained {start_step} of {config.run.max_steps} steps -> {config.output}")
        return
    module, data, trainer = make_module(config), make_data(config, start_step), make_trainer(config)
    trainer.fit(module, data, ckpt_path=checkpoint_path(config) if start_step else None, weights_only=True)
    print(
        f"trained steps {start_step + 1} to {trainer.global_step}: checkpoint, config.yaml, metrics.csv, loss.png and"
        f" previews -> {config.output}"
    )


if __name__ == "__main__":
    run_command(main)

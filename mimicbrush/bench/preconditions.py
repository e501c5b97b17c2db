"""Check, without importing torch, that the configs, shards and weights of a benchmark exist."""

from __future__ import annotations

from mimicbrush.bench.config import LoaderBenchConfig, MemoryBenchConfig, TrainBenchConfig
from mimicbrush.bench.editors.config import SamplerBenchConfig
from mimicbrush.config import load_config
from mimicbrush.data.shard_index import require_shards
from mimicbrush.model.weights.find import require_local_weights
from mimicbrush.training.config import TrainConfig


def check_reading(config: LoaderBenchConfig | TrainBenchConfig) -> None:
    """Raise UserError if the training config is missing or invalid, or the shards are missing."""
    if config.train_config:
        load_config(TrainConfig, config.train_config)
    if config.shards:
        require_shards(config.shards)


def check_samplers(config: SamplerBenchConfig) -> None:
    """Raise UserError if the weights are missing."""
    require_local_weights(config.weights)


def check_memory(config: MemoryBenchConfig) -> None:
    """Raise UserError if the weights are missing."""
    if config.weights:
        require_local_weights(config.weights)

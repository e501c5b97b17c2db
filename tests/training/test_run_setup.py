"""Ranks share the samples of a step."""

from __future__ import annotations

from pathlib import Path

import pytest

from mimicbrush.config import load_config
from mimicbrush.data.config import DataConfig, SourceConfig
from mimicbrush.errors import UserError
from mimicbrush.training.config import RunConfig, TrainConfig
from mimicbrush.training.run_setup import share_step
from tests.conftest import REPOSITORY, one_block_config

CLUSTER_PRESETS = sorted((REPOSITORY / "configs" / "train").glob("mimicbrush*.yaml"))


def shared(num_ranks: int, *, batch_size: int = 8, **run) -> tuple[int, int]:
    """Batch size and number of batches of each rank."""
    config = TrainConfig(
        output=Path("run"),
        network=one_block_config(),
        data=DataConfig(sources=[SourceConfig(shards=Path("shards"), weight=1)], batch_size=batch_size),
        run=RunConfig(**run),
    )
    config = share_step(config, num_ranks)
    return config.data.batch_size, config.run.accumulate


def test_without_samples_per_step_ranks_multiply_the_batch():
    assert shared(16) == (8, 1)
    assert shared(16, accumulate=2) == (8, 2)


@pytest.mark.parametrize(
    ("num_ranks", "expected"),
    [(1, (8, 8)), (4, (8, 2)), (8, (8, 1)), (16, (4, 1)), (64, (1, 1))],
)
def test_ranks_share_the_samples_of_a_step(num_ranks, expected):
    assert shared(num_ranks, samples_per_step=64) == expected


def test_batches_are_equal_and_no_larger_than_batch_size():
    assert shared(1, samples_per_step=20, batch_size=8) == (5, 4)
    assert shared(2, samples_per_step=14, batch_size=6) == (1, 7)


def test_samples_that_cannot_be_shared_are_refused_with_the_numbers_that_fit():
    with pytest.raises(
        UserError, match="64 cannot be shared equally among 6 ranks; take one of 1, 2, 4, 8, 16, 32, 64"
    ):
        shared(6, samples_per_step=64)
    with pytest.raises(UserError, match=r"or make run.samples_per_step a multiple of 128"):
        shared(128, samples_per_step=64)


def test_accumulate_may_say_the_same_and_nothing_else():
    assert shared(4, samples_per_step=64, accumulate=2) == (8, 2)
    with pytest.raises(UserError, match=r"64, but 8 ranks x data.batch_size 8 x run.accumulate 2 are 128; leave"):
        shared(8, samples_per_step=64, accumulate=2)


def test_less_than_one_sample_is_refused():
    with pytest.raises(ValueError, match="samples_per_step is 0, expected at least 1, or null"):
        RunConfig(samples_per_step=0)


@pytest.mark.parametrize("path", CLUSTER_PRESETS, ids=lambda path: path.stem)
def test_presets_take_the_papers_batch_on_any_number_of_nodes(path):
    preset = load_config(TrainConfig, path)
    for num_ranks in (1, 8, 16, 32):
        config = share_step(preset, num_ranks)
        assert num_ranks * config.data.batch_size * config.run.accumulate == 64, num_ranks

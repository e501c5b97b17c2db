from collections import Counter
from itertools import islice

import pytest

from mimicbrush.data.datamodule import DataConfig, PairStream, SourceConfig, heldout_batches
from mimicbrush.errors import UserError
from tests.conftest import SIZE


def config(shards, **changes) -> DataConfig:
    sources = [SourceConfig(shards=shards["videos"], weight=0.7), SourceConfig(shards=shards["stills"], weight=0.3)]
    return DataConfig(**{"sources": sources, "batch_size": 4, "num_workers": 0} | changes)


def test_the_mixture_has_its_shares(shards):
    stream = PairStream(config(shards), size=SIZE, seed=0)
    kinds = Counter(bool(sample.object_mask.any()) for sample in islice(stream, 1000))
    assert kinds[True] / 1000 == pytest.approx(0.3, abs=0.05)


def test_every_pair_comes_once_a_pass(shards):
    only_videos = config(shards, sources=[SourceConfig(shards=shards["videos"], weight=1)])
    keys = [sample.key[0] for sample in islice(PairStream(only_videos, size=SIZE, seed=0), 32)]
    assert len(set(keys[:16])) == 16
    assert sorted(keys[:16]) == sorted(keys[16:])
    assert keys[:16] != keys[16:]


def test_ranks_read_different_shards(shards):
    keys = [
        {sample.key[0] for sample in islice(PairStream(config(shards), size=SIZE, seed=0, rank=rank, num_ranks=2), 60)}
        for rank in range(2)
    ]
    assert not keys[0] & keys[1]


def test_the_order_is_a_function_of_the_seed(shards):
    first, again, other = (
        [sample.key[0] for sample in islice(PairStream(config(shards), size=SIZE, seed=seed), 20)] for seed in (1, 1, 2)
    )
    assert first == again != other


def test_too_few_shards_are_refused(shards):
    with pytest.raises(UserError, match="2 shards for 1 ranks of 3 workers"):
        PairStream(config(shards, num_workers=3), size=SIZE, seed=0)


def test_heldout_batches_are_fixed_and_spread_over_groups(shards):
    first, second = (heldout_batches(shards["heldout"], SIZE, 8, 0, batch_size=4) for _ in range(2))
    assert [batch.key for batch in first] == [batch.key for batch in second]
    assert (first[0].mask == second[0].mask).all()
    assert Counter(group for batch in first for group in batch.group) == dict.fromkeys(
        ("group0", "group1", "group2", "group3"), 2
    )


def test_bad_mixtures_are_refused(shards):
    with pytest.raises(ValueError, match="sources is empty"):
        config(shards, sources=[])
    with pytest.raises(ValueError, match="weight of"):
        SourceConfig(shards=shards["videos"], weight=0)

import json
from collections import Counter
from pathlib import Path

import pytest

from mimicbrush.data.datamodule import BatchPositions, DataConfig, PairData, PairDataset, SourceConfig, heldout_batches
from mimicbrush.data.shards import index_path, list_shards, read_index
from mimicbrush.errors import UserError
from tests.conftest import SIZE


def config(shards, **changes) -> DataConfig:
    sources = [SourceConfig(shards=shards["videos"], weight=0.7), SourceConfig(shards=shards["stills"], weight=0.3)]
    return DataConfig(**{"sources": sources, "batch_size": 4, "num_workers": 0} | changes)


def dataset(shards, seed: int = 0, **changes) -> PairDataset:
    return PairDataset(config(shards, **changes), size=SIZE, seed=seed)


def batches(shards, num: int, *, start: int = 0, **changes) -> list:
    loader = PairData(config(shards, **changes), size=SIZE, seed=0).loader(start)
    return [batch for _, batch in zip(range(num), loader, strict=False)]


def damage(shard: Path, sample: int) -> None:
    """Overwrite the middle of a stored sample, pictures and all."""
    first, last = read_index(shard).offsets[sample : sample + 2]
    content = bytearray(shard.read_bytes())
    content[first + 512 : last] = bytes(last - first - 512)
    shard.write_bytes(content)


def test_the_mixture_has_its_shares(shards):
    data = dataset(shards)
    kinds = Counter(bool(data[position].object_mask.any()) for position in range(1000))
    assert kinds[True] / 1000 == pytest.approx(0.3, abs=0.05)


def test_every_pair_comes_once_a_pass(shards):
    data = dataset(shards, sources=[SourceConfig(shards=shards["videos"], weight=1)])
    keys = [data[position].key[0] for position in range(32)]
    assert len(set(keys[:16])) == 16
    assert sorted(keys[:16]) == sorted(keys[16:])
    assert keys[:16] != keys[16:]


def test_ranks_share_the_positions_of_a_step():
    ranks = [iter(BatchPositions(100, batch_size=3, rank=rank, num_ranks=2)) for rank in range(2)]
    assert [next(ranks[0]), next(ranks[1])] == [[100, 101, 102], [103, 104, 105]]
    assert [next(ranks[0]), next(ranks[1])] == [[106, 107, 108], [109, 110, 111]]


def test_one_batch_again_and_again():
    positions = iter(BatchPositions(0, batch_size=2, rank=1, num_ranks=2, only_first=True))
    assert [next(positions) for _ in range(3)] == [[2, 3]] * 3


@pytest.mark.parametrize("num_workers", [0, 1, 2])
def test_batches_go_on_where_they_stopped_whatever_the_number_of_workers(shards, num_workers):
    whole = batches(shards, 5)
    rest = batches(shards, 3, start=8, num_workers=num_workers)
    assert [batch.position for batch in whole] == [list(range(4 * n, 4 * n + 4)) for n in range(5)]
    for one, other in zip(whole[2:], rest, strict=True):
        assert one.key == other.key
        assert all((one[n] == other[n]).all() or one[n].isnan().any() for n in range(3))
        assert (one.object_mask == other.object_mask).all()


def test_the_order_is_a_function_of_the_seed(shards):
    first, again, other = ([dataset(shards, seed)[n].key[0] for n in range(20)] for seed in (1, 1, 2))
    assert first == again != other


def test_a_damaged_sample_is_named_and_another_stands_in_its_stead(shards):
    videos = [SourceConfig(shards=shards["videos"], weight=1)]
    sound = dataset(shards, sources=videos)
    place, key = sound.order[5], sound[5].key
    damage(list_shards(shards["videos"])[place.shard], place.sample)
    data = dataset(shards, sources=videos)
    sample = data[5]
    assert len(sample.skipped) == 1
    assert "videos-00000" in sample.skipped[0]
    assert sample.key != key
    assert data[5].key == sample.key
    assert not data[6].skipped


def test_a_source_of_nothing_but_damage_ends_the_run(shards):
    for shard in list_shards(shards["videos"]):
        for sample in range(8):
            damage(shard, sample)
    with pytest.raises(UserError, match="16 samples in a row are damaged"):
        dataset(shards, sources=[SourceConfig(shards=shards["videos"], weight=1)])[0]


def test_shards_without_offsets_are_read_too(shards):
    first = dataset(shards)[3]
    for shard in list_shards(shards["videos"]) + list_shards(shards["stills"]):
        path = index_path(shard)
        index = json.loads(path.read_text())
        del index["offsets"]
        path.write_text(json.dumps(index))
    assert dataset(shards)[3].key == first.key


def test_further_shards_are_another_order(shards, tmp_path):
    before = dataset(shards)
    for path in list(shards["heldout"].iterdir()):
        path.rename(shards["videos"] / path.name)
    assert dataset(shards).fingerprint != before.fingerprint


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

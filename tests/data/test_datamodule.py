import json
import tarfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from mimicbrush.data.config import DataConfig, SourceConfig
from mimicbrush.data.datamodule import (
    BatchPositions,
    PairData,
    PairDataset,
    choose_heldout,
    heldout_batches,
    heldout_pairs,
)
from mimicbrush.data.shard_index import index_path, list_shards, read_index
from mimicbrush.data.shards import open_shards, read_pairs, write_shard
from mimicbrush.errors import UserError
from tests.conftest import SIZE, make_pairs


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


def test_chosen_pairs_alone_are_read(shards, monkeypatch):
    """The first of each group, in the order of the shards; nothing else of a tar is opened."""
    read = []
    monkeypatch.setattr("mimicbrush.data.shards.read_sample", lambda shard, *ends: read.append((shard.name, *ends)))
    with monkeypatch.context() as without_tars:
        without_tars.setattr("tarfile.open", lambda *_: pytest.fail("a tar is searched though its index says enough"))
        heldout_pairs(shards["heldout"], 5)
    first = list_shards(shards["heldout"])[0]
    offsets = read_index(first).offsets
    assert read == [(first.name, *offsets[number : number + 2]) for number in range(5)]


def test_the_choice_is_that_of_all_pairs_read(shards):
    """As it was made when whole folders were read: groups take turns, stills without a stored reference are none."""
    write_shard(
        shards["heldout"] / "heldout-000000.tar", make_pairs(3, seed=5, stills=True) + make_pairs(9, seed=6), {}
    )
    groups = {}
    for pair in read_pairs(list_shards(shards["heldout"])):
        if pair.reference is not None:
            groups.setdefault(pair.origin["group"], []).append(pair)
    turns = [group[turn] for turn in range(9) for group in groups.values() if turn < len(group)]
    assert heldout_pairs(shards["heldout"], 12) == turns[:12]


def test_the_choice_is_the_same_in_shards_whose_indexes_name_no_groups(shards):
    write_shard(
        shards["heldout"] / "heldout-000000.tar", make_pairs(3, seed=5, stills=True) + make_pairs(9, seed=6), {}
    )
    named = heldout_pairs(shards["heldout"], 12)
    for shard in list_shards(shards["heldout"]):
        index = json.loads(index_path(shard).read_text())
        del index["groups"]
        index_path(shard).write_text(json.dumps(index))
    assert heldout_pairs(shards["heldout"], 12) == named


def test_choosing_in_shards_without_groups_reads_headers_and_json_alone(tmp_path, monkeypatch):
    path = tmp_path / "old-000000.tar"
    pairs = [replace(pair, source=pair.source + bytes(100_000)) for pair in make_pairs(8)]
    write_shard(path, pairs, {})
    index = json.loads(index_path(path).read_text())
    del index["groups"]
    index_path(path).write_text(json.dumps(index))
    (shard,), read = open_shards(tmp_path), []
    original = tarfile.open

    def open_counting(path):
        file = path.open("rb")
        counted = SimpleNamespace(
            seek=file.seek, tell=file.tell, read=lambda size: read.append(size) or file.read(size)
        )
        return original(fileobj=counted)

    monkeypatch.setattr("tarfile.open", open_counting)
    assert shard.find_groups() == [pair.origin["group"] for pair in pairs]
    assert 0 < sum(read) < 50_000


def test_a_damaged_held_out_pair_is_named(shards):
    damage(list_shards(shards["heldout"])[0], 1)
    with pytest.raises(UserError, match="a held-out pair is damaged"):
        heldout_batches(shards["heldout"], SIZE, 8, 0)


def test_too_few_pairs_are_said(shards):
    with pytest.raises(UserError, match="16 pairs of 4 groups, needs 17 pairs of 2 or more; ask for fewer"):
        choose_heldout(shards["heldout"], 17)


def test_a_run_begun_with_the_first_order_resumes_with_it(shards):
    """Checkpoints of that time name no version."""
    data, old = (PairData(config(shards), size=SIZE, seed=0) for _ in range(2))
    data.trainer = old.trainer = SimpleNamespace(world_size=1, accumulate_grad_batches=1, global_step=2)
    old.dataset.use_order(1)
    state = data.state_dict()
    assert state["order_version"] == 2
    del state["order_version"]
    data.load_state_dict(state)
    assert data.start == 8
    keys = [[sample.key for _, sample in zip(range(4), each.loader(8), strict=False)] for each in (data, old)]
    assert keys[0] == keys[1]
    assert data.state_dict()["order_version"] == 1
    new = PairData(config(shards), size=SIZE, seed=0)
    assert keys[0] != [sample.key for _, sample in zip(range(4), new.loader(8), strict=False)]


def test_bad_mixtures_are_refused(shards):
    with pytest.raises(ValueError, match="sources is empty"):
        config(shards, sources=[])
    with pytest.raises(ValueError, match="weight of"):
        SourceConfig(shards=shards["videos"], weight=0)

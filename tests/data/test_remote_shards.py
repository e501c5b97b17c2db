"""Shards at an address, over HTTP on this machine and in fsspec's memory, are read as those of a folder."""

from __future__ import annotations

import pickle
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from mimicbrush.config import dump_config, load_config
from mimicbrush.data.config import CacheConfig, DataConfig
from mimicbrush.data.datamodule import PairData, PairDataset, heldout_pairs
from mimicbrush.data.remote_files import Address, locate
from mimicbrush.data.shard_index import index_path, list_shards, read_index, require_shards
from mimicbrush.data.shards import open_shards, read_pairs
from mimicbrush.errors import UserError
from mimicbrush.run_folder import claim
from mimicbrush.training.config import TrainConfig
from mimicbrush.training.doctor.data_checks import IN_FULL, check_heldout, check_source
from mimicbrush.training.resume_settings import require_same_run
from tests.conftest import SIZE, network_config
from tests.data.conftest import NO_CACHE, data_config, open_videos, publish


def in_memory(folder: Path) -> str:
    """Copy a folder into fsspec's memory, and return its address."""
    files = fsspec.filesystem("memory")
    address = f"memory://{folder.parent.parent.name}/{folder.name}"
    for path in folder.iterdir():
        files.pipe_file(f"{address}/{path.name}", path.read_bytes())
    return address


def batches(config: DataConfig, num: int, start: int = 0) -> list:
    loader = PairData(config, size=SIZE, seed=0).loader(start)
    return [batch for _, batch in zip(range(num), loader, strict=False)]


def assert_same(first: list, second: list) -> None:
    for one, other in zip(first, second, strict=True):
        assert one.key == other.key
        assert one.position == other.position
        assert not one.skipped
        assert not other.skipped
        assert all(((one[n] == other[n]) | one[n].isnan()).all() for n in range(3))
        assert (one.object_mask == other.object_mask).all()


@pytest.mark.parametrize(("num_workers", "cached"), [(0, True), (2, False)])
def test_addresses_give_the_batches_of_the_folders(published, server, tmp_path, num_workers, cached):
    local = data_config(published["videos"], published["stills"])
    cache = CacheConfig(folder=tmp_path / "cache", gib=1) if cached else NO_CACHE
    web, memory = f"{server.address}/videos", in_memory(published["stills"])
    remote = data_config(web, memory, cache, num_workers=num_workers)
    assert_same(batches(local, 6), batches(remote, 6))
    assert_same(batches(local, 3, start=8), batches(remote, 3, start=8))
    found, expected = (PairDataset(config, size=SIZE, seed=0).fingerprint for config in (remote, local))
    assert found == expected


def test_excluded_samples_are_left_out(published, server):
    key = read_index(list_shards(published["videos"])[0]).keys[3]
    publish(published["videos"], excluded=(key,))
    pairs = list(read_pairs(list_shards(f"{server.address}/videos")))
    assert key not in {pair.key for pair in pairs}
    assert pairs == list(read_pairs(list_shards(published["videos"])))


def test_held_out_pairs_are_those_of_the_folder(published, server):
    assert heldout_pairs(f"{server.address}/heldout/", 9) == heldout_pairs(published["heldout"], 9)


def test_bytes_of_samples_alone_are_requested_once(published, server, tmp_path):
    """Without a cache as many bytes as the samples have; with a warm one none."""
    (local, other), cache = open_shards(published["videos"]), CacheConfig(folder=tmp_path / "cache", gib=1)
    config = data_config(f"{server.address}/videos", f"{server.address}/stills", cache)
    one = replace(config, sources=config.sources[:1])
    server.requests.clear()
    first = batches(one, 4)
    opened = 2 * 2  # the end of each shard is looked at
    assert server.bytes_of(".tar") - opened == local.offsets[-1] + other.offsets[-1]
    server.requests.clear()
    assert_same(first, batches(one, 4))
    assert server.bytes_of(".tar") == opened


def test_samples_of_a_batch_are_requested_together_and_the_next_batch_with_them(server):
    data = PairDataset(data_config(f"{server.address}/videos", f"{server.address}/stills"), size=SIZE, seed=0)
    started = []
    for shard in (shard for shards in data.shards for shard in shards):
        shard.remote.prepare = lambda sample, name=shard.path.name: started.append((name, sample))
    data.__getitems__([0, 1])
    assert len(started) == 2
    data.__getitems__([8, 9])
    places = [data.order[position] for position in (0, 1, 8, 9, 16, 17)]
    assert started == [(data.shards[place.source][place.shard].path.name, place.sample) for place in places]


def test_secrets_of_an_address_reach_the_server_and_no_message(server):
    address = locate(f"{server.address.replace('//', '//me:secret@')}/videos/?token=secret")
    assert str(address / "a.tar") == f"{server.address}/videos/a.tar"
    shard = open_shards(address)[0]
    shard.read(0)
    assert {request.query for request in server.requests} == {"token=secret"}
    with pytest.raises(UserError) as raised:
        require_shards(f"{server.address}/nowhere?token=secret")
    assert "secret" not in str(raised.value)


def test_folders_of_this_machine_need_no_fsspec(shards, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] in ("fsspec", "aiohttp")]:
        monkeypatch.setitem(sys.modules, name, None)
    batch = batches(data_config(str(shards["videos"]), shards["stills"]), 1)[0]
    assert len(batch.key) == 4


def test_training_is_checked_over_http_as_in_folders(published, server, tmp_path):
    cache = CacheConfig(folder=tmp_path / "cache", gib=1)
    remote, local = (
        data_config(*(f"{root}/{name}" for name in ("videos", "stills")), cache, heldout=f"{root}/heldout")
        for root in (server.address, published["videos"].parent)
    )
    extent = IN_FULL._replace(hashed_bytes=0)
    found, expected = (
        [
            *check_source(config.sources[0], config, size=SIZE, samples_per_step=4, extent=extent),
            *check_source(config.sources[1], config, size=SIZE, samples_per_step=4, extent=extent),
            *check_heldout(config, extent),
        ]
        for config in (remote, local)
    )
    named = [finding._replace(message=finding.message.replace(server.address, str(server.folder))) for finding in found]
    assert named == expected
    assert len(named) == 3
    (*_, digests) = check_source(remote.sources[0], remote, size=SIZE, samples_per_step=4, extent=IN_FULL)
    assert digests.message == "at an address: each sample is compared with its checksum when it is read"


def test_the_cache_may_change_when_a_run_resumes(shards, tmp_path):
    config = TrainConfig(
        output=tmp_path, network=network_config(), data=data_config(shards["videos"], shards["stills"])
    )
    claim(tmp_path, config)
    require_same_run(replace(config, data=replace(config.data, cache=CacheConfig(gib=3))))


def test_a_config_keeps_addresses_as_they_are(tmp_path):
    path = tmp_path / "data.yaml"
    path.write_text(
        "sources: [{shards: https://host/a, weight: 1}, {shards: runs/b, weight: 2}]\nheldout: s3://bucket/c\n"
    )
    config = load_config(DataConfig, path)
    assert [locate(source.shards) for source in config.sources] == [Address("https://host/a"), Path("runs/b")]
    assert config.heldout == "s3://bucket/c"
    path.write_text(dump_config(config))
    assert load_config(DataConfig, path) == config


def test_shards_can_be_pickled_after_reading(server, tmp_path):
    shard = open_videos(server, CacheConfig(folder=tmp_path / "cache", gib=1))
    shard.prepare(1)
    assert pickle.loads(pickle.dumps(shard)).read(1) == shard.read(1)


def test_addresses_are_taken_apart():
    address = Address("s3://bucket/a/shards/")
    assert (address.name, str(address.parent)) == ("shards", "s3://bucket/a")
    assert index_path(address / "x-000001.tar") == Address("s3://bucket/a/shards/x-000001.json")
    assert shutil.os.fspath(locate("runs/a")) == "runs/a"

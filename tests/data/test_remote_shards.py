"""Shards at an address, over HTTP on this machine and in fsspec's memory."""

from __future__ import annotations

import gc
import json
import os
import pickle
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from mimicbrush.config import dump_config, load_config
from mimicbrush.data.config import CacheConfig, DataConfig, SourceConfig
from mimicbrush.data.datamodule import PairData, PairDataset, heldout_pairs
from mimicbrush.data.remote_files import Address, locate
from mimicbrush.data.shard_index import index_path, list_shards, read_index, require_shards
from mimicbrush.data.shards import DamagedSampleError, open_shards, read_pairs, write_shard
from mimicbrush.errors import UserError
from mimicbrush.run_folder import claim
from mimicbrush.training.config import TrainConfig
from mimicbrush.training.doctor.data_checks import IN_FULL, check_heldout, check_source
from mimicbrush.training.preconditions import check_training
from mimicbrush.training.resume_settings import require_same_run
from tests.conftest import SIZE, make_pairs, network_config
from tests.data.http_folder import HttpFolder, cut_off, send_garbled, send_short, served_folder, status

NO_CACHE = CacheConfig(gib=0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for milliseconds instead of seconds, and go around the proxies of this machine."""
    monkeypatch.setattr("mimicbrush.data.remote_files.WAITS", (0.01, 0.01))
    monkeypatch.setattr("mimicbrush.data.remote_samples.WAIT", 0.01)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def published(shards: dict[str, Path]) -> dict[str, Path]:
    """Folders of shards with the files that `merge.py` writes beside them."""
    for folder in shards.values():
        publish(folder)
    return shards


@pytest.fixture
def server(published: dict[str, Path]) -> Iterator[HttpFolder]:
    with served_folder(published["videos"].parent) as served:
        yield served


def publish(folder: Path, *, excluded: tuple[str, ...] = ()) -> None:
    indexes = {shard: read_index(shard) for shard in list_shards(folder)}
    listed = [
        {"name": shard.name, "pairs": index.pairs, "bytes": index.bytes, "sha256": index.sha256}
        for shard, index in indexes.items()
    ]
    (folder / "index.json").write_text(json.dumps({"pairs": 0, "shards": listed}))
    (folder / "excluded.json").write_text(json.dumps({"near_duplicate": {"a.mp4": {"keys": list(excluded)}}}))


def in_memory(folder: Path) -> str:
    """Copy a folder into fsspec's memory, and return its address."""
    files = fsspec.filesystem("memory")
    address = f"memory://{folder.parent.parent.name}/{folder.name}"
    for path in folder.iterdir():
        files.pipe_file(f"{address}/{path.name}", path.read_bytes())
    return address


def data_config(videos: object, stills: object, cache: CacheConfig = NO_CACHE, **changes: object) -> DataConfig:
    sources = [SourceConfig(shards=videos, weight=0.7), SourceConfig(shards=stills, weight=0.3)]
    return DataConfig(**{"sources": sources, "batch_size": 4, "num_workers": 0, "cache": cache} | changes)


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


def open_videos(server: HttpFolder, cache: CacheConfig = NO_CACHE):
    return open_shards(f"{server.address}/videos", cache)[0]


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


@pytest.mark.parametrize("fault", [status(500), status(503), status(429), cut_off, send_short, send_garbled])
@pytest.mark.parametrize("prepared", [False, True])
def test_passing_faults_are_tried_again(published, server, fault, prepared):
    shard, expected = open_videos(server), open_shards(published["videos"])[0].read(5)
    server.faults[shard.path.name] = [fault, fault]
    if prepared:
        shard.prepare(5)
    assert shard.read(5) == expected
    assert not server.faults[shard.path.name]


@pytest.mark.parametrize("fault", [cut_off, status(500)])
def test_faults_while_a_folder_is_opened_are_tried_again(server, fault):
    server.faults = {"index.json": [fault], "videos-000001.json": [fault], "videos-000000.tar": [fault]}
    assert len(open_shards(f"{server.address}/videos")) == 2


@pytest.mark.parametrize(
    ("faults", "found"),
    [
        (50 * [status(403)], "the server answers 403 Forbidden; check the address and the access to it"),
        (50 * [status(500)], r"cannot be reached \(the server answers 500 .*, tried 3 times\); check the network"),
        (50 * [cut_off], r"cannot be reached \(.*, tried 3 times\)"),
        ([status(404)], "no longer there"),
    ],
)
def test_lasting_faults_end_in_one_sentence(server, faults, found):
    shard = open_videos(server)
    server.faults[shard.path.name] = faults
    with pytest.raises(UserError, match=rf"videos-000000\.tar: {found}"):
        shard.read(0)


def test_a_silent_server_is_given_up(server, monkeypatch):
    monkeypatch.setattr("mimicbrush.data.remote_files.SILENT_SECONDS", 0.05)
    shard = open_videos(server)
    server.delay = 0.3
    with pytest.raises(UserError, match=r"no answer in time, tried 3 times"):
        shard.read(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_leaves_the_connections_of_the_parent_alone(server, monkeypatch):
    """Otherwise the answer is not noticed, and the parent asks again after a time-out."""
    monkeypatch.setattr("mimicbrush.data.remote_files.SILENT_SECONDS", 1)
    shard = open_videos(server)
    shard.read(0)
    child = os.fork()
    if not child:
        gc.collect()
        os._exit(0)
    os.waitpid(child, 0)
    server.requests.clear()
    shard.read(1)
    assert len(server.requests) == 1


def test_nobody_there_is_said(server):
    address = f"{server.address}/videos"
    port = address.rpartition(":")[2].partition("/")[0]
    with pytest.raises(UserError, match="cannot be reached"):
        require_shards(address.replace(port, "9"))


def test_a_server_without_ranges_is_refused_before_a_shard_is_read(server):
    server.knows_ranges = False
    with pytest.raises(UserError, match="ignores ranges of bytes"):
        open_shards(f"{server.address}/videos")
    assert {request.name for request in server.requests} == {"index.json"}


def test_a_damaged_sample_is_skipped_named_and_counted(published, server):
    videos = [SourceConfig(shards=f"{server.address}/videos", weight=1)]
    data = PairDataset(data_config("unused", "unused", sources=videos), size=SIZE, seed=0)
    place, key = data.order[5], data[5].key
    path = list_shards(published["videos"])[place.shard]
    first, last = read_index(path).offsets[place.sample : place.sample + 2]
    content = bytearray(path.read_bytes())
    content[(first + last) // 2] ^= 1
    path.write_bytes(content)
    sample = data[5]
    (named,) = sample.skipped
    assert named.endswith(f"{path.name}, byte {first}: not the bytes that were written")
    assert sample.key != key


@pytest.mark.parametrize("listed_anew", [False, True])
def test_a_shard_that_is_replaced_behind_the_runs_back_ends_it(published, server, tmp_path, listed_anew):
    """Even by one whose samples have the same keys and places."""
    cache = CacheConfig(folder=tmp_path / "cache", gib=1)
    shard = open_videos(server, cache)
    path = published["videos"] / shard.path.name
    content, index = bytearray(path.read_bytes()), json.loads(index_path(path).read_text())
    content[index["offsets"][2] + 600] ^= 1
    path.write_bytes(content)
    if listed_anew:
        index_path(path).write_text(json.dumps(index | {"sha256": "0" * 64}))
        with pytest.raises(UserError, match="replaced since it was opened; put the first one back"):
            shard.read(2)
        with pytest.raises(UserError, match=r"another shard than index\.json names; run data_prep/merge"):
            open_shards(f"{server.address}/videos")
    else:
        with pytest.raises(DamagedSampleError):
            shard.read(2)
    path.unlink()
    with pytest.raises(UserError, match="no longer there"):
        shard.read(1)


def test_copies_of_a_replaced_shard_are_not_taken(published, server, tmp_path):
    cache = CacheConfig(folder=tmp_path / "cache", gib=1)
    before = [open_videos(server, cache).read(sample) for sample in range(8)]
    write_shard(published["videos"] / "videos-000000.tar", make_pairs(8, seed=77), {})
    publish(published["videos"])
    after = [open_videos(server, cache).read(sample) for sample in range(8)]
    assert after == make_pairs(8, seed=77) != before


@pytest.mark.parametrize("missing", ["checksums", "groups", "offsets"])
def test_shards_of_earlier_versions(published, server, tmp_path, missing):
    """Without checksums keys are compared; without groups nothing is held out; without offsets nothing is read."""
    for path in map(index_path, list_shards(published["videos"])):
        index = json.loads(path.read_text())
        del index[missing]
        path.write_text(json.dumps(index))
    if missing == "offsets":
        with pytest.raises(UserError, match="earlier version, which does not say where its samples lie; shard anew"):
            open_shards(f"{server.address}/videos")
        return
    if missing == "groups":
        with pytest.raises(UserError, match="earlier version, which names no groups of held-out pairs; shard anew"):
            heldout_pairs(f"{server.address}/videos", 2)
        return
    shard = open_videos(server)
    assert shard.read(4) == open_shards(published["videos"])[0].read(4)
    path = published["videos"] / shard.path.name
    write_shard(
        tmp_path / "other.tar", [replace(pair, key=pair.key.replace("0", "9", 1)) for pair in make_pairs(8)], {}
    )
    shutil.copy(tmp_path / "other.tar", path)
    with pytest.raises(DamagedSampleError, match="not the bytes that were written"):
        shard.read(4)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, r"videos: no index\.json there, which names the shards; run data_prep/merge\.py"),
        ("{", r"index\.json: damaged, or another kind of file"),
        ('{"shards": [{"name": "../a.tar", "bytes": 1, "sha256": "%s"}]}' % ("0" * 64), "damaged"),
        ('{"shards": [{"name": "a.tar", "bytes": 1, "sha256": "../x"}]}', "damaged"),
        ('{"shards": [{"name": "a.tar", "bytes": 1, "sha256": "%s"}]}' % ("0" * 64), "a.json: no index"),
        ('{"shards": []}', "names no shard"),
    ],
)
def test_folders_that_were_not_merged_are_refused(published, server, content, found):
    path = published["videos"] / "index.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=found):
        open_shards(f"{server.address}/videos")


def test_a_tar_that_is_missing_or_cut_short_is_refused(published, server):
    path = list_shards(published["videos"])[1]
    for content in (path.read_bytes()[:-1], path.read_bytes() + b"0", None):
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(UserError, match=r"missing, or not of .* bytes as its index says"):
            open_shards(f"{server.address}/videos")
        path.touch()


def test_secrets_of_an_address_reach_the_server_and_no_message(server):
    address = locate(f"{server.address.replace('//', '//me:secret@')}/videos/?token=secret")
    assert str(address / "a.tar") == f"{server.address}/videos/a.tar"
    shard = open_shards(address)[0]
    shard.read(0)
    assert {request.query for request in server.requests} == {"token=secret"}
    with pytest.raises(UserError) as raised:
        require_shards(f"{server.address}/nowhere?token=secret")
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("missing", "address", "found"),
    [
        ("fsspec.core", "https://host/shards", r"need an extra: pip install .*\[remote\]"),
        ("aiohttp", "https://host/shards", r"need an extra: pip install .*\[remote\]"),
        ("s3fs", "s3://bucket/shards", r"s3:// needs a further package \(Install s3fs to access S3\)"),
        (None, "nonsense://bucket/shards", "Protocol not known: nonsense; expected https://"),
    ],
)
def test_missing_packages_are_named(monkeypatch, missing, address, found):
    if missing:
        monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UserError, match=f"{address}/index.json: .*{found}"):
        require_shards(address)


def test_folders_of_this_machine_need_no_fsspec(shards, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] in ("fsspec", "aiohttp")]:
        monkeypatch.setitem(sys.modules, name, None)
    batch = batches(data_config(str(shards["videos"]), shards["stills"]), 1)[0]
    assert len(batch.key) == 4


def test_an_address_in_an_option_for_folders_is_refused():
    with pytest.raises(UserError, match="reads folders of this machine only; copy the shards here"):
        require_shards(Path("https://host/shards"))


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


def test_a_missing_address_is_named_with_the_other_missing_inputs(server, tmp_path):
    data = data_config(f"{server.address}/nowhere", tmp_path / "nowhere", heldout=f"{server.address}/heldout")
    with pytest.raises(UserError) as raised:
        check_training(TrainConfig(output=tmp_path / "run", network=network_config(), data=data))
    first, second = raised.value.faults
    assert first.startswith(f"{server.address}/nowhere: no index.json there")
    assert second.startswith(f"{tmp_path / 'nowhere'}: no such folder of shards")


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

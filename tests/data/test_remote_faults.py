"""Faults of servers, and of the shards at an address."""

from __future__ import annotations

import gc
import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mimicbrush.data.config import CacheConfig, SourceConfig
from mimicbrush.data.datamodule import PairDataset, heldout_pairs
from mimicbrush.data.shard_index import index_path, list_shards, read_index, require_shards
from mimicbrush.data.shards import DamagedSampleError, open_shards, write_shard
from mimicbrush.errors import UserError
from mimicbrush.training.config import TrainConfig
from mimicbrush.training.preconditions import check_training
from tests.conftest import SIZE, make_pairs, network_config
from tests.data.conftest import data_config, open_videos, publish
from tests.data.http_folder import cut_off, send_garbled, send_short, status


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


def test_an_address_in_an_option_for_folders_is_refused():
    with pytest.raises(UserError, match="reads folders of this machine only; copy the shards here"):
        require_shards(Path("https://host/shards"))


def test_a_missing_address_is_named_with_the_other_missing_inputs(server, tmp_path):
    data = data_config(f"{server.address}/nowhere", tmp_path / "nowhere", heldout=f"{server.address}/heldout")
    with pytest.raises(UserError) as raised:
        check_training(TrainConfig(output=tmp_path / "run", network=network_config(), data=data))
    first, second = raised.value.faults
    assert first.startswith(f"{server.address}/nowhere: no index.json there")
    assert second.startswith(f"{tmp_path / 'nowhere'}: no such folder of shards")

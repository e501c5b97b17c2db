import json

import pytest
import webdataset as wds

from mimicbrush.data.shard_index import index_path, list_shards, read_index
from mimicbrush.data.shards import read_pairs, write_shard
from mimicbrush.errors import UserError
from tests.conftest import make_pairs


def test_what_is_written_is_read(tmp_path):
    pairs = make_pairs(3) + make_pairs(2, seed=1, stills=True)
    write_shard(tmp_path / "a-000000.tar", pairs, {})
    assert list(read_pairs(list_shards(tmp_path))) == pairs


def test_the_same_pairs_give_the_same_bytes(tmp_path):
    first, second = (write_shard(tmp_path / f"{name}.tar", make_pairs(3), {}) for name in "ab")
    assert first.sha256 == second.sha256


def test_the_bytes_are_those_of_webdatasets_own_writer(tmp_path):
    pairs = make_pairs(2) + make_pairs(1, seed=1, stills=True)
    write_shard(tmp_path / "ours.tar", pairs, {})
    with wds.TarWriter(str(tmp_path / "theirs.tar"), encoder=False, mtime=0) as writer:
        for sample in wds.DataPipeline(wds.SimpleShardList([str(tmp_path / "ours.tar")]), wds.tarfile_to_samples()):
            writer.write(sample)
    assert (tmp_path / "ours.tar").read_bytes() == (tmp_path / "theirs.tar").read_bytes()


def test_an_exception_leaves_nothing_behind(tmp_path):
    def broken():
        yield make_pairs(1)[0]
        raise RuntimeError("decoder died")

    with pytest.raises(RuntimeError):
        write_shard(tmp_path / "a.tar", broken(), {})
    assert list(tmp_path.iterdir()) == []


def test_a_tar_without_index_is_not_read(tmp_path):
    write_shard(tmp_path / "a.tar", make_pairs(1), {})
    index_path(tmp_path / "a.tar").unlink()
    with pytest.raises(UserError, match="unfinished"):
        list_shards(tmp_path)


def test_a_tar_cut_short_is_refused(tmp_path):
    path = tmp_path / "a.tar"
    write_shard(path, make_pairs(2), {})
    path.write_bytes(path.read_bytes()[:4096])
    with pytest.raises(UserError, match="its index says"):
        list_shards(tmp_path)


def test_empty_and_missing_folders_are_refused(tmp_path):
    with pytest.raises(UserError, match="no finished shard"):
        list_shards(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        list_shards(tmp_path / "nowhere")


def test_a_shard_of_another_version_is_refused(tmp_path):
    write_shard(tmp_path / "a.tar", make_pairs(1), {})
    index = json.loads(index_path(tmp_path / "a.tar").read_text())
    index_path(tmp_path / "a.tar").write_text(json.dumps(index | {"version": 0}))
    with pytest.raises(UserError, match="format 0"):
        read_index(tmp_path / "a.tar")


def test_shared_keys_are_a_mistake(tmp_path):
    with pytest.raises(ValueError, match="share a key"):
        write_shard(tmp_path / "a.tar", make_pairs(1) * 2, {})
    assert list(tmp_path.iterdir()) == []

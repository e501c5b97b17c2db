"""Merging at an address: fsspec's memory, which can be written, and HTTP, which cannot."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from data_prep.clips.clip_to_pairs import shard_videos
from data_prep.config import MergeConfig
from data_prep.merge import COMMAND
from data_prep.sharding.merge_folder import MERGED, merge_folder
from data_prep.sharding.shard_folder import merge
from mimicbrush.command import call_command
from mimicbrush.data.shard_index import list_shards, read_index
from mimicbrush.data.shards import write_shard
from mimicbrush.errors import UserError
from tests.conftest import make_pairs
from tests.data.http_folder import served_folder, status
from tests.data_prep.test_shard_videos import config_for

pytestmark = pytest.mark.usefixtures("without_training_view")


@pytest.fixture
def merged(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A merged folder of shards on this machine."""
    monkeypatch.setattr("mimicbrush.data.remote_files.WAITS", (0.01, 0.01))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    shard_videos(config_for(clips, tmp_path / "out"))
    return tmp_path / "out"


def unmerged_copy(merged: Path, folder: Path) -> Path:
    shutil.copytree(merged, folder / merged.name)
    for name in MERGED:
        (folder / merged.name / name).unlink()
    return folder / merged.name


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in MERGED}


def test_merged_files_at_an_address_are_those_of_the_folder(merged: Path, tmp_path: Path) -> None:
    files, address = fsspec.filesystem("memory"), f"memory://{tmp_path.name}/out"
    for path in sorted(unmerged_copy(merged, tmp_path / "copy").iterdir(), key=lambda path: path.stat().st_mtime_ns):
        files.pipe_file(f"{address}/{path.name}", path.read_bytes())
    line = merge_folder(MergeConfig(folder=address))
    assert line == merge(merged).replace(str(merged), address)
    assert {name: files.cat_file(f"{address}/{name}") for name in MERGED} == contents(merged)
    assert [shard.name for shard in list_shards(address)] == [shard.name for shard in list_shards(merged)]


def test_over_http_the_merged_files_come_here(merged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A server shows pages for its folders, or there is the list of shards of an earlier merge."""
    copy = unmerged_copy(merged, tmp_path / "copy")
    with served_folder(copy.parent) as server:
        address, output = f"{server.address}/out", tmp_path / "here"
        with pytest.raises(UserError, match="HTTP cannot write; give --output, a folder of this machine"):
            call_command(COMMAND, [address])
        call_command(COMMAND, [address, "--output", str(output)])
        for name in ("index.json", "excluded.json"):
            assert (output / name).read_bytes() == (merged / name).read_bytes()
        assert str(output / "report.html") in capsys.readouterr().out
        assert sorted(path.name for path in output.iterdir()) == sorted(MERGED)
        assert server.bytes_of(".tar") <= sum(path.stat().st_size for path in copy.glob("*.tar"))
        server.lists_folders = False
        with pytest.raises(UserError, match=r"out: no index\.json there"):
            merge_folder(MergeConfig(folder=address, output=output))
        shutil.copy(output / "index.json", copy)
        expected = contents(output)
        shutil.rmtree(output)
        merge_folder(MergeConfig(folder=address, output=output))
        assert contents(output) == expected


def test_faults_name_the_address(merged: Path, tmp_path: Path) -> None:
    with served_folder(merged.parent) as server:
        config = MergeConfig(folder=f"{server.address}/out", output=tmp_path / "here")
        server.faults["config.yaml"] = 9 * [status(500)]
        with pytest.raises(UserError, match=r"out/config\.yaml: cannot be reached \(the server answers 500"):
            merge_folder(config)
        server.faults.clear()
        server.knows_ranges = False
        with pytest.raises(UserError, match=rf"{server.address}/out/.*\.tar: the server ignores ranges of bytes"):
            merge_folder(config)
        server.knows_ranges = True
        path = list_shards(merged)[0]
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(
            UserError, match=rf"{server.address}/out/{path.name}: missing, or not of .* as its index says"
        ):
            merge_folder(config)
        (merged / "config.yaml").unlink()
        with pytest.raises(UserError, match=rf"{server.address}/out: no folder of shards; expected"):
            call_command(COMMAND, [config.folder, "--output", str(config.output)])


def test_where_nothing_was_kept_the_report_says_why(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    write_shard(folder / "videos-000000.tar", [], {"a.mp4": {"status": "too_short", "detail": "", "bytes": 1}})
    (folder / "config.yaml").write_text("videos: clips\n")
    with served_folder(tmp_path) as server, pytest.raises(UserError, match=r"nothing to train on.*here/report\.html"):
        merge_folder(MergeConfig(folder=f"{server.address}/out", output=tmp_path / "here"))
    assert (tmp_path / "here" / "report.html").is_file()


def test_outputs_belong_to_addresses(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"output is .*, but .* is no address: its merged files belong into it"):
        call_command(COMMAND, [str(tmp_path), "--output", str(tmp_path / "here")])


def test_samples_of_twelve_shards_alone_are_read(tmp_path: Path) -> None:
    """The first samples of each, in one request."""
    folder = tmp_path / "out"
    for number in range(15):
        write_shard(folder / f"videos-{number:06d}.tar", make_pairs(4, seed=number), {})
    (folder / "config.yaml").write_text("videos: clips\n")
    with served_folder(tmp_path) as server, pytest.MonkeyPatch.context() as patched:
        patched.setattr("data_prep.sharding.merge_folder.NUM_SAMPLES", 2)
        copies: list[tuple[int, list[str]]] = []
        patched.setattr(
            "data_prep.sharding.merge_folder.merge", lambda copy: copies.extend(contents_of_tars(copy)) or ""
        )
        merge_folder(MergeConfig(folder=f"{server.address}/out", output=tmp_path / "here"))
    shards = list_shards(folder)
    assert [size for size, _ in copies] == [shard.stat().st_size for shard in shards]
    held = [keys for _, keys in copies]
    assert sum(map(bool, held)) == 12
    assert all(keys in ([], read_index(shard).keys[:2]) for keys, shard in zip(held, shards, strict=True))
    ranges = [one.range for one in server.requests if one.name.endswith(".tar")]
    assert len(ranges) == 15 + 12


def contents_of_tars(folder: Path) -> Iterator[tuple[int, list[str]]]:
    """Size and keys of each."""
    for shard in sorted(folder.glob("*.tar")):
        with tarfile.open(shard) as tar:
            yield shard.stat().st_size, list(dict.fromkeys(name.partition(".")[0] for name in tar.getnames()))

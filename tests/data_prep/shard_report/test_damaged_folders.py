"""Reports of folders that are damaged, empty, or of an earlier version."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from data_prep.shard_report.report_page import write_report
from mimicbrush.errors import UserError
from tests.data_prep.conftest import summary_in
from tests.data_prep.shard_report.conftest import write_pairs


def test_folders_of_the_last_version_give_a_report(run_folder: Path, tmp_path: Path) -> None:
    write_pairs(tmp_path)
    for path in tmp_path.glob("videos-*.json"):
        index = json.loads(path.read_text())
        path.write_text(json.dumps({name: index[name] for name in index if name not in ("offsets", "groups", "crcs")}))
    summary = summary_in(run_folder)
    later = ("stored_pairs", "excluded", "passed_over", "words", "dropped_masks")
    (tmp_path / "summary.json").write_text(json.dumps({name: summary[name] for name in summary if name not in later}))
    (tmp_path / "log.jsonl").write_text('{"done": 2, "pairs": 2, "wall_seconds": 1.5, "cpu_seconds": {}}\n')
    assert "not recorded" in write_report(tmp_path).read_text()


def test_summary_of_other_shards_is_told(run_folder: Path, tmp_path: Path) -> None:
    write_pairs(tmp_path, 2, 40)
    (tmp_path / "summary.json").write_bytes((run_folder / "summary.json").read_bytes())
    assert "The shards hold 80 pairs" in write_report(tmp_path).read_text()


@pytest.mark.parametrize(
    "change",
    [
        {"pairs": "many"},
        {"similarity": {"high": 3}},
        {"similarity": {"0.50": 0}},
        {"skipped": {"blurred": ["a.mp4"]}},
        {"band": 3},
        {"band": [0.2]},
        {"effort": {"inputs": 1}},
        {"gap": None},
        {"passed_over": [".txt"]},
    ],
)
def test_damaged_summary_is_refused_in_one_line(run_folder: Path, tmp_path: Path, change: dict) -> None:
    write_pairs(tmp_path)
    (tmp_path / "summary.json").write_text(json.dumps({**summary_in(run_folder), **change}))
    with pytest.raises(UserError, match=r"summary\.json: damaged") as error:
        write_report(tmp_path)
    assert "\n" not in str(error.value)


def cut_index(folder: Path) -> None:
    (folder / "videos-000000.json").write_text("{")


def foreign_index(folder: Path) -> None:
    index = json.loads((folder / "videos-000000.json").read_text())
    (folder / "videos-000000.json").write_text(json.dumps({**index, "inputs": {"a.mp4": "kept"}}))


def overwrite_tar(folder: Path) -> None:
    shard = folder / "videos-000000.tar"
    shard.write_bytes(bytes([7]) * shard.stat().st_size)


def spoil_pictures(folder: Path) -> None:
    shard = folder / "videos-000000.tar"
    shard.write_bytes(shard.read_bytes().replace(b"\xff\xd8\xff", b"\0\0\0"))


@pytest.mark.parametrize("damage", [cut_index, foreign_index, overwrite_tar, spoil_pictures])
def test_damaged_shard_is_named(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    write_pairs(tmp_path)
    damage(tmp_path)
    with pytest.raises(UserError, match="videos-000000"):
        write_report(tmp_path)


def test_folders_without_shards_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no finished shard"):
        write_report(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        write_report(tmp_path / "missing")

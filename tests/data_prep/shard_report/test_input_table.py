"""Inputs in a report: worst first, repeated clips beside their twins, what is excluded."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

from data_prep.shard_report.folder_scan import MAX_ROWS, MAX_SKIPPED, scan_folder
from data_prep.shard_report.report_page import write_report
from mimicbrush.data.shards import write_shard
from tests.data_prep.shard_report.conftest import pair, write_pairs


def test_excluded_pairs_are_not_shown(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    found = {"clip0.mp4": {"of": "first.mp4", "share": 1.0, "keys": ["s0-0"]}}
    (tmp_path / "excluded.json").write_text(json.dumps({"near_duplicate": found}))
    text = write_report(tmp_path).read_text()
    assert "repeats another: first.mp4" in text
    assert "Chosen from 1 of 1 samples" in text
    assert "SSIM\u00a00.30" not in text


def test_excluded_clips_stand_beside_those_they_repeat(tmp_path: Path) -> None:
    pairs = [pair("b-0", name="b.mp4"), pair("a-0", name="a.mp4"), pair("a-1", name="a.mp4")]
    kept = {"status": "kept", "detail": ""}
    write_shard(tmp_path / "videos-000000.tar", pairs, {"b.mp4": {**kept, "pairs": 1}, "a.mp4": {**kept, "pairs": 2}})
    found = {"a.mp4": {"of": "b.mp4", "share": 1.0, "keys": ["a-0", "a-1"]}}
    (tmp_path / "excluded.json").write_text(json.dumps({"near_duplicate": found}))
    text = write_report(tmp_path).read_text()
    assert "a.mp4 repeats b.mp4: 2 pairs excluded" in text
    assert "Kept 1 of 2 videos, 1 of 3 pairs; 1 excluded: repeats another (1)." in text


def test_inputs_are_tabulated_worst_first_with_all_facts(tmp_path: Path) -> None:
    records = {
        "good.mp4": {"status": "kept", "detail": "", "pairs": 2, "dropped_pairs": {"not_needed": 9}, "shots": 1},
        "poor.mp4": {
            "status": "kept",
            "detail": "",
            "pairs": 1,
            "dropped_pairs": {"too_alike": 30, "too_close": 4},
            "shots": 3,
            "cropped": [0, 20, 0, 20],
            "deinterlaced": True,
            "vouched": 1,
            "stretches": [7, 7],
        },
        "bad.mp4": {"status": "corrupt_frames", "detail": "damaged frame at 1.00 s", "pairs": 0},
    }
    pairs = [pair("good-0", name="good.mp4"), pair("good-1", name="good.mp4"), pair("poor-0", name="poor.mp4")]
    write_shard(tmp_path / "videos-000000.tar", pairs, records)
    text = write_report(tmp_path).read_text()
    table = text[text.index("worst first</h2>") : text.index(">Pairs</h2>")]
    rows = [re.sub("<[^>]+>", " ", row) for row in re.findall(r"<tr>(.*?)</tr>", table)]
    assert [row.split()[0] for row in rows] == ["video", "bad.mp4", "poor.mp4", "good.mp4"]
    assert "damaged frames: damaged frame at 1.00 s" in rows[1]
    assert "hardly any change (30)" in rows[2]
    for words in ("cropped", "deinterlaced", "read in 7 stretches", "1 pair below the band"):
        assert words in rows[2]
    assert table.count("<img") == 2
    assert "2 stored pairs lie in the band, 1 below it with matches that vouch for them." in text


def test_the_table_of_inputs_is_bounded_and_names_every_reason(tmp_path: Path) -> None:
    skipped = {f"hdr{number}.mp4": {"status": "hdr", "detail": "", "pairs": 0} for number in range(300)}
    short = {"short.mp4": {"status": "too_short", "detail": "", "pairs": 0}}
    kept = {f"kept{number}.mp4": {"status": "kept", "detail": "", "pairs": 0} for number in range(300)}
    write_shard(tmp_path / "videos-000000.tar", [], {**skipped, **short, **kept})
    rows = scan_folder([tmp_path / "videos-000000.tar"], {"near_duplicates": {}}, compared=()).worst()
    assert Counter(row.code for row in rows) == {"hdr": MAX_SKIPPED, "too_short": 1, "kept": MAX_ROWS - MAX_SKIPPED - 1}
    assert "401 more videos" in write_report(tmp_path).read_text()


def test_an_input_that_was_tried_again_counts_once(tmp_path: Path) -> None:
    first, second = tmp_path / "videos-000000.tar", tmp_path / "videos-000001.tar"
    write_shard(first, [], {"a.mp4": {"status": "timeout", "detail": "", "pairs": 0}})
    write_shard(second, [pair("a-0")], {"a.mp4": {"status": "kept", "detail": "", "pairs": 1}})
    scan = scan_folder([first, second], {"near_duplicates": {}}, compared=())
    assert [(row.name, row.code) for row in scan.worst()] == [("a.mp4", "kept")]

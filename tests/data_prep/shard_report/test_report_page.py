"""The report of a folder of shards."""

from __future__ import annotations

import html
import re
from base64 import b64encode
from pathlib import Path

from data_prep.config import SamShardConfig, WorkConfig
from data_prep.frames.images import encode_strip
from data_prep.records.work_log import read_log
from data_prep.shard_report.pair_pictures import MAX_OF_ONE
from data_prep.shard_report.report_page import NUM_SHOWN, NUM_TRAINING, write_report
from data_prep.stills.still_to_pairs import shard_sam
from mimicbrush.data.shards import write_shard
from tests.data_prep.conftest import summary_in, texture, write_still
from tests.data_prep.shard_report.conftest import pair

HEADINGS = [
    "Left out",
    "Videos, worst first",
    "Pairs",
    "Samples as a training batch",
    "Rejected",
    "Similarity, time and motion",
    "Clips and speed",
    "Settings and commands",
]


def test_report_has_its_sections_and_shows_the_pairs(run_folder: Path) -> None:
    text = (run_folder / "report.html").read_text()
    num_pairs = summary_in(run_folder)["pairs"]
    anchors = {title: anchor for anchor, title in re.findall(r"<h2 id='([\w-]+)'>([^<]+)</h2>", text)}
    assert anchors.keys() >= set(HEADINGS)
    assert all(f"<li><a href='#{anchor}'>{title}</a></li>" in text for title, anchor in anchors.items())
    assert text.count(" apart</figcaption>") == min(num_pairs, NUM_SHOWN) + min(num_pairs, 2 * MAX_OF_ONE)
    assert text.count("% hidden") == 2 * min(num_pairs, NUM_TRAINING)
    assert "decode" in text
    assert "opencv" in text
    assert text.count("class='enlarge'") == text.count("<img")


def test_the_same_numbers_stand_everywhere(run_folder: Path) -> None:
    text = (run_folder / "report.html").read_text()
    summary = summary_in(run_folder)
    kept = summary["pairs"]
    assert f"Kept 1 of 2 videos, {kept} pairs; 1 skipped: not readable as a video (1)." in text
    assert f"<tr><td>used for training</td><td>1</td><td>{kept}</td></tr>" in text
    dropped = sum(summary["dropped_pairs"].values())
    assert dropped + kept == 3  # pairs of three frames: two of the four moments show the same one
    assert f"{dropped} pairs of frames were dropped and {kept} stored, of {dropped + kept} in all." in text


def test_words_stand_in_place_of_codes(run_folder: Path) -> None:
    text = (run_folder / "report.html").read_text()
    assert "Not readable as a video: 1 video" in text
    assert not re.findall(r"\b(too_alike|too_close|cut_between|near_duplicate|not_needed)\b", text)


def test_settings_date_and_command_are_told(run_folder: Path) -> None:
    text = (run_folder / "report.html").read_text()
    assert "<tr><td>pairs.ssim_low</td><td>0.0</td><td>0.25</td></tr>" in text
    assert "videos_per_shard: 100" in text  # among all settings
    (entry,) = read_log(run_folder)
    assert f"<tr><td>{entry['date']}</td><td>2</td>" in text
    assert entry["command"].split()[0] == "python" and html.escape(entry["command"]) in text


def test_names_are_escaped(run_folder: Path) -> None:
    text = (run_folder / "report.html").read_text()
    assert "zero&lt;b&gt;&amp;&#x27;" in text
    assert "猫" in text
    assert "<b>" not in text


def test_report_without_summary_is_made_from_the_shards(run_folder: Path, tmp_path: Path) -> None:
    for path in run_folder.glob("videos-*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    text = write_report(tmp_path).read_text()
    assert "no summary.json" in text
    assert "Kept 1 of 2 videos" in text
    assert text.count("<img") == (run_folder / "report.html").read_text().count("<img")


def test_shards_of_unnamed_inputs_are_shown(tmp_path: Path) -> None:
    write_shard(tmp_path / "elsewhere.tar", [pair("one")], {})
    text = write_report(tmp_path).read_text()
    assert "1 pairs of unnamed inputs" in text
    assert "SSIM\u00a00.50" in text


def test_stills_show_their_masks(tmp_path: Path) -> None:
    write_still(tmp_path / "in", "sa_1")
    shard_sam(SamShardConfig(stills=tmp_path / "in", output=tmp_path / "out", work=WorkConfig(workers=1)))
    text = (tmp_path / "out" / "report.html").read_text()
    assert "alt='sa_1: still, 1\u00a0mask'" in text
    assert "matched points</figcaption>" not in text


def test_folder_that_kept_nothing_names_the_reasons(tmp_path: Path) -> None:
    example = {"reason": "blurred", "name": "fog.mp4", "picture": b64encode(encode_strip([texture(0)])).decode()}
    write_shard(tmp_path / "videos-000000.tar", [], {"fog.mp4": {"status": "blurred", "detail": "9 frames"}}, [example])
    text = write_report(tmp_path).read_text()
    assert "fog.mp4: 9 frames" in text
    assert "<h3>Blurred</h3>" in text
    assert "alt='fog.mp4'" in text

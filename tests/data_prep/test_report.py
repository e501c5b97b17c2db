from __future__ import annotations

import html
import json
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data_prep.clips.clip_to_pairs import shard_videos
from data_prep.config import EncodeConfig, PairConfig, SamShardConfig, VideoShardConfig, WorkConfig
from data_prep.frames.images import encode_image, encode_strip
from data_prep.records.work_log import read_log
from data_prep.shard_report import pair_pictures
from data_prep.shard_report.folder_scan import MAX_ROWS, MAX_SKIPPED, scan_folder
from data_prep.shard_report.histograms import MAX_BARS, histogram_bars, histogram_chart
from data_prep.shard_report.pair_pictures import (
    MAX_OF_ONE,
    MAX_SHARDS,
    Listed,
    choose_extremes,
    choose_over_band,
    list_samples,
)
from data_prep.shard_report.report_page import NUM_SHOWN, NUM_TRAINING, write_report
from data_prep.stills.still_to_pairs import shard_sam
from mimicbrush.data.shards import FramePair, write_shard
from mimicbrush.errors import UserError
from tests.data_prep.conftest import summary_in, texture, write_clip, write_still

PICTURE = encode_image(texture(0, 48, 64), EncodeConfig())
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


def pair(key: str, similarity: float = 0.5, name: str = "a.mp4") -> FramePair:
    points = [(0.25, 0.5, 0.5, 0.5)] * 9
    origin = {"file": name, "group": name, "times": [0.5, 2.0]}
    return FramePair(key=key, source=PICTURE, reference=PICTURE, similarity=similarity, keypoints=points, origin=origin)


def write_pairs(folder: Path, num_shards: int = 1, per_shard: int = 2) -> list[Path]:
    """Shards of pairs whose similarities rise from 0.3 to 0.9; the indexes name one clip each."""
    shards = [folder / f"videos-{number:06d}.tar" for number in range(num_shards)]
    similarities = np.linspace(0.3, 0.9, num_shards * per_shard).reshape(num_shards, per_shard)
    for number, shard in enumerate(shards):
        pairs = [pair(f"s{number}-{i}", float(value)) for i, value in enumerate(similarities[number])]
        record = {"status": "kept", "detail": "", "similarity": {"0.50": per_shard}}
        write_shard(shard, pairs, {f"clip{number}.mp4": record})
    return shards


def listed(similarity: float | None, name: str = "a.mp4") -> Listed:
    return Listed(Path("x.tar"), "key", similarity, name, {})


def heights(svg: str) -> list[float]:
    return [float(height) for height in re.findall(r"class='bar'[^>]* height='([\d.]+)'", svg)]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a sharding command for an intact clip and for one that cannot be read and has a hostile name."""
    folder = tmp_path_factory.mktemp("report")
    write_clip(folder / "in" / "a.mp4", step=1)
    (folder / "in" / "zero<b>&'\n猫.mp4").touch()
    limits = {"ssim_low": 0.0, "ssim_high": 0.9, "min_gap": 0.1, "min_changed": 0.0}
    pairs = PairConfig(**limits, frames_per_shot=4, vouching=False)
    shard_videos(
        VideoShardConfig(
            videos=folder / "in", output=folder / "out", short_side=64, pairs=pairs, work=WorkConfig(workers=1)
        )
    )
    return folder / "out"


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


def test_excluded_pairs_are_not_shown(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    found = {"clip0.mp4": {"of": "first.mp4", "share": 1.0, "keys": ["s0-0"]}}
    (tmp_path / "excluded.json").write_text(json.dumps({"near_duplicate": found}))
    text = write_report(tmp_path).read_text()
    assert "repeats another clip: first.mp4" in text
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
    assert "Kept 1 of 2 videos, 1 of 3 pairs; 1 excluded: repeats another clip (1)." in text


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


def test_few_shards_and_samples_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = write_pairs(tmp_path, 30, 5)
    monkeypatch.setattr(pair_pictures, "MAX_SAMPLES", 3)
    samples = list_samples(shards)
    read = sorted({sample.shard for sample in samples})
    assert len(read) == MAX_SHARDS
    assert (read[0], read[-1]) == (shards[0], shards[-1])
    assert len(samples) == 3 * MAX_SHARDS
    assert "36 of 150 samples, in 12 of 30 shards" in write_report(tmp_path).read_text()


def test_shown_pairs_lie_evenly_over_the_band() -> None:
    crowded = [listed(0.8 + i * 1e-4, f"{i}.mp4") for i in range(1000)]
    sparse = [listed(value, f"{value}.mp4") for value in np.linspace(0.2, 0.8, 13)]
    shown = [sample.similarity for sample in choose_over_band(crowded + sparse, 8)]
    assert np.diff(shown) == pytest.approx(0.1, abs=0.03)


def test_shown_pairs_come_from_many_clips() -> None:
    samples = [listed(0.5 + i * 1e-4, f"{i // 10}.mp4") for i in range(100)]
    assert len({sample.name for sample in choose_over_band(samples, 10)}) == 10


def test_stills_take_a_quarter_beside_pairs_and_all_without() -> None:
    pairs, stills = [listed(0.5)] * 30, [listed(None)] * 30
    assert [sample.similarity for sample in choose_over_band(pairs + stills, 8)] == [0.5] * 6 + [None] * 2
    assert len(choose_over_band(stills, 8)) == 8


def test_extremes_are_sorted_and_disjoint() -> None:
    samples = [listed(value, f"{value}.mp4") for value in (0.3, 0.9, 0.5, None, 0.7, 0.4)]
    most, least = choose_extremes(samples, 10)
    assert [sample.similarity for sample in most] == [0.9, 0.7, 0.5]
    assert [sample.similarity for sample in least] == [0.3, 0.4]


def test_one_clip_does_not_fill_the_extremes() -> None:
    samples = [listed(0.9 - i / 1000, "still.mp4") for i in range(9)] + [listed(0.5, "a.mp4"), listed(0.1, "b.mp4")]
    most, least = choose_extremes(samples, 10)
    assert [sample.name for sample in most] == ["still.mp4"] * MAX_OF_ONE
    assert [sample.name for sample in least] == ["b.mp4", "a.mp4", "still.mp4", "still.mp4"]


def test_bars_are_as_high_as_their_counts() -> None:
    chart = histogram_chart(histogram_bars({"0.40": 10, "0.45": 20, "0.60": 5}, 0.05), title="t", axis="SSIM")
    low, high, lowest = heights(chart)
    assert high == pytest.approx(2 * low, abs=0.1)
    assert low == pytest.approx(2 * lowest, abs=0.1)
    assert "<title>0.4 to 0.45: 10</title>" in chart


def test_lonely_bins_keep_their_width() -> None:
    (bar,) = histogram_bars({"0.90": 3}, 0.05)
    assert (bar.start, bar.end, bar.count) == pytest.approx((0.9, 0.95, 3))


def test_narrower_bins_than_usual_are_believed() -> None:
    bars = histogram_bars({"0.40": 1, "0.41": 1, "-0.03": 1}, 0.05)
    assert [bar.end - bar.start for bar in bars] == pytest.approx([0.01] * 3)


def test_many_bins_share_bars_and_none_is_lost() -> None:
    bars = histogram_bars({f"{number / 2:.2f}": 3 for number in range(1000)}, 0.5)
    assert len(bars) <= MAX_BARS
    assert sum(bar.count for bar in bars) == 3000


def test_long_tail_becomes_one_bar() -> None:
    *body, tail = histogram_bars({"0.00": 900, "0.50": 90, "300.00": 10}, 0.5, has_tail=True)
    assert [bar.count for bar in body] == [900, 90]
    assert (tail.start, tail.end, tail.count) == (1.0, float("inf"), 10)

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import yaml

from data_prep.config import VideoShardConfig, WorkConfig
from data_prep.inputs.input_states import InputState, InputStates
from data_prep.records.summary import describe, histogram
from data_prep.records.work_units import (
    KEPT,
    Unit,
    claim_output,
    key_of_edition,
    keys_by_input,
    latest_records,
    merge_inputs,
    plan_units,
    read_indexes,
    slug,
)
from data_prep.sharding.parallel_sharding import Outcome, counted, skipped
from mimicbrush.data.shards import FramePair, write_shard
from mimicbrush.errors import UserError
from mimicbrush.progress import PlainProgress, ProgressLog

JPEG = b"\xff\xd8 a picture"


@dataclass(frozen=True)
class Settings:
    amount: int = 1
    workers: int = 1


def inputs_of(sizes: dict[str, int]) -> InputStates:
    """Inputs of these sizes, which cannot be read."""

    def refuse(name: str) -> str:
        raise OSError(name)

    states = {name: InputState(size, [1]) for name, size in sizes.items()}
    return InputStates(states, lambda name: partial(refuse, name), {})


def plan(folder: Path, sizes: dict[str, int], per_shard: int, work: WorkConfig) -> list[Unit]:
    records = latest_records(read_indexes(folder).values())
    return plan_units(folder, "videos", inputs_of(sizes), per_shard, work, records=records)


def finish(shard: Path, names: list[str], status: str = "kept", size: int = 7) -> None:
    write_shard(shard, [], {name: {"status": status, "bytes": size, "pairs": 0} for name in names})


def test_units_are_fixed_slices_of_what_is_left(tmp_path: Path) -> None:
    sizes = dict.fromkeys("edcba", 7)
    units = plan(tmp_path, sizes, 2, WorkConfig())
    assert [unit.names for unit in units] == [["a", "b"], ["c", "d"], ["e"]]
    assert [unit.shard.name for unit in units] == [f"videos-00000{number}.tar" for number in range(3)]
    finish(units[1].shard, units[1].names)
    assert plan(tmp_path, sizes, 2, WorkConfig()) == [units[0], units[2]]


def test_added_inputs_become_new_units(tmp_path: Path) -> None:
    for unit in plan(tmp_path, dict.fromkeys("ac", 7), 2, WorkConfig()):
        finish(unit.shard, unit.names)
    (unit,) = plan(tmp_path, dict.fromkeys("abc", 7), 2, WorkConfig())
    assert (unit.shard.name, unit.names) == ("videos-000001.tar", ["b"])


def test_a_skipped_input_is_done_again_when_its_size_changes(tmp_path: Path) -> None:
    finish(tmp_path / "videos-000000.tar", ["a", "b"], status="unreadable")
    (unit,) = plan(tmp_path, {"a": 7, "b": 8}, 2, WorkConfig())
    assert unit.names == ["b"]
    finish(unit.shard, unit.names, size=8)
    assert merge_inputs(read_indexes(tmp_path).values())["b"]["status"] == "kept"


def test_a_kept_input_is_done_again_under_new_keys_when_it_changes(tmp_path: Path) -> None:
    finish(tmp_path / "videos-000000.tar", ["a", "b"])
    (unit,) = plan(tmp_path, {"a": 7, "b": 8}, 2, WorkConfig())
    assert (unit.names, unit.editions) == (["b"], {"b": 2})
    write_shard(unit.shard, [], {"b": {"status": "corrupt_frames", "bytes": 8, "pairs": 0, "edition": 2}})
    assert merge_inputs(read_indexes(tmp_path).values())["b"]["status"] == "corrupt_frames"
    (unit,) = plan(tmp_path, {"a": 7, "b": 9}, 2, WorkConfig())
    assert unit.editions == {"b": 3}
    key = f"{slug('b')}-10-20"
    assert key_of_edition(key, "b", 1) == key
    assert key_of_edition(key, "b", 3) == f"{slug('b')}-edition3-10-20"


def test_keys_follow_the_order_of_the_inputs(tmp_path: Path) -> None:
    pairs = [FramePair(key=key, source=JPEG, reference=JPEG, similarity=0.5) for key in ("a-1", "a-2", "c-1")]
    records = {name: {"status": "kept", "bytes": 1, "pairs": num} for name, num in {"a": 2, "b": 0, "c": 1}.items()}
    index = write_shard(tmp_path / "videos-000000.tar", pairs, records)
    assert dict(keys_by_input(index)) == {"a": ["a-1", "a-2"], "b": [], "c": ["c-1"]}


def test_a_folder_holds_one_run(tmp_path: Path) -> None:
    claim_output(tmp_path, Settings(), free=("workers",))
    (tmp_path / "videos-000000.tar").touch()
    claim_output(tmp_path, Settings(workers=8), free=("workers",))
    with pytest.raises(UserError, match="amount was 1, is 2"):
        claim_output(tmp_path, Settings(amount=2), free=("workers",))


def test_a_folder_of_an_earlier_version_can_be_continued(tmp_path: Path) -> None:
    config = VideoShardConfig(videos=tmp_path, output=tmp_path / "out")
    claim_output(tmp_path / "out", config)
    path = tmp_path / "out" / "config.yaml"
    present = path.read_text()
    path.write_text(present.replace("_per_shot", "_per_clip"))
    claim_output(tmp_path / "out", config)
    assert path.read_text() == present


def test_a_run_without_results_binds_nobody(tmp_path: Path) -> None:
    claim_output(tmp_path, Settings(), free=())
    finish(tmp_path / "videos-000000.tar", ["a"], status="no_pair_in_band")
    claim_output(tmp_path, Settings(amount=2), free=())
    assert read_indexes(tmp_path) == {}
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["amount"] == 2


def test_files_of_another_kind_of_run_are_never_touched(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("network: {}\n")
    (tmp_path / "photo-000001.json").write_text("{}")
    with pytest.raises(UserError, match="holds another run"):
        claim_output(tmp_path, Settings(), free=())
    assert (tmp_path / "config.yaml").read_text() == "network: {}\n"
    assert (tmp_path / "photo-000001.json").is_file()


def test_shards_of_unknown_origin_are_not_mixed_with(tmp_path: Path) -> None:
    (tmp_path / "videos-000000.tar").touch()
    with pytest.raises(UserError, match=r"no config\.yaml"):
        claim_output(tmp_path, Settings(), free=())


def test_slugs_are_readable_and_unique() -> None:
    assert slug("cats/My clip (1).mp4").startswith("My-clip-1-")
    assert slug("a/x.mp4") != slug("b/x.mp4")
    assert slug("日本.mp4").startswith("input-")


def test_histogram_names_bins_by_their_lower_edge() -> None:
    assert histogram([0.01, 0.049, 0.26, -0.01], 0.05) == {"-0.050": 1, "0.000": 2, "0.250": 1}
    assert histogram([0.4, 1.2], 0.5) == {"0.000": 1, "1.000": 1}


def test_the_account_reads_well_and_adds_up() -> None:
    skipped = {"too_short": dict.fromkeys(map(str, range(120)), ""), "unreadable": {"x": ""}}
    old = {"inputs": 10000, "kept": 9878, "pairs": 41233, "noun": "videos", "skipped": skipped}
    expected = "kept 9 878 of 10 000 videos, 41 233 pairs; 121 skipped: too short (120), not readable as a video (1)"
    assert describe({**old, "near_duplicates": {}}) == expected
    assert describe({**old, "near_duplicates": {"b": "a"}}) == f"{expected}; 1 excluded: repeats another (1)"
    new = {"stored_pairs": 41241, "excluded": {"near_duplicate_clip": 1}, "passed_over": {".srt": 3, ".txt": 1}}
    said = describe({**old, "near_duplicates": {"b": "a"}, **new})
    assert said.startswith("kept 9 878 of 10 000 videos, 41 233 of 41 241 pairs; 121 skipped: ")
    assert said.endswith("; 1 excluded: repeats another (1); passed over: 3 .srt, 1 .txt")


def test_progress_shows_kept_inputs_and_pairs() -> None:
    progress = PlainProgress(total=3, unit="video", log=ProgressLog(write=lambda line: None))
    outcomes = [
        Outcome([None] * 1200, {"status": KEPT}, {}, {}),
        skipped("hdr", ""),
        Outcome([None], {"status": KEPT}, {}, {}),
    ]
    seen = [progress.describe(is_innermost=True) for _ in counted(iter(outcomes), Counter(), progress)]
    assert seen == [
        "video 1 of 3 (1 kept, 1 200 pairs)",
        "video 2 of 3 (1 kept, 1 200 pairs)",
        "video 3 of 3 (2 kept, 1 201 pairs)",
    ]


def test_tasks_share_the_inputs_by_their_names(tmp_path: Path) -> None:
    sizes = dict.fromkeys(map(str, range(40)), 7)
    shares = [
        [name for unit in plan(tmp_path, sizes, 100, WorkConfig(task=task, num_tasks=3)) for name in unit.names]
        for task in range(3)
    ]
    assert sorted(name for share in shares for name in share) == sorted(sizes)
    assert all(len(share) > 5 for share in shares)
    assert shares[1] == sorted(WorkConfig(task=1, num_tasks=3).by_name(sizes))
    (unit,) = plan(tmp_path, sizes, 100, WorkConfig(task=2, num_tasks=3))
    assert unit.shard.name == "videos-0002-000000.tar"


def test_reasons_can_be_tried_again(tmp_path: Path) -> None:
    finish(tmp_path / "videos-000000.tar", ["a", "b"], status="timeout")
    assert plan(tmp_path, {"a": 7, "b": 7}, 2, WorkConfig()) == []
    (unit,) = plan(tmp_path, {"a": 7, "b": 7}, 2, WorkConfig(retry=["timeout"]))
    assert unit.names == ["a", "b"]


def test_a_mistyped_reason_is_refused(tmp_path: Path) -> None:
    finish(tmp_path / "videos-000000.tar", ["a"], status="reason_of_another_version")
    assert plan(tmp_path, {"a": 7}, 2, WorkConfig(retry=["reason_of_another_version", "crashed"]))
    with pytest.raises(UserError, match=r"--work\.retry: timeot is no reason; .* retried: missing, .*timeout, crashed"):
        plan(tmp_path, {"a": 7}, 2, WorkConfig(retry=["crashed", "timeot"]))


def test_a_bad_share_names_its_field() -> None:
    with pytest.raises(ValueError, match="task is 4; expected 0 to 3"):
        WorkConfig(task=4, num_tasks=4)

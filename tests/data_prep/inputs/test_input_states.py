from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from data_prep.inputs.input_states import InputStates, state_of
from mimicbrush.files import sha256

OLD, NEW = 10**18, 2 * 10**18


def write(path: Path, content: str, modified: int = OLD) -> Path:
    path.write_text(content)
    os.utime(path, ns=(modified, modified))
    return path


def record_of(path: Path) -> dict:
    return {"status": "kept", **state_of(path)._asdict(), "sha256": sha256(path)}


def changed_after(path: Path, records: list[dict]) -> bool:
    inputs = InputStates({"a": state_of(path)}, lambda name: partial(sha256, path), {})
    return inputs.find_changed({"a": records}) == {"a"}


def test_size_time_and_content_tell_a_change(tmp_path: Path) -> None:
    path = write(tmp_path / "a", "before")
    record = record_of(path)
    assert not changed_after(path, [record])
    assert not changed_after(write(path, "before", NEW), [record])  # touched or copied
    assert changed_after(write(path, "after!", NEW + 1), [record])
    assert changed_after(write(path, "longer than before"), [record])
    assert changed_after(path, [])


def test_records_of_earlier_versions_are_compared_by_size(tmp_path: Path) -> None:
    path = write(tmp_path / "a", "before", NEW)
    assert not changed_after(path, [{"status": "kept", "bytes": 6}])
    assert changed_after(path, [{"status": "kept", "bytes": 7}])


def test_an_equal_time_saves_reading(tmp_path: Path) -> None:
    def refuse() -> str:
        raise AssertionError

    path = write(tmp_path / "a", "before")
    assert InputStates({"a": state_of(path)}, lambda name: refuse, {}).find_changed({"a": [record_of(path)]}) == set()


def test_what_cannot_be_read_now_is_left_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "a", "before")
    record = record_of(path)
    write(path, "after!", NEW)

    def refuse() -> str:
        raise OSError

    assert InputStates({"a": state_of(path)}, lambda name: refuse, {}).find_changed({"a": [record]}) == set()


def test_what_is_no_file_has_no_state(tmp_path: Path) -> None:
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    for name in ("broken", "pipe", "."):
        assert state_of(tmp_path / name) == (0, [])

"""The state of an edit in a folder: stopping, resuming, and what is refused."""

from __future__ import annotations

import errno
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mimicbrush.editors.text2live import Text2LiveEditor
from mimicbrush.editors.text2live.layer_optimisation import stands_still
from mimicbrush.editors.text2live.settings import Text2LiveSettings
from mimicbrush.errors import UserError
from mimicbrush.run_state import STATE, undisturbed

SETTINGS = Text2LiveSettings(num_steps=4, resolution=None, num_scales=2, num_channels=6, num_views=2)


class Stop(Exception):  # noqa: N818 - it is no error
    """Raised by a callback."""


def stop_after(num_steps: int):
    seen = []

    def on_progress(share: float, preview: object) -> None:
        seen.append(share)
        if len(seen) == num_steps:
            raise Stop

    return on_progress


@pytest.fixture
def editor(guide) -> Text2LiveEditor:
    return Text2LiveEditor(guide, settings=SETTINGS, device="cpu")


def test_a_stopped_edit_resumes_to_the_same_bytes(editor, layer_request, tmp_path):
    whole = editor.edit(layer_request)
    for num_steps in (1, 2):
        with pytest.raises(Stop):
            editor.edit(layer_request, on_progress=stop_after(num_steps), run_folder=tmp_path)
    shares = []
    resumed = editor.edit(layer_request, on_progress=lambda share, _: shares.append(share), run_folder=tmp_path)
    assert shares == [1.0]
    assert torch.equal(resumed.frames, whole.frames)


def test_a_finished_edit_is_not_run_again(editor, layer_request, tmp_path):
    first = editor.edit(layer_request, run_folder=tmp_path)
    again = editor.edit(layer_request, on_progress=stop_after(1), run_folder=tmp_path)
    assert torch.equal(first.frames, again.frames)


@pytest.mark.parametrize(
    ("settings", "request_change", "difference"),
    [
        ({"num_steps": 9}, {}, "settings.num_steps was 4, is 9"),
        ({}, {"prompts": ("a red ball",)}, r"prompts was \['a golden ball'\], is \['a red ball'\]"),
        ({}, {"seed": 4}, "seed was 3, is 4"),
        ({}, {"mask_use": "limit"}, "mask_use was guide, is limit"),
        ({}, {"source": torch.zeros(1, 3, 40, 48)}, "source was "),
        ({}, {"mask": None}, "mask was .*, is None"),
    ],
)
def test_another_run_is_refused(guide, layer_request, tmp_path, settings, request_change, difference):
    editor = Text2LiveEditor(guide, settings=SETTINGS, device="cpu")
    with pytest.raises(Stop):
        editor.edit(layer_request, on_progress=stop_after(1), run_folder=tmp_path)
    before = (tmp_path / STATE).read_bytes()
    editor = Text2LiveEditor(guide, settings=replace(SETTINGS, **settings), device="cpu")
    with pytest.raises(UserError, match=f"holds another run: {difference}"):
        editor.edit(replace(layer_request, **request_change), run_folder=tmp_path)
    assert (tmp_path / STATE).read_bytes() == before


def test_weights_that_are_not_finite_leave_the_last_good_state(editor, layer_request, tmp_path, monkeypatch):
    with pytest.raises(Stop):
        editor.edit(layer_request, on_progress=stop_after(2), run_folder=tmp_path)
    before = (tmp_path / STATE).read_bytes()
    optimisation = editor.prepare(layer_request)
    monkeypatch.setattr(editor, "prepare", lambda request: optimisation)

    def spoil(share: float, preview: object) -> None:
        torch.nn.init.constant_(optimisation.network.head.bias, float("nan"))
        raise Stop

    with pytest.raises(Stop):
        editor.edit(layer_request, on_progress=spoil, run_folder=tmp_path)
    assert (tmp_path / STATE).read_bytes() == before


def test_a_full_disk_is_named_and_leaves_the_last_state(editor, layer_request, tmp_path, monkeypatch):
    with pytest.raises(Stop):
        editor.edit(layer_request, on_progress=stop_after(1), run_folder=tmp_path)
    before = (tmp_path / STATE).read_bytes()

    def fail(content: object, path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mimicbrush.run_state.torch_save", fail)
    with pytest.raises(UserError, match=r"state.pt: cannot be written \(No space left on device\)"):
        editor.edit(layer_request, run_folder=tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert (tmp_path / STATE).read_bytes() == before


def test_ctrl_c_waits_for_the_end_of_an_update():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    done = []
    try:
        with pytest.raises(KeyboardInterrupt), undisturbed():
            signal.raise_signal(signal.SIGINT)
            done.append(True)
        assert done and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_standing_still_compares_two_means():
    falling = [4.0, 4.0, 2.0, 2.0]
    assert not stands_still(falling, patience=2, min_improvement=0.4)
    assert stands_still(falling, patience=2, min_improvement=0.6)
    assert not stands_still(falling[:3], patience=2, min_improvement=0.6)
    assert not stands_still(falling, patience=None, min_improvement=0.6)

"""Values that a browser kept, as the server takes them."""

from __future__ import annotations

import gradio as gr

from mimicbrush.demo.config import Limits
from mimicbrush.demo.painter import PainterData, make_painter
from mimicbrush.demo.result_panel import SAME
from mimicbrush.demo.saving.saved_tabs import SavedTab, restored


def test_usable_values_come_back_and_others_leave_their_control_as_it_is(folders, caplog):
    controls = {
        "source": make_painter(limits=Limits(), title="Picture", hint=""),
        "clip": gr.Video(),
        "steps": gr.Slider(1, 50, 20),
        "seed": gr.Number(0),
        "prompt": gr.Textbox(),
        "keep_shape": gr.Checkbox(),
    }
    usable = {"steps": 99, "seed": 7, "prompt": "a star", "keep_shape": True}
    found = restored(SavedTab(values=usable), controls, Limits(), folders)
    assert found == [PainterData(restored=True), SAME, 50, 7, "a star", True]
    unusable = {
        "source": {"picture": {"path": "/etc/a.png"}},
        "clip": "/etc/a.mp4",
        "steps": 10**400,
        "seed": {"path": "x" * 100_000},
    }
    assert restored(SavedTab(values=unusable), controls, Limits(), folders) == [PainterData(restored=True), *[SAME] * 5]
    assert len(caplog.messages) == 4 and all(len(line) < 400 for line in caplog.messages)
    assert restored(None, controls, Limits(), folders) == [PainterData(restored=True), *[SAME] * 5]

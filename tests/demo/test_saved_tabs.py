"""Values that a browser kept, as the server takes them."""

from __future__ import annotations

import gradio as gr

from mimicbrush.demo.config import Limits
from mimicbrush.demo.motion.motion_handles import HandlesData, make_handles
from mimicbrush.demo.painter import make_painter
from mimicbrush.demo.saving.saved_tabs import SavedTab, restored


def test_usable_values_come_back_and_others_are_left_out(folders, caplog):
    controls = {
        "source": make_painter(limits=Limits(), title="Picture", hint=""),
        "handles": make_handles(limits=Limits(), canvas="source"),
        "clip": gr.Video(),
        "steps": gr.Slider(1, 50, 20),
        "seed": gr.Number(0),
        "prompt": gr.Textbox(),
        "keep_shape": gr.Checkbox(),
        "guide": gr.Radio([("A reference", "reference")]),
    }
    usable = {"steps": 99, "seed": 7, "prompt": "a star", "keep_shape": True, "guide": "reference", "clip": None}
    usable["handles"] = {"motion": "rotate 9", "picture": "a1"}
    found = restored(SavedTab(values=usable), controls, Limits(), folders)
    assert found.pop("handles") == HandlesData(motion="rotate 9", picture="a1").model_dump()
    expected = {"steps": 50, "seed": 7, "prompt": "a star", "keep_shape": True, "guide": "reference"}
    assert found == expected and not caplog.messages
    unusable = {
        "source": {"picture": {"path": "/etc/a.png"}},
        "handles": {"motion": "rotate 9", "saved_frames": [{"path": "/etc/a.png"}]},
        "clip": "/etc/a.mp4",
        "steps": 10**400,
        "seed": {"path": "x" * 100_000},
        "guide": "prompt",
    }
    assert restored(SavedTab(values=unusable), controls, Limits(), folders) == {}
    assert len(caplog.messages) == 6 and all(len(line) < 400 for line in caplog.messages)
    assert restored(None, controls, Limits(), folders) == {}

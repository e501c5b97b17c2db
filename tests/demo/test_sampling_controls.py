"""The quick mode on the page: where it is offered, and what it sets."""

from __future__ import annotations

from types import SimpleNamespace

import gradio as gr
import pytest

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.sampling_controls import make_quick, reference_fields, used_settings
from mimicbrush.model.weights.find import few_steps_of

NUMBERS = {"num_inference_steps": 8, "guidance_scale": 3.0}


def draw(config: DemoConfig, weights: str | None) -> tuple[dict, gr.Slider, gr.Slider]:
    editor = SimpleNamespace(loaded=SimpleNamespace(few_steps=weights and few_steps_of(weights)))
    with gr.Blocks():
        steps, guidance = gr.Slider(1, 100, 8), gr.Slider(1, 20, 3)
        return make_quick(config, editor, steps, guidance), steps, guidance


@pytest.mark.parametrize(("quick", "is_ticked"), [(None, True), (True, True), (False, False)])
def test_it_is_ticked_unless_the_page_says_otherwise_and_disables_what_it_replaces(quick, is_ticked):
    controls, steps, guidance = draw(DemoConfig(quick=quick), "asset:tiny")
    assert controls["quick"].value is is_ticked and "in 4 steps" in controls["quick"].info
    assert steps.interactive is guidance.interactive is not is_ticked


def test_it_is_offered_only_where_the_weights_come_with_it_and_can_be_changed():
    assert draw(DemoConfig(), None)[0] == {}
    assert draw(DemoConfig(offload="sequential"), "asset:tiny")[0] == {}


def test_it_replaces_steps_guidance_and_sampler():
    config = DemoConfig(scheduler="DDIMScheduler", num_inference_steps=20)
    assert used_settings({"quick": True, **NUMBERS}) == {"quick": True}
    fields = reference_fields(config, {"quick": True})
    assert fields["quick"] is True
    assert [fields[name] for name in ("num_inference_steps", "guidance_scale", "scheduler")] == [None] * 3
    assert used_settings({"quick": False, **NUMBERS}) == {"quick": False, **NUMBERS}
    fields = reference_fields(config, {"quick": False, **NUMBERS})
    assert (fields["quick"], fields["num_inference_steps"], fields["scheduler"]) == (False, 8, "DDIMScheduler")
    assert reference_fields(config, NUMBERS)["quick"] is False

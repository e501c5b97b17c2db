"""The quick mode, which replaces steps and guidance: its control, and what these three set in the config of an edit."""

from __future__ import annotations

from dataclasses import fields

import gradio as gr

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.controls import QUIET, Controls
from mimicbrush.demo.edit_configs import chosen_editor
from mimicbrush.demo.shared_editor import SharedEditor
from mimicbrush.edit.kinds.reference_edit import LoadConfig, ReferenceEditConfig
from mimicbrush.model.weights.lora_file import read_lora

QUICK = "Draws in {steps} steps, as these weights were trained to. Without it, Steps and Guidance can be chosen."
OF_FILE = ("num_inference_steps", "guidance_scale", "scheduler")
"""Fields whose values the quick mode brings."""
DISABLE = "(isQuick) => [0, 1].map(() => ({ __type__: 'update', interactive: !isQuick }))"


def make_quick(config: DemoConfig, editor: SharedEditor, steps: gr.Slider, guidance: gr.Slider) -> Controls:
    """Draw the box that switches the quick mode on; nothing where the weights come without that mode.

    steps, guidance: disabled while it is ticked.
    """
    path = getattr(editor.loaded, "few_steps", None)
    if path is None or config.offload == "sequential":  # which leaves the weights as they are
        return {}
    recommended, is_on = read_lora(path).recommended, config.quick is not False
    info = QUICK.format(steps=recommended.num_inference_steps if recommended else "a few")
    quick = gr.Checkbox(is_on, label="Quick", info=info, min_width=240)
    steps.interactive = guidance.interactive = not is_on
    quick.change(None, quick, [steps, guidance], js=DISABLE, **QUIET)
    return {"quick": quick}


def used_settings(settings: dict[str, object]) -> dict[str, object]:
    """Settings that a visitor made, without those that the quick mode replaces."""
    replaced = OF_FILE if settings.get("quick") else ()
    return {name: value for name, value in settings.items() if name not in replaced}


def reference_fields(config: DemoConfig, settings: dict[str, object]) -> dict[str, object]:
    """Fields of ReferenceEditConfig: those with which the page was started, and over them the settings of a visitor."""
    page = chosen_editor(config, ReferenceEditConfig.kind)
    if not page:
        page = {each.name: getattr(config, each.name) for each in fields(LoadConfig)} | vars(config.settings)
        page["quick"] = bool(config.quick)
    given = page | settings
    return given | dict.fromkeys(OF_FILE) if given.get("quick") else given

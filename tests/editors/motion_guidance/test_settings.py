from __future__ import annotations

from dataclasses import replace

import pytest

from mimicbrush.config import load_config
from mimicbrush.diffusion.config import ScheduleConfig
from mimicbrush.diffusion.ddim import ddim_steps
from mimicbrush.editors.motion_guidance.pass_counts import count_passes
from mimicbrush.editors.motion_guidance.settings import PRESETS, RELEASED, MotionGuidanceSettings
from mimicbrush.errors import UserError
from mimicbrush.evaluation.config import EvaluateConfig
from tests.conftest import REPOSITORY


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_inference_steps": 0}, "num_inference_steps is 0, expected 1 to 1000"),
        ({"num_recursions": 0}, "num_recursions is 0, expected 1 to 100"),
        ({"strength": 0.0}, "strength is 0, expected above 0, at most 1"),
        ({"guidance_weight": float("nan")}, "guidance_weight is nan, expected 0 to 1e\\+06"),
        ({"schedule": (1.0, -1.0)}, "schedule holds a negative factor, NaN or infinity"),
    ],
)
def test_values_outside_their_limits_are_named(fields, message):
    with pytest.raises(UserError, match=message):
        MotionGuidanceSettings(**fields)


def test_a_schedule_of_another_length_is_refused():
    with pytest.raises(UserError, match="schedule has 2 factors, expected 3, one for each step"):
        MotionGuidanceSettings(schedule=(1.0, 0.0)).factors(3)


def test_the_released_schedule_guides_the_first_four_fifths():
    factors = PRESETS["released"].factors(500)
    assert factors == (1.0,) * 400 + (0.0,) * 100


def test_the_flow_network_is_needed_unless_the_target_flow_takes_its_place():
    assert MotionGuidanceSettings().needs_flow_network
    assert MotionGuidanceSettings(colour_flow="estimated", flow_weight=0.0).needs_flow_network
    assert not MotionGuidanceSettings(colour_flow="target", flow_weight=0.0).needs_flow_network


def test_titles_of_the_preset_against_passes_name_the_passes_of_their_settings():
    config = load_config(EvaluateConfig, REPOSITORY / "configs/eval/world_motion_passes.yaml")
    for name, spec in config.editors.items():
        settings = MotionGuidanceSettings(**spec["init_args"]["settings"])
        steps = ddim_steps(ScheduleConfig(), settings.num_inference_steps, spacing=settings.spacing)
        named = int(spec["title"].split(", ")[-1].removesuffix(" passes").replace(" ", ""))
        assert named == count_passes(settings, steps).unet, name
    released = MotionGuidanceSettings(**config.editors["released"]["init_args"]["settings"])
    assert replace(released, guidance_scale=None) == RELEASED

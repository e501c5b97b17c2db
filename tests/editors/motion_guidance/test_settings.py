from __future__ import annotations

import pytest

from mimicbrush.editors.motion_guidance.settings import PRESETS, MotionGuidanceSettings
from mimicbrush.errors import UserError


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

"""One class states an edit's settings, for every entrance."""

from __future__ import annotations

import inspect
from dataclasses import fields

import pytest

from mimicbrush.config import instantiate, parse_config
from mimicbrush.demo.config import DemoConfig
from mimicbrush.edit.kinds.reference_edit import ReferenceEditConfig
from mimicbrush.editors.mimicbrush.settings import EditSettings
from mimicbrush.errors import UserError
from mimicbrush.model.config import RecommendedSettings
from mimicbrush.model.weights.build import initialise
from mimicbrush.model.weights.exported_folder import save_pretrained
from mimicbrush.pipeline import MimicBrushPipeline
from mimicbrush.requests import Editor
from tests.conftest import network_config

CLASS_PATH = "mimicbrush.editors.mimicbrush.MimicBrushEditor"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"num_inference_steps": 0}, "num_inference_steps is 0, expected 1 to 1000"),
        ({"guidance_scale": float("nan")}, "guidance_scale is nan, expected 0 to 100"),
        ({"context": 0.5}, "context is 0.5, expected 1 to 100"),
        ({"regions": "apart"}, "regions is apart, expected one of together, separate, in_turn"),
        ({"geometry": "square"}, "geometry is square, expected one of exact, released"),
    ],
)
def test_a_setting_outside_its_limits_is_named(given, said):
    with pytest.raises(UserError, match=said):
        EditSettings(**given)


def test_what_is_given_stays_and_the_weights_fill_in_the_rest():
    weights = RecommendedSettings(num_inference_steps=20, guidance_scale=2.0)
    resolved = EditSettings(guidance_scale=3.0, crop_to_mask=True).resolved(weights)
    assert resolved == EditSettings(num_inference_steps=20, guidance_scale=3.0, crop_to_mask=True)
    assert resolved.resolved(RecommendedSettings()) == resolved


def test_the_pipeline_lists_every_setting_with_its_default():
    parameters = inspect.signature(MimicBrushPipeline.__call__).parameters
    for setting in fields(EditSettings):
        assert parameters[setting.name].default == setting.default


@pytest.mark.parametrize(("kind", "weights"), [(ReferenceEditConfig, []), (DemoConfig, ["--weights", "asset:tiny"])])
@pytest.mark.parametrize("wrong", [("context", "wide"), ("regions", "apart"), ("guidance_scale", "strong")])
def test_the_commands_refuse_a_setting_of_another_type(kind, weights, wrong):
    option, value = wrong
    with pytest.raises(UserError, match=option):
        parse_config(kind, [*weights, f"--{option}", value])


def test_an_editor_named_in_yaml_takes_every_setting_and_no_other(tmp_path):
    recommended = {"num_inference_steps": 7, "guidance_scale": 3.0}
    network = initialise(network_config(recommended=RecommendedSettings(**recommended))).eval()
    save_pretrained(network, tmp_path / "weights")
    checkpoint = {"checkpoint": str(tmp_path / "weights"), "device": "cpu"}
    assert instantiate(CLASS_PATH, checkpoint, Editor).settings == EditSettings(**recommended)
    given = {
        "num_inference_steps": 2,
        "guidance_scale": 1.5,
        "crop_to_mask": True,
        "regions": "separate",
        "context": 3.0,
        "match_colour": True,
        "geometry": "released",
    }
    assert instantiate(CLASS_PATH, checkpoint | given, Editor).settings == EditSettings(**given)
    assert given.keys() == {setting.name for setting in fields(EditSettings)}
    for wrong in ({"context": "wide"}, {"num_steps": 3}):
        with pytest.raises(UserError, match=next(iter(wrong))):
            instantiate(CLASS_PATH, checkpoint | wrong, Editor)

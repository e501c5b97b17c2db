"""The pipeline's network is made once, and is never that of components that have been changed or replaced."""

from __future__ import annotations

import copy

import pytest
import torch

from mimicbrush.model.config import PartConfig
from mimicbrush.model.weights.build import initialise
from mimicbrush.pipeline import MimicBrushPipeline
from tests.conftest import DEPTH, network_config
from tests.pipeline.conftest import edit

PARTS = {
    "unet": "imitative_unet",
    "reference_unet": "reference_unet",
    "vae": "autoencoder",
    "image_encoder": "image_encoder.clip",
    "image_projector": "image_projector",
    "shape_projector": "shape_projector",
    "depth_model": "shape_map.depth_model",
}
"""Component -> its place in the network."""


def pipe_of(seed: int = 0) -> MimicBrushPipeline:
    network = initialise(network_config(depth=PartConfig(arguments=DEPTH)), seed=seed).eval()
    pipe = MimicBrushPipeline.from_network(network)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def test_what_is_computed_once_for_a_network_is_computed_once_for_several_calls():
    pipe, rows = pipe_of(), {"image_encoder": 0, "depth_model": 0}
    for name in rows:
        getattr(pipe, name).register_forward_pre_hook(lambda *_, name=name: rows.update({name: rows[name] + 1}))
    for _ in range(3):
        edit(pipe)
    assert rows == {"image_encoder": 3 + 1, "depth_model": 1}  # three references, no picture once, no shape once


def test_moved_to_another_precision_it_computes_anew_what_was_computed_once():
    used, fresh = pipe_of(), pipe_of()
    for dtype in (torch.bfloat16, torch.float32):
        edit(used)
        assert torch.equal(edit(used.to(dtype)), edit(copy.deepcopy(fresh.to(dtype))))


@pytest.mark.parametrize("way", ["assigned", "registered"])
def test_a_replaced_component_is_the_networks(way):
    pipe, others = pipe_of(), pipe_of(seed=1).components
    edit(pipe)
    for name, place in PARTS.items():
        if way == "assigned":
            setattr(pipe, name, others[name])
        else:
            pipe.register_modules(**{name: others[name]})
        assert pipe.network.get_submodule(place) is others[name]
    assert torch.equal(edit(pipe), edit(pipe_of(seed=1)))


def test_other_options_are_the_networks(pipe):
    blend = pipe.network.options.reference_blend
    pipe.register_to_config(network_options={**pipe.config.network_options, "reference_blend": 1.0})
    assert pipe.network.options.reference_blend == 1.0 != blend


def test_weights_loaded_into_components_are_the_networks():
    pipe, other = pipe_of(), pipe_of(seed=1)
    edit(pipe)
    for name in PARTS:
        getattr(pipe, name).load_state_dict(getattr(other, name).state_dict())
    assert torch.equal(edit(pipe), edit(other))


def test_components_left_in_training_mode_do_not_disturb_an_edit():
    pipe = pipe_of()
    before = edit(pipe)
    pipe.unet.train()
    edit(pipe)
    assert torch.equal(edit(pipe), before) and not pipe.unet.training

"""The count of a tuning step's memory, on a network whose weights are counted by hand."""

from __future__ import annotations

import pytest
import torch
from accelerate import init_empty_weights
from diffusers import UNet2DConditionModel

from mimicbrush.bench.editors.config import TuningMemoryConfig
from mimicbrush.bench.editors.tuning_memory import DTYPE, EMBEDDING, TEXT, count_pass, count_step
from mimicbrush.editors.genvideo.inflation import inflate, tuned_parameters
from mimicbrush.machine import GIBIBYTE
from tests.unclip_folder import UNET


def test_checkpointing_needs_less_and_weights_are_those_of_the_network():
    sizes = {"cross_attention_dim": TEXT, "projection_class_embeddings_input_dim": 2 * EMBEDDING}
    with init_empty_weights():
        unet = inflate(UNet2DConditionModel(**UNET | sizes))
    tuned = sum(weight.numel() for weight in tuned_parameters(unet).values())
    total = sum(weight.numel() for weight in unet.parameters())
    config = TuningMemoryConfig(num_frames=3, size=128)
    saving, plain = (count_step(unet, 1000, config, saves=saves) for saves in (True, False))
    held = 1000 + tuned * torch.float32.itemsize + (total - tuned) * DTYPE.itemsize
    assert saving.weights == plain.weights == held / GIBIBYTE
    assert saving.num_tuned == tuned and saving.moments == 8 * tuned / GIBIBYTE
    assert tuned * 4 / GIBIBYTE < saving.step < plain.step
    # Few weights need gradients; with checkpointing, the forward pass is made twice.
    single = count_pass(unet, config)
    assert single < plain.tflop < saving.tflop < 4 * single
    assert saving.peak == pytest.approx(held / GIBIBYTE + saving.moments + saving.step)

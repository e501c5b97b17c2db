"""The inflated U-Net against the plain one, and image embeddings within a mask."""

from __future__ import annotations

import copy

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.resnet import ResnetBlock2D

from mimicbrush.editors.genvideo.inflation import inflate, is_tuned, seen_frames, tuned_parameters
from mimicbrush.editors.genvideo.masked_injection import masked_embedding
from mimicbrush.errors import UserError
from tests.unclip_folder import EMBEDDING, TEXT, UNET

T = 3


@pytest.fixture
def inputs() -> dict:
    """One frame, its text and its class."""
    generator = torch.Generator().manual_seed(1)
    return {
        "sample": torch.randn(1, 4, 16, 12, generator=generator),
        "encoder_hidden_states": torch.randn(1, 5, TEXT, generator=generator),
        "class_labels": torch.randn(1, 2 * EMBEDDING, generator=generator),
    }


def frames(inputs: dict, num: int = T) -> dict:
    return {name: tensor.repeat(num, 1, *[1] * (tensor.ndim - 2)) for name, tensor in inputs.items()}


def run(unet: UNet2DConditionModel, inputs: dict, num_frames: int = T) -> torch.Tensor:
    return unet(**inputs, timestep=500, cross_attention_kwargs={"num_frames": num_frames}).sample


@torch.no_grad()
def test_on_identical_frames_it_equals_the_plain_network(parts, inputs):
    plain = parts.unet(**inputs, timestep=500).sample
    inflated = inflate(copy.deepcopy(parts.unet))
    assert (run(inflated, frames(inputs)) - plain).abs().max() < 1e-5
    # The class embedding survives: it still decides about the result.
    other = frames(inputs | {"class_labels": inputs["class_labels"] + 1})
    assert (run(inflated, other) - plain).abs().max() > 1e-3


def test_each_frame_sees_the_first_and_the_previous_one(parts):
    assert seen_frames(4) == ([0, 0, 0, 0], [0, 0, 1, 2])
    inflated = inflate(copy.deepcopy(parts.unet))
    attention = inflated.down_blocks[1].attentions[0].transformer_blocks[0].spatial.attn1
    states = torch.randn(4, 6, 16, requires_grad=True)
    for frame, seen in ((0, [0]), (1, [0, 1]), (2, [0, 1, 2]), (3, [0, 2, 3])):
        (gradient,) = torch.autograd.grad(attention(states, num_frames=4)[frame].sum(), states)
        assert gradient.flatten(1).any(dim=1).nonzero().flatten().tolist() == seen


@torch.no_grad()
def test_clips_in_a_batch_do_not_see_each_other(parts, inputs):
    inflated = inflate(copy.deepcopy(parts.unet))
    for weight in tuned_parameters(inflated).values():
        weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))
    clip = frames(inputs)
    clip["sample"] = torch.randn(T, 4, 16, 12, generator=torch.Generator().manual_seed(2))
    both = {name: torch.cat([tensor, tensor * 0.5]) for name, tensor in clip.items()}
    torch.testing.assert_close(run(inflated, both)[:T], run(inflated, clip), atol=1e-5, rtol=0)


def test_only_the_published_parameters_receive_gradients(parts, inputs):
    inflated = inflate(copy.deepcopy(parts.unet))
    with torch.no_grad():
        for name, weight in inflated.named_parameters():
            if "temporal_attention.attention.to_out.0.weight" in name:
                weight.normal_(std=0.1)
    run(inflated, frames(inputs)).square().sum().backward()
    with_gradient = {name for name, weight in inflated.named_parameters() if weight.grad is not None}
    assert with_gradient == set(tuned_parameters(inflated))
    transformers = 4  # one down, one in the middle, two up
    plain = {name for name in with_gradient if "temporal_attention" not in name}
    assert len(plain) == 2 * transformers and all(name.endswith("to_q.weight") for name in plain)
    assert len(with_gradient) - len(plain) == transformers * 7  # norm 2, queries, keys, values, output 2
    assert not is_tuned("mid_block.attentions.0.transformer_blocks.0.spatial.attn1.to_k.weight")


def test_gradient_checkpointing_leaves_gradients_as_they_are(parts, inputs):
    gradients = []
    for saves in (False, True):
        inflated = inflate(copy.deepcopy(parts.unet))
        if saves:
            inflated.enable_gradient_checkpointing()
        run(inflated, frames(inputs)).square().sum().backward()
        gradients.append(torch.cat([weight.grad.flatten() for weight in tuned_parameters(inflated).values()]))
    torch.testing.assert_close(*gradients)


def test_a_network_without_class_embedding_is_named():
    arguments = UNET | {"class_embed_type": None, "projection_class_embeddings_input_dim": None}
    with pytest.raises(UserError, match="class_embed_type None, and GenVideo needs one that takes an image embedding"):
        inflate(UNet2DConditionModel(**arguments))


@pytest.mark.parametrize("changes", [{}, {"addition_embed_type": "text", "addition_embed_type_num_heads": 4}])
@torch.no_grad()
def test_injection_with_ones_is_the_inner_class_and_with_zeros_the_outer_one(inputs, changes):
    torch.manual_seed(0)
    unet = UNet2DConditionModel(**UNET | changes).eval()
    classes = {"inside": inputs["class_labels"], "outside": -2 * inputs["class_labels"]}

    def predict(mask: torch.Tensor) -> torch.Tensor:
        outer = inputs | {"class_labels": classes["outside"]}
        with masked_embedding(unet, **classes, mask=mask):
            return unet(**outer, timestep=500).sample

    ones = torch.ones(1, 1, 16, 12)
    plain = {name: unet(**inputs | {"class_labels": each}, timestep=500).sample for name, each in classes.items()}
    torch.testing.assert_close(predict(ones), plain["inside"], atol=1e-5, rtol=0)
    assert torch.equal(predict(0 * ones), plain["outside"])
    assert (plain["inside"] - plain["outside"]).abs().max() > 1e-3
    blocks = [block for block in unet.modules() if isinstance(block, ResnetBlock2D)]
    assert blocks and not any(block._forward_pre_hooks or block.conv1._forward_hooks for block in blocks)


@torch.no_grad()
def test_a_half_mask_acts_within_its_reach_in_one_block(parts):
    """Two convolutions of 3 x 3, of which the second one sees the injected features, reach one position further."""
    block = parts.unet.down_blocks[0].resnets[0]
    unet = torch.nn.Module()
    unet.block = block
    unet.class_embedding = parts.unet.class_embedding
    sample, classes = torch.randn(1, 8, 8, 8), torch.randn(1, 2 * EMBEDDING)
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    time = parts.unet.time_embedding(parts.unet.get_time_embed(sample, 500))
    outside = time + parts.unet.class_embedding(-classes)
    # Group norms see the whole picture; without them, the reach is that of the convolution.
    norm, block.norm2 = block.norm2, torch.nn.Identity()
    plain = block(sample, outside)
    with masked_embedding(unet, inside=classes, outside=-classes, mask=mask):
        changed = (block(sample, outside) - plain).abs().amax(dim=(0, 1, 2))
    block.norm2 = norm
    assert (changed[:5] > 0).all() and (changed[5:] == 0).all()

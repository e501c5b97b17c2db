import copy

import pytest
import torch
from diffusers import UNet2DConditionModel

from mimicbrush.model.attention import KeyValue, attend_with_reference
from mimicbrush.model.gradient_checkpointing import enable_gradient_checkpointing
from mimicbrush.model.reference_attention import (
    AttentionContext,
    make_imitative,
    make_reference,
    project_states,
    shared_layers,
)
from tests.conftest import ONE_BLOCK, UNET

WIDE = UNET | {
    "block_out_channels": [8, 16, 16, 16],
    "layers_per_block": 2,
    "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
    "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
}


def unet(arguments: dict = UNET, seed: int = 0) -> UNet2DConditionModel:
    torch.manual_seed(seed)
    return UNet2DConditionModel(**arguments).eval()


def inputs(rows: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(rows, 4, 8, 8, generator=generator),
        torch.full((rows,), 500),
        torch.randn(rows, 5, UNET["cross_attention_dim"], generator=generator),
    )


def run(net: UNet2DConditionModel, args: tuple, **kwargs) -> torch.Tensor:
    return net(*args, cross_attention_kwargs={"context": AttentionContext(**kwargs)}).sample


def states_of(reference: UNet2DConditionModel, args: tuple) -> dict[str, torch.Tensor]:
    captured = {}
    run(reference, args, captured=captured)
    return captured


def features_of(reference: UNet2DConditionModel, args: tuple, projecting: UNet2DConditionModel) -> dict[str, KeyValue]:
    return project_states(states_of(reference, args), projecting)


def test_stable_diffusion_topology_shares_ten_layers():
    assert len(shared_layers(unet(WIDE))) == 10
    assert shared_layers(unet(WIDE))[0].startswith("mid_block")


@torch.no_grad()
def test_no_reference_is_the_stock_unet_exactly():
    stock = unet()
    imitative = make_imitative(copy.deepcopy(stock), blend=0.5)
    torch.testing.assert_close(run(imitative, inputs(2), reference={}), stock(*inputs(2)).sample, rtol=0, atol=0)


@torch.no_grad()
def test_rows_beyond_the_reference_do_not_see_it():
    imitative, reference = make_imitative(unet(), blend=0.5), make_reference(unet(seed=1))
    args = inputs(3)
    alone = run(imitative, args, reference={})
    joint = run(imitative, args, reference=features_of(reference, inputs(2, seed=5), imitative))
    assert not torch.allclose(joint[:2], alone[:2], atol=1e-4)
    torch.testing.assert_close(joint[2], alone[2])


@torch.no_grad()
def test_dropped_rows_equal_rows_without_reference():
    imitative, reference = make_imitative(unet(), blend=1.0), make_reference(unet(seed=1))
    args = inputs(2)
    features = features_of(reference, inputs(2, seed=5), imitative)
    dropped = run(imitative, args, reference=features, keep_reference=torch.tensor([False, True]))
    torch.testing.assert_close(dropped[0], run(imitative, args, reference={})[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(dropped[1], run(imitative, args, reference=features)[1], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_blend_zero_ignores_the_reference():
    imitative, reference = make_imitative(unet(), blend=0.0), make_reference(unet(seed=1))
    features = features_of(reference, inputs(2, seed=5), imitative)
    torch.testing.assert_close(
        run(imitative, inputs(2), reference=features), run(imitative, inputs(2), reference={}), rtol=0, atol=0
    )


def literal_attention(attn, states, reference, *, blend):
    """Compare with equation 1 and the release's blend, computed by a softmax over concatenated tokens."""

    def attend(context: torch.Tensor) -> torch.Tensor:
        query, key, value = (
            projected.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for projected in (attn.to_q(states), attn.to_k(context), attn.to_v(context))
        )
        weights = (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).softmax(dim=-1)
        return attn.to_out[0]((weights @ value).transpose(1, 2).flatten(2))

    return blend * attend(torch.cat([states, reference], dim=1)) + (1 - blend) * attend(states)


@pytest.mark.parametrize("blend", [0.25, 0.5, 1.0])
def test_attention_equals_the_written_out_formula_with_gradients(blend):
    attn = make_imitative(unet(), blend=blend).get_submodule(shared_layers(unet())[0])
    states = torch.randn(2, 6, attn.query_dim, requires_grad=True)
    reference = torch.randn(2, 9, attn.query_dim, requires_grad=True)
    features = {attn.processor.name: KeyValue(attn.to_k(reference), attn.to_v(reference))}
    ours = attn(states, context=AttentionContext(reference=features))
    literal = literal_attention(attn, states, reference, blend=blend)
    torch.testing.assert_close(ours, literal, rtol=1e-4, atol=1e-5)
    leaves = [states, reference, attn.to_q.weight, attn.to_k.weight, attn.to_v.weight]
    expected, found = (torch.autograd.grad(out.square().sum(), leaves) for out in (literal, ours))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("blend", [0.5, 1.0])
def test_sampling_merges_two_passes_into_what_training_computes(blend):
    """Without gradients, joint attention is combined from the log-sum-exps of its halves."""
    generator = torch.Generator().manual_seed(0)
    query, *own = torch.randn(3, 3, 40, 16, generator=generator)
    theirs = KeyValue(*torch.randn(2, 2, 70, 16, generator=generator))
    plain = attend_with_reference(query, KeyValue(*own), theirs, blend=blend, num_heads=2)
    with torch.no_grad():
        merged = attend_with_reference(query, KeyValue(*own), theirs, blend=blend, num_heads=2)
    torch.testing.assert_close(merged, plain, rtol=0, atol=1e-6)


@torch.no_grad()
def test_own_projections_are_the_reference_unets():
    """In equation 1, keys and values come from the reference U-Net, whose last layer keeps its projections."""
    whole, trimmed = unet(WIDE), make_reference(unet(WIDE), "reference")
    assert len(whole.state_dict()) - len(trimmed.state_dict()) == 22
    features = features_of(trimmed, inputs(2), trimmed)
    for name, states in states_of(make_reference(unet(WIDE)), inputs(2)).items():
        attn = whole.get_submodule(name)
        torch.testing.assert_close(features[name].key, attn.to_k(states), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(features[name].value, attn.to_v(states), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_call_in_between_changes_nothing():
    imitative, reference = make_imitative(unet(), blend=0.5), make_reference(unet(seed=1))
    others = make_imitative(unet(seed=2), blend=1.0), make_reference(unet(seed=3))
    features = features_of(reference, inputs(2, seed=5), imitative)
    before = run(imitative, inputs(2), reference=features)
    run(imitative, inputs(2, seed=6), reference=features_of(reference, inputs(2, seed=7), imitative))
    run(others[0], inputs(2), reference=features_of(others[1], inputs(2), others[0]))
    torch.testing.assert_close(run(imitative, inputs(2), reference=features), before, rtol=0, atol=0)


@pytest.mark.parametrize("grad", [False, True])
def test_both_unets_trace_without_graph_breaks(grad):
    torch.compiler.reset()
    imitative = make_imitative(unet(ONE_BLOCK), blend=0.5)
    reference = make_reference(unet(ONE_BLOCK, seed=1))

    def predict(args: tuple, reference_args: tuple) -> torch.Tensor:
        features = features_of(reference, reference_args, imitative)
        if grad:  # as in training; below, as in guided sampling
            return run(imitative, args, reference=features, keep_reference=torch.tensor([True]))
        return run(imitative, args, reference=features, twins=True)

    compiled = torch.compile(predict, fullgraph=True, backend="eager")
    with torch.set_grad_enabled(grad):
        expected = predict(inputs(2), inputs(1, seed=5))
        torch.testing.assert_close(compiled(inputs(2), inputs(1, seed=5)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("grad", [False, True])
def test_bfloat16_autocast_is_finite_and_near(grad):
    imitative, reference = make_imitative(unet(), blend=0.5), make_reference(unet(seed=1))
    predictions = []
    for enabled in (False, True):
        with torch.set_grad_enabled(grad), torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            features = features_of(reference, inputs(2, seed=5), imitative)
            predictions.append(run(imitative, inputs(3), reference=features).float())
    assert predictions[1].isfinite().all()
    torch.testing.assert_close(*predictions, rtol=0, atol=0.1)


@torch.no_grad()
def test_features_survive_dropping_the_tail():
    whole, trimmed = unet(WIDE), make_reference(unet(WIDE))
    caught = {}

    def hook(name):
        return lambda module, args, output: caught.update({name: output})

    for name in shared_layers(unet(WIDE)):
        norm = whole.get_submodule(name.removesuffix("attn1") + "norm1")
        norm.register_forward_hook(hook(name))
    whole(*inputs(2))
    found = states_of(trimmed, inputs(2))
    assert found.keys() == caught.keys()
    for name, states in found.items():
        torch.testing.assert_close(states, caught[name], rtol=1e-4, atol=1e-5)


def test_tail_of_stable_diffusion_is_24_tensors():
    assert len(unet(WIDE).state_dict()) - len(make_reference(unet(WIDE)).state_dict()) == 24


@pytest.mark.parametrize("projections", ["imitative", "reference"])
def test_every_reference_parameter_gets_a_gradient(projections):
    imitative, reference = make_imitative(unet(), blend=0.5), make_reference(unet(seed=1), projections)
    features = features_of(reference, inputs(2, seed=5), imitative if projections == "imitative" else reference)
    run(imitative, inputs(2), reference=features).square().mean().backward()
    without = [name for name, parameter in reference.named_parameters() if parameter.grad is None]
    assert without == []


@pytest.mark.parametrize("train_reference", [False, True])
def test_gradient_checkpointing_changes_no_gradient(train_reference: bool):
    gradients = []
    for checkpointing in (False, True):
        imitative, reference = make_imitative(unet(), blend=0.5), make_reference(unet(seed=1))
        reference.requires_grad_(train_reference)
        for net in (imitative.train(), reference.train()):
            if checkpointing:
                enable_gradient_checkpointing(net)
        run(
            imitative, inputs(2), reference=features_of(reference, inputs(2, seed=5), imitative)
        ).square().mean().backward()
        parameters = [*imitative.parameters(), *reference.parameters()]
        gradients.append([parameter.grad for parameter in parameters if parameter.grad is not None])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_twin_rows_are_predicted_like_separate_rows():
    """The two rows of guidance are equal up to the first cross-attention."""
    imitative, reference = make_imitative(unet(), blend=0.5), make_reference(unet(seed=1))
    latent, timestep, tokens = inputs(2)
    rows = (torch.cat([latent, latent]), timestep.repeat(2), torch.cat([tokens, tokens.flip(0)]))
    features = features_of(reference, inputs(2, seed=5), imitative)
    apart, together = (run(imitative, rows, reference=features, twins=twins) for twins in (False, True))
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-6)

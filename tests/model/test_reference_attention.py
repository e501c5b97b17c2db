import copy

import pytest
import torch
from diffusers import UNet2DConditionModel

from mimicbrush.model.reference_attention import make_imitative, make_reference, shared_layers
from tests.conftest import UNET

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
    return net(*args, cross_attention_kwargs=kwargs).sample


def features_of(net: UNet2DConditionModel, args: tuple) -> dict[str, torch.Tensor]:
    captured = {}
    run(net, args, captured=captured)
    return captured


def test_stable_diffusion_topology_shares_ten_layers():
    assert len(shared_layers(unet(WIDE))) == 10
    assert shared_layers(unet(WIDE))[0].startswith("mid_block")


@torch.no_grad()
def test_no_reference_is_the_stock_unet_exactly():
    stock = unet()
    imitative = make_imitative(copy.deepcopy(stock), blend=0.5)
    torch.testing.assert_close(run(imitative, inputs(2), reference={}), stock(*inputs(2)).sample, rtol=0, atol=1e-6)


@torch.no_grad()
def test_rows_beyond_the_reference_do_not_see_it():
    imitative, reference = make_imitative(unet(), blend=0.5), make_reference(unet(seed=1))
    args = inputs(3)
    alone = run(imitative, args, reference={})
    joint = run(imitative, args, reference=features_of(reference, inputs(2, seed=5)))
    assert not torch.allclose(joint[:2], alone[:2], atol=1e-4)
    torch.testing.assert_close(joint[2], alone[2])


@torch.no_grad()
def test_dropped_rows_equal_rows_without_reference():
    imitative, reference = make_imitative(unet(), blend=1.0), make_reference(unet(seed=1))
    args = inputs(2)
    features = features_of(reference, inputs(2, seed=5))
    dropped = run(imitative, args, reference=features, keep_reference=torch.tensor([False, True]))
    torch.testing.assert_close(dropped[0], run(imitative, args, reference={})[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(dropped[1], run(imitative, args, reference=features)[1], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_blend_zero_ignores_the_reference():
    imitative, reference = make_imitative(unet(), blend=0.0), make_reference(unet(seed=1))
    features = features_of(reference, inputs(2, seed=5))
    torch.testing.assert_close(
        run(imitative, inputs(2), reference=features), run(imitative, inputs(2), reference={}), rtol=0, atol=0
    )


def test_attention_equals_the_literal_formula_with_gradients():
    """Equation 1, and the release's blend of it, written out with a softmax over concatenated keys and values."""
    attn = make_imitative(unet(), blend=0.5).get_submodule(shared_layers(unet())[0])
    states = torch.randn(2, 6, attn.query_dim, requires_grad=True)
    reference = torch.randn(2, 9, attn.query_dim, requires_grad=True)
    ours = attn(states, reference={attn.processor.name: reference})

    def attend(context: torch.Tensor) -> torch.Tensor:
        query, key, value = (
            projected.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for projected in (attn.to_q(states), attn.to_k(context), attn.to_v(context))
        )
        weights = (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).softmax(dim=-1)
        return attn.to_out[0]((weights @ value).transpose(1, 2).flatten(2))

    literal = 0.5 * attend(torch.cat([states, reference], dim=1)) + 0.5 * attend(states)
    torch.testing.assert_close(ours, literal, rtol=1e-4, atol=1e-5)
    leaves = [states, reference, attn.to_q.weight, attn.to_k.weight, attn.to_v.weight]
    expected, found = (torch.autograd.grad(out.square().sum(), leaves) for out in (literal, ours))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


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
    features = features_of(trimmed, inputs(2))
    assert features.keys() == caught.keys()
    for name, states in features.items():
        torch.testing.assert_close(states, caught[name], rtol=1e-4, atol=1e-5)


def test_tail_of_stable_diffusion_is_24_tensors():
    assert len(unet(WIDE).state_dict()) - len(make_reference(unet(WIDE)).state_dict()) == 24


def test_every_reference_parameter_gets_a_gradient():
    imitative, reference = make_imitative(unet(), blend=0.5), make_reference(unet(seed=1))
    run(imitative, inputs(2), reference=features_of(reference, inputs(2, seed=5))).square().mean().backward()
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
                net.enable_gradient_checkpointing()
        run(imitative, inputs(2), reference=features_of(reference, inputs(2, seed=5))).square().mean().backward()
        parameters = [*imitative.parameters(), *reference.parameters()]
        gradients.append([parameter.grad for parameter in parameters if parameter.grad is not None])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-6)

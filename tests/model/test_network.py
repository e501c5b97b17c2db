import pytest
import torch

from mimicbrush.editors.mimicbrush import MimicBrushEditor
from mimicbrush.model.config import PartConfig
from mimicbrush.model.gradient_checkpointing import enable_gradient_checkpointing
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.weights.build import initialise
from mimicbrush.requests import ReferenceRequest
from tests.conftest import DEPTH, SIZE, network_config
from tests.model.test_reference_attention import literal_attention


def loss_of(network: MimicBrushNetwork) -> torch.Tensor:
    """Loss of one prediction for two pictures, one without its reference."""
    generator = torch.Generator().manual_seed(0)
    source, reference = torch.rand(2, 2, 3, SIZE, SIZE, generator=generator)
    mask = torch.zeros(2, 1, SIZE, SIZE)
    mask[..., : SIZE // 2] = 1
    told = network.condition(source, mask, reference, torch.tensor([True, False]), generator)
    timestep, keep = torch.tensor([100, 700]), torch.tensor([True, False])
    noisy = torch.randn(2, 4, SIZE // 4, SIZE // 4, generator=generator).to(network.imitative_unet.dtype)
    features = network.reference_features(told.reference_latent, timestep, told.image_tokens)
    return network.predict(noisy, timestep, told, features, keep_reference=keep).square().mean()


def gradients(network: MimicBrushNetwork) -> dict[str, torch.Tensor]:
    """Gradients of the imitative U-Net and the projections."""
    loss_of(network).backward()
    return {
        name: parameter.grad.clone()
        for name, parameter in network.named_parameters()
        if parameter.grad is not None and not name.startswith("reference_unet")
    }


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("train_reference", [False, True])
def test_gradients_equal_those_of_the_written_out_formula(monkeypatch, train_reference, checkpointing):
    """All gradients agree, including those through the projections of a frozen reference U-Net's states."""
    network = initialise(network_config())
    network.reference_unet.requires_grad_(train_reference)
    for unet in (network.imitative_unet.train(), network.reference_unet.train()):
        if checkpointing:
            enable_gradient_checkpointing(unet)
    found = gradients(network)
    expected_network = initialise(network_config())
    expected_network.reference_unet.requires_grad_(train_reference)
    use_released_formula(expected_network, monkeypatch)
    expected = gradients(expected_network)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("projections", ["imitative", "reference"])
def test_a_frozen_reference_unet_passes_on_the_image_projectors_gradient(projections, checkpointing):
    """The gradient through both cross-attentions equals finite differences, and that of a trained reference U-Net."""
    network = initialise(network_config(reference_projections=projections)).double()
    network.reference_unet.requires_grad_(False)
    for unet in (network.imitative_unet, network.reference_unet):
        if checkpointing:
            enable_gradient_checkpointing(unet)
    found = gradients(network)
    weight = network.image_projector.projector.weight
    direction = torch.randn(weight.shape, generator=torch.Generator().manual_seed(1), dtype=weight.dtype)
    losses = []
    with torch.no_grad():
        for step in (1e-5, -1e-5):
            weight += step * direction
            losses.append(loss_of(network))
            weight -= step * direction
    difference = (losses[0] - losses[1]) / 2e-5
    slope = (found["image_projector.projector.weight"] * direction).sum()
    torch.testing.assert_close(slope, difference, rtol=1e-6, atol=0)

    network.zero_grad()
    network.reference_unet.requires_grad_(True)
    torch.testing.assert_close(gradients(network), found, rtol=1e-9, atol=1e-12)


def test_detached_tokens_record_nothing_in_a_frozen_reference_unet():
    network = initialise(network_config())
    network.reference_unet.requires_grad_(False)
    latent, tokens = torch.randn(1, 4, 8, 8), torch.randn(1, 3, 16, requires_grad=True)
    for image_tokens, is_recorded in ((tokens, True), (tokens.detach(), False)):
        network.imitative_unet.requires_grad_(False)
        features = network.reference_features(latent, torch.tensor([5]), image_tokens)
        assert all(pair.key.requires_grad == is_recorded for pair in features.values())


def use_released_formula(network: MimicBrushNetwork, monkeypatch) -> None:
    """Pass raw states to a processor that computes the released formula step by step."""

    class ReleasedFormula:
        def __init__(self, name: str, blend: float) -> None:
            self.name, self.blend = name, blend

        def __call__(self, attn, states, encoder_hidden_states=None, attention_mask=None, *, context) -> torch.Tensor:
            joint = literal_attention(attn, states, context.reference[self.name], blend=self.blend)
            alone = literal_attention(attn, states, states[:, :0], blend=1.0)
            return torch.where(context.keep_reference[:, None, None], joint, alone)

    monkeypatch.setattr("mimicbrush.model.network.project_states", lambda states, unet: states)
    for name, processor in network.imitative_unet.attn_processors.items():
        if hasattr(processor, "blend"):
            attn = network.imitative_unet.get_submodule(name.removesuffix(".processor"))
            attn.set_processor(ReleasedFormula(processor.name, processor.blend))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_an_edit_in_half_precision_is_near_the_one_in_single(dtype):
    network = initialise(network_config(depth=PartConfig(arguments=DEPTH))).eval()
    mask = torch.zeros(1, 1, 40, 30)
    mask[..., 10:30, 5:25] = 1
    request = ReferenceRequest(
        source=torch.rand(1, 3, 40, 30), mask=mask, reference=torch.rand(3, 20, 30), keep_shape=True
    )
    editor = MimicBrushEditor(network, num_inference_steps=2)
    single = editor.edit(request).frames
    network.to_precision(dtype)
    half = editor.edit(request).frames
    assert half.isfinite().all() and not torch.equal(half, single)
    torch.testing.assert_close(half, single, rtol=0, atol=0.1)


def test_pictures_encoded_a_few_at_a_time_have_the_same_latents(network, monkeypatch):
    pictures = torch.rand(5, 3, SIZE, SIZE)
    whole = network.encode(pictures, torch.Generator().manual_seed(0))
    monkeypatch.setattr("mimicbrush.model.network.PIXELS_AT_ONCE", 2 * SIZE * SIZE)
    some = network.encode(pictures, torch.Generator().manual_seed(0))
    torch.testing.assert_close(some, whole, rtol=0, atol=1e-5)


def test_without_image_tokens_every_reference_has_the_absent_tokens():
    references = torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    told = initialise(network_config()).image_tokens(references)
    assert not torch.allclose(told[0], told[1])
    network = initialise(network_config(use_image_tokens=False))
    assert torch.equal(network.image_tokens(references), network.absent_tokens().expand(3, -1, -1))

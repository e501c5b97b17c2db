import pytest
import torch

from mimicbrush.model.reference_use import _noise_error_scale
from mimicbrush.model.sampling import draw_noise, make_scheduler, prediction_target, sample, seeded_generators
from tests.conftest import SIZE


def conditions_of(network, num: int, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    source, reference = torch.rand(2, num, 3, SIZE, SIZE, generator=generator)
    mask = torch.zeros(num, 1, SIZE, SIZE)
    mask[..., : SIZE // 2] = 1
    generators = [torch.Generator().manual_seed(row) for row in range(num)]
    with torch.no_grad():
        return network.condition(source, mask, reference, torch.zeros(num, dtype=torch.bool), generators)


def run(network, conditions, seeds, **options):
    generators = seeded_generators(seeds)
    noise = draw_noise(network, generators)
    settings = {"scheduler": make_scheduler(), "num_inference_steps": 3, "generators": generators} | options
    return sample(network, conditions, noise, **settings)


@pytest.mark.parametrize("guidance_scale", [0.0, 1.0, 5.0])
def test_a_batch_gives_what_single_edits_give(network, guidance_scale):
    both = run(network, conditions_of(network, 2), [3, 4], guidance_scale=guidance_scale)
    first = type(both_conditions := conditions_of(network, 2))(*(value[:1] for value in both_conditions))
    torch.testing.assert_close(both[:1], run(network, first, [3], guidance_scale=guidance_scale), rtol=0, atol=1e-4)


def test_guidance_one_equals_guided_interpolation_at_one(network):
    conditions = conditions_of(network, 1)
    plain = run(network, conditions, [0], guidance_scale=1.0)
    torch.testing.assert_close(plain, run(network, conditions, [0], guidance_scale=1.000001), rtol=0, atol=1e-4)


@torch.no_grad()
def test_reference_changes_the_conditional_row_only(network):
    conditions, other = conditions_of(network, 1), conditions_of(network, 1, seed=1)
    timestep, noise = torch.tensor([400]), draw_noise(network, seeded_generators([0]))
    rows = [torch.cat([value, value]) for value in conditions]
    doubled = type(conditions)(*rows)
    predictions = [
        network.predict(
            torch.cat([noise, noise]),
            timestep.expand(2),
            doubled,
            network.reference_features(told.reference_latent, timestep, conditions.image_tokens),
        )
        for told in (conditions, other)
    ]
    assert not torch.allclose(predictions[0][0], predictions[1][0], atol=1e-5)
    torch.testing.assert_close(predictions[0][1], predictions[1][1], rtol=0, atol=0)


@torch.no_grad()
def test_zeroed_shape_map_does_not_depend_on_the_source(network):
    sources = torch.rand(2, 3, SIZE, SIZE)
    off = network.shape_latent(sources, torch.tensor([False, False]))
    torch.testing.assert_close(off[0], off[1], rtol=0, atol=0)
    on = network.shape_latent(sources, torch.tensor([True, True]))
    assert not torch.allclose(on[0], on[1])


@torch.no_grad()
def test_hidden_pixels_do_not_reach_the_conditions_when_shape_is_off(network):
    source = torch.rand(1, 3, SIZE, SIZE)
    mask = torch.zeros(1, 1, SIZE, SIZE)
    mask[..., : SIZE // 2] = 1
    repainted = torch.where(mask > 0.5, torch.rand_like(source), source)
    off = torch.tensor([False])
    seen = [
        network.condition(picture, mask, source.flip(-1), off, torch.Generator().manual_seed(0))
        for picture in (source, repainted)
    ]
    torch.testing.assert_close(seen[0], seen[1], rtol=0, atol=0)


@torch.no_grad()
def test_velocity_and_noise_predictions_agree_on_the_noise():
    """A velocity predictor's error, scaled, is the error of the noise that diffusers reads out of it."""
    scheduler = make_scheduler("v_prediction")
    latent, noise, mistake = torch.randn(3, 1, 4, 8, 8).unbind()
    timestep = torch.tensor([437])
    velocity = prediction_target(scheduler, latent, noise, timestep)
    noisy = scheduler.add_noise(latent, noise, timestep)
    alpha = scheduler.alphas_cumprod[437]
    implied = alpha.sqrt() * (velocity + mistake) + (1 - alpha).sqrt() * noisy
    scale = _noise_error_scale(scheduler, 437)
    torch.testing.assert_close((implied - noise).square().mean(), scale * mistake.square().mean())

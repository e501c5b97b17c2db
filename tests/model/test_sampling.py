import inspect

import pytest
import torch

from mimicbrush.diffusion.schedulers import make_scheduler, prediction_target
from mimicbrush.diffusion.seeded_noise import seeded_generators
from mimicbrush.errors import UserError
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.reference_use import _noise_error_scale
from mimicbrush.model.sampling import draw_noise, sample
from mimicbrush.model.weights.build import initialise
from tests.conftest import SIZE, one_block_config


@pytest.fixture
def network() -> MimicBrushNetwork:
    return initialise(one_block_config()).eval()


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
    settings = {
        "scheduler": make_scheduler(),
        "num_inference_steps": 3,
        "guidance_scale": 5.0,
        "generators": generators,
    } | options
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
            network.reference_features(changed.reference_latent, timestep, conditions.image_tokens),
        )
        for changed in (conditions, other)
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
    """The scaled error of a predicted velocity equals the error of the noise that diffusers computes from it."""
    scheduler = make_scheduler("v_prediction")
    latent, noise, mistake = torch.randn(3, 1, 4, 8, 8).unbind()
    timestep = torch.tensor([437])
    velocity = prediction_target(scheduler, latent, noise, timestep)
    noisy = scheduler.add_noise(latent, noise, timestep)
    alpha = scheduler.alphas_cumprod[437]
    implied = alpha.sqrt() * (velocity + mistake) + (1 - alpha).sqrt() * noisy
    scale = _noise_error_scale(scheduler, 437)
    torch.testing.assert_close((implied - noise).square().mean(), scale * mistake.square().mean())


@pytest.mark.parametrize(
    "name",
    [
        "DDIMScheduler",
        "DDPMScheduler",
        "DPMSolverMultistepScheduler",
        "EulerAncestralDiscreteScheduler",
        "HeunDiscreteScheduler",
        "LMSDiscreteScheduler",
        "PNDMScheduler",
        "UniPCMultistepScheduler",
    ],
)
def test_any_scheduler_gives_in_a_batch_what_it_gives_alone(network, name):
    if name == "LMSDiscreteScheduler":
        pytest.importorskip("scipy")
    conditions = conditions_of(network, 2)
    both = run(network, conditions, [3, 4], scheduler=make_scheduler(name=name), num_inference_steps=5)
    second = type(conditions)(*(value[1:] for value in conditions))
    alone = run(network, second, [4], scheduler=make_scheduler(name=name), num_inference_steps=5)
    assert both.isfinite().all()
    torch.testing.assert_close(both[1:], alone, rtol=0, atol=1e-4)


@pytest.mark.parametrize("reference_timestep", ["current", "zero"])
def test_samples_of_one_edit_equal_separate_edits(reference_timestep):
    network = initialise(one_block_config(reference_timestep=reference_timestep)).eval()
    conditions = conditions_of(network, 2)
    samples = run(network, conditions, [3, 4, 5, 6])
    repeated = type(conditions)(*(value[[0, 0, 1, 1]] for value in conditions))
    torch.testing.assert_close(samples, run(network, repeated, [3, 4, 5, 6]), rtol=0, atol=1e-4)


def rows_seen(unet: torch.nn.Module) -> list[int]:
    """List that receives the number of rows of each later call."""
    rows = []
    unet.register_forward_pre_hook(lambda module, args: rows.append(len(args[0])))
    return rows


@pytest.mark.parametrize(("guidance_scale", "num_rows"), [(5.0, 4), (1.0, 2), (0.5, 2), (0.0, 2), (-3.0, 2)])
def test_no_unneeded_row_is_computed(network, guidance_scale, num_rows):
    imitative, reference = rows_seen(network.imitative_unet), rows_seen(network.reference_unet)
    run(network, conditions_of(network, 2), [0, 1], guidance_scale=guidance_scale)
    assert imitative == [num_rows] * 3
    assert reference == [2] * 3


def test_reference_at_timestep_zero_is_computed_once_for_all_samples():
    network = initialise(one_block_config(reference_timestep="zero")).eval()
    reference = rows_seen(network.reference_unet)
    run(network, conditions_of(network, 2), [0, 1, 2, 3])
    assert reference == [2]


def test_on_step_receives_each_step(network):
    seen = []
    final = run(network, conditions_of(network, 1), [0], on_step=lambda step, latent, _: seen.append((step, latent)))
    assert [step for step, _ in seen] == [0, 1, 2]
    assert torch.equal(seen[-1][1], final)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize(
    "name", ["DDIMScheduler", "EulerDiscreteScheduler", "DPMSolverMultistepScheduler", "UniPCMultistepScheduler"]
)
def test_on_step_receives_the_original_that_the_scheduler_predicts(network, monkeypatch, name, prediction_type):
    """Two of diffusers' schedulers return it with each step, two keep it for the next step."""
    scheduler, originals, theirs = make_scheduler(prediction_type, name), [], []
    step = scheduler.step

    def spy(*inputs, return_dict: bool, **options):
        output = step(*inputs, **options)
        kept = output.pred_original_sample if "pred_original_sample" in output else scheduler.model_outputs[-1]
        theirs.append(kept)
        return (output.prev_sample,)

    monkeypatch.setattr(spy, "__signature__", inspect.signature(step), raising=False)
    monkeypatch.setattr(scheduler, "step", spy)
    run(
        network,
        conditions_of(network, 1),
        [0],
        scheduler=scheduler,
        on_step=lambda step, latent, original: originals.append(original),
    )
    assert len(originals) == 3
    # Euler's second timestep is 499.5; the noise level of a neighbouring timestep is used.
    torch.testing.assert_close(torch.stack(originals), torch.stack(theirs), rtol=5e-3, atol=5e-3)


@torch.no_grad()
def test_pictures_of_another_size_are_refused(network):
    picture, keep = torch.rand(1, 3, SIZE, SIZE), torch.tensor([False])
    with pytest.raises(UserError, match=r"mask is \(1, 1, 30, 32\), this network needs \(1, 1, 32, 32\)"):
        network.condition(picture, torch.ones(1, 1, 30, 32), picture, keep)
    with pytest.raises(UserError, match=r"reference is \(1, 3, 16, 16\)"):
        network.condition(picture, torch.ones(1, 1, SIZE, SIZE), torch.rand(1, 3, 16, 16), keep)

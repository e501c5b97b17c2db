"""The editor computes what the released one computed: energies, gradients, inversion, masks, and sampling step by step.

MOTION_GUIDANCE_GOLDEN names another folder of golden numbers; sizes come from its arrays, settings from its runs.json.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from mimicbrush.diffusion.ddim import DdimStep, ddim_steps, invert
from mimicbrush.editors.motion_guidance.canvas import latent_mask
from mimicbrush.editors.motion_guidance.energy import MotionEnergy, released_occlusion, warp
from mimicbrush.editors.motion_guidance.guided_sampling import GuidanceRules, GuidedSampler
from mimicbrush.editors.motion_guidance.prior import LatentPrior
from mimicbrush.editors.motion_guidance.settings import MotionGuidanceSettings
from tests.editors.motion_guidance.golden_release import (
    COPY,
    FOLDER,
    assert_close,
    make_flow_network,
    make_prior,
    read_arrays,
    read_json,
    run_names,
)

EXACT = 1e-5
GRADIENT = 2e-2
"""The absolute value and ReLU have kinks, at which the order of additions decides on the sign."""
WHOLE_RUN = 6e-2
"""Norm of the difference that these kinks may make over a whole run, relative to the latent's norm. Seen: 2.9e-2 with
seven steps of guidance that is stronger than the noise; other convolution kernels alone change as much."""
ROUNDED_PIXELS = 1e-3
"""Share of the pixels whose occlusion may depend on rounding."""
slow_here = pytest.mark.slow if FOLDER == COPY else lambda test: test
"""Marks tests of more than ten seconds, which other folders than the committed copy run nevertheless."""


class Run(NamedTuple):
    """A recorded run, and the sampler of this package with its settings."""

    golden: dict[str, Tensor]
    common: dict[str, Tensor]
    settings: MotionGuidanceSettings
    sampler: GuidedSampler
    may_change: Tensor

    def known(self, number: int, step: DdimStep, draw: Iterator[Tensor]) -> Tensor:
        """Latents of what is kept."""
        if "cached_latents" in self.golden:
            return self.golden["cached_latents"][number]
        return step.add_noise(self.common["z0"], next(draw))

    def draws(self) -> Iterator[Tensor]:
        """The recorded noise, in order."""
        return (noise[None] for noise in self.golden["noise_draws"])


@pytest.fixture(scope="module")
def prior() -> LatentPrior:
    return make_prior()


@pytest.fixture(scope="module")
def common() -> dict[str, Tensor]:
    return read_arrays("guidance_common.npz")


@pytest.fixture(scope="module", params=run_names())
def run(request, prior, common) -> Run:
    golden, told = read_arrays(f"guidance_{request.param}.npz"), read_json("runs.json")["runs"][request.param]
    steps = ddim_steps(prior.schedule, told["ddim_steps"], spacing="released", eta=told["eta"])
    schedule = golden.get("schedule", torch.ones(len(steps)))[: len(steps)]
    settings = settings_of(told, schedule.tolist())
    energy = MotionEnergy(
        common["source"].float() / 255,
        golden["target_flow"],
        estimator=make_flow_network(told["raft_mode"]),
        settings=settings,
    )
    if settings.occlusion == "released":
        energy.visible = common["occlusion_mask"].float()
    both = torch.cat([common["uncond"], common["cond"]])

    def predict(latent: Tensor, timestep: int) -> Tensor:
        absent, present = prior.predict_noise(torch.cat([latent, latent]), timestep, both).chunk(2)
        return absent + settings.guidance_scale * (present - absent)

    rules = GuidanceRules(
        weight=settings.guidance_weight,
        factors=settings.factors(len(steps)),
        clip=settings.clip,
        num_recursions=settings.num_recursions,
        num_unguided_recursions=settings.num_unguided_recursions,
    )
    sampler = GuidedSampler(predict, prior.decode, energy=energy, steps=steps, rules=rules)
    return Run(golden, common, settings, sampler, (~golden["keep_mask"]).float())


def settings_of(told: dict, schedule: list[float]) -> MotionGuidanceSettings:
    """Settings of this package for a recorded run."""
    return MotionGuidanceSettings(
        num_inference_steps=told["ddim_steps"],
        spacing="released",
        eta=told["eta"],
        guidance_scale=told["guidance_scale"],
        num_recursions=told["recursions"],
        num_unguided_recursions=told["recursions"],
        schedule=tuple(schedule),
        guidance_weight=told["guidance_weight"],
        clip=told["clip"] or 0,
        colour_weight=told["color_weight"],
        flow_weight=told["flow_weight"],
        colour_flow="target" if told["oracle_flow"] else "estimated",
        occlusion="released" if told["occlusion_masking"] else "none",
        batch_statistics=told["raft_mode"] == "train",
    )


def test_encoded_source_and_prompts(prior, common):
    assert_close(prior.encode(common["source"].float() / 255), common["z0"], EXACT, "z0")
    for ids, tokens in (("input_ids", "cond"), ("empty_ids", "uncond")):
        assert_close(prior.embed_tokens(common[ids]), common[tokens], EXACT, tokens)


def test_inversion_gives_the_recorded_latents_noisiest_first(prior, common):
    timesteps = common["inversion_timesteps"].tolist()
    count = prior.schedule.num_train_timesteps
    spacing = timesteps[1] - timesteps[0] if len(timesteps) > 1 else count
    steps = ddim_steps(prior.schedule, count // spacing, spacing="released")
    assert [step.timestep for step in steps] == timesteps[::-1]
    found = invert(common["z0"], lambda *noisy: prior.predict_noise(*noisy, common["uncond"]), steps)
    assert_close(found, common["inversion_latents"].flip(0), EXACT, "inversion")


def test_schedules(prior):
    eta = 0.5
    fields = {
        "timesteps_ascending": "timestep",
        "alphas": "alpha",
        "alphas_prev": "previous_alpha",
        f"sigmas_eta_{eta}": "sigma",
    }
    for name, told in read_json("losses_and_schedules.json")["schedules"].items():
        steps = ddim_steps(prior.schedule, int(name), spacing="released", eta=eta)[::-1]
        assert len(steps) == told["count"]
        for key, field in fields.items():
            values, expected = [getattr(step, field) for step in steps], told[key]
            shortened = values if len(values) == len(expected) else values[:3] + values[-3:]
            assert shortened == pytest.approx(expected, rel=1e-6, abs=1e-7), (name, key)


def test_one_in_the_edit_mask_may_change_and_the_released_mask_is_its_complement(common):
    mask, keep = common["edit_mask"][None, None].float(), common["keep_mask"]
    found = latent_mask(mask, mask.shape[-1] // keep.shape[-1]) > 0.5
    assert found.any() and not found.all()
    assert torch.equal(~found.expand_as(keep), keep)


def test_occlusion_and_warp():
    losses = read_arrays("losses.npz")
    assert_close(warp(losses["warp_image"], losses["warp_flow"]), losses["warp_out"], EXACT, "warp")
    names = [name.removeprefix("occlusion_") for name in losses if name.startswith("occlusion_")]
    assert names
    for name in names:
        visible = ~released_occlusion(losses[f"flow_{name}"])
        assert (visible != (losses[f"occlusion_{name}"] > 0)).float().mean() <= ROUNDED_PIXELS, name


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_energies_and_gradients(mode):
    losses, told = read_arrays("losses.npz"), read_json("losses_and_schedules.json")
    network = make_flow_network(mode)
    for flow, colour_flow in (("estimated", "estimated"), ("oracle", "target")):
        for hidden in ("occ", "noocc"):
            expected = told[f"energy_{mode}_{flow}_{hidden}"]
            settings = MotionGuidanceSettings(colour_flow=colour_flow, occlusion="none")
            source, target = losses["src"].float() / 255, losses["flow_translate_int"]
            energy = MotionEnergy(source, target, estimator=network, settings=settings)
            if hidden == "occ":
                energy.visible = losses["occlusion_translate_int"].float()
            picture = (losses["pred"].float() / 255).requires_grad_()
            terms = energy(picture)
            assert terms.total.item() == pytest.approx(expected["energy"], rel=EXACT)
            assert terms.flow.item() == pytest.approx(expected["flow_loss"], rel=EXACT)
            assert terms.colour.item() == pytest.approx(expected["color_loss"], rel=EXACT)
            (gradient,) = torch.autograd.grad(terms.total, picture)
            gradient = gradient / 2  # the release's picture is in [-1, 1]
            assert gradient.norm().item() == pytest.approx(expected["grad_norm"], rel=GRADIENT)
            if (flow, hidden) == ("estimated", "occ"):
                assert_close(gradient, losses[f"grad_{mode}"], GRADIENT, "gradient")


def test_timesteps_of_a_run(run):
    told = run.golden["timesteps"]
    assert [step.timestep for step in run.sampler.steps] == told.reshape(len(told), -1)[:, 0].tolist()


def test_replacement_and_recursion(run):
    """Noise is drawn in the recorded order; every latent follows from the recorded one before it."""
    golden, draws, latent = run.golden, run.draws(), run.golden["start_latent"]
    for number, step in enumerate(run.sampler.steps):
        for recursion in range(run.settings.num_recursions):
            known = run.known(number, step, draws)
            replaced = torch.where(run.may_change > 0.5, latent, known)
            assert_close(replaced[0], golden["z_in"][number, recursion], EXACT, f"z_in {number} {recursion}")
            fresh = next(draws)
            previous = step.denoise(replaced, golden["eps_guided"][number, recursion][None], fresh)
            assert_close(previous[0], golden["z_prev"][number, recursion], EXACT, f"z_prev {number} {recursion}")
            latent = step.renoise(golden["z_prev"][number, recursion][None], next(draws))
        latent = golden["z_prev"][number, -1][None]
    assert next(draws, None) is None
    assert_close(latent, golden["final_latent"], EXACT, "final latent")


def check_step(run: Run, number: int, recursion: int) -> None:
    """Take one step from its recorded input."""
    golden, place, about = run.golden, (number, recursion), f"step {number}, recursion {recursion}"
    noisy = golden["z_in"][place][None]
    found = run.sampler.take_step(number, noisy, fresh=torch.zeros_like(noisy))
    assert_close(found.noise[0], golden["eps_cfg"][place], EXACT, f"noise, {about}")
    assert_close(found.original[0], golden["pred_z0"][place], EXACT, f"estimate, {about}")
    if found.energy is None:
        assert run.settings.schedule[number] == 0
        assert_close(found.guided_noise[0], golden["eps_guided"][place], EXACT, f"unguided noise, {about}")
        return
    for name, term in (("energy", "total"), ("flow_loss", "flow"), ("color_loss", "colour")):
        expected = golden[name][place].item()
        assert getattr(found.energy, term).item() == pytest.approx(expected, rel=EXACT), f"{name}, {about}"
    assert_close(found.gradient[0], golden["grad_raw"][place], GRADIENT, f"gradient, {about}")
    assert_close(found.guided_noise[0], golden["eps_guided"][place], GRADIENT, f"guided noise, {about}")
    norm = golden["info_guidance_norms"][place].item()
    assert found.guidance.norm().item() == pytest.approx(norm, rel=GRADIENT), f"norm of the guidance, {about}"


def test_the_first_step_from_its_recorded_input(run):
    check_step(run, 0, 0)


@slow_here
def test_every_step_from_its_recorded_input(run):
    for number in range(len(run.sampler.steps)):
        for recursion in range(run.settings.num_recursions):
            check_step(run, number, recursion)


@slow_here
def test_a_whole_run_left_to_itself(run, prior):
    draws = run.draws()
    found = run.sampler.sample(
        run.golden["start_latent"],
        may_change=run.may_change,
        known=lambda number, step: run.known(number, step, draws),
        draw=lambda: next(draws),
    )
    assert next(draws, None) is None
    expected, final = run.golden["final_latent"], run.golden["final_image"]
    difference = ((found - expected).norm() / expected.norm()).item()
    print(f"norm of the difference, relative: {difference:.1e}")
    assert difference <= WHOLE_RUN
    with torch.no_grad():
        picture = prior.decode(expected) * 2 - 1
    assert_close(picture.clamp(final.min(), final.max()), final, EXACT, "decoded latent")

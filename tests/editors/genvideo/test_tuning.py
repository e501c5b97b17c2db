"""One-shot tuning: it lowers the loss, is kept and found again, and resumes exactly."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from mimicbrush.diffusion.ddim import noise_of
from mimicbrush.editors.genvideo.editor import GenVideoEditor
from mimicbrush.editors.genvideo.inflation import tuned_parameters
from mimicbrush.editors.genvideo.one_shot_tuning import ClipTuning, TunedClip, training_target
from mimicbrush.editors.genvideo.tuned_folder import TunedFolder, folder_name, tuned_clip_config, weights_digest
from mimicbrush.errors import UserError
from mimicbrush.hub.unclip_parts import embed_pictures
from mimicbrush.requests import VideoRequest
from tests.editors.genvideo.conftest import QUICK, UNTUNED, moving_square

NO_MASK_NEEDED = torch.ones(4, 1, 32, 40)


def make_editor(parts, folder: Path | None, **tuning: object) -> GenVideoEditor:
    settings = replace(QUICK, tuning=replace(QUICK.tuning, **tuning))
    return GenVideoEditor(parts, settings=settings, tuned_clips=folder and str(folder), device="cpu")


def masked_request(**changes: object) -> VideoRequest:
    return moving_square(mask=NO_MASK_NEEDED, **changes)


def make_tuning(parts, **tuning: object) -> ClipTuning:
    denoiser = make_editor(parts, None, **tuning).denoiser
    frames = torch.nn.functional.interpolate(moving_square().source, (24, 32))
    clip = TunedClip(denoiser.encode(frames), embed_pictures(denoiser.parts, frames), denoiser.embed_prompt("red", "p"))
    return ClipTuning(denoiser, clip)


def test_tuning_lowers_the_loss_and_changes_the_published_weights_alone(parts):
    tuning = make_tuning(parts, num_steps=12, learning_rate=1e-2, image_drop_prob=0.0)
    draws = [tuning.draw(1000 + number) for number in range(4)]
    before = {name: weight.clone() for name, weight in tuning.denoiser.unet.state_dict().items()}

    def mean_loss() -> float:
        states = [each.generator.get_state() for each in draws]
        with torch.no_grad():
            losses = [tuning.loss(each).item() for each in draws]
        for each, state in zip(draws, states, strict=True):
            each.generator.set_state(state)
        return sum(losses) / len(losses)

    first = mean_loss()
    tuning.run(lambda number: None)
    assert len(tuning.losses) == 12 and mean_loss() < 0.97 * first
    after = tuning.denoiser.unet.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == set(tuned_parameters(tuning.denoiser.unet))


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_the_target_is_what_a_perfect_network_returns(prediction_type):
    latents, noise, alpha = torch.randn(2, 4, 3, 3), torch.randn(2, 4, 3, 3), 0.3
    noisy = alpha**0.5 * latents + (1 - alpha) ** 0.5 * noise
    target = training_target(latents, noise, alpha, prediction_type)
    torch.testing.assert_close(noise_of(target, noisy, alpha, prediction_type), noise)


def test_a_second_edit_finds_the_tuned_clip(parts, tmp_path, monkeypatch):
    first = make_editor(parts, tmp_path).edit(masked_request())
    (folder,) = tmp_path.iterdir()
    names = {path.name for path in folder.iterdir()}
    assert names >= {"config.yaml", "state.pt", "losses.csv", "losses.png", "previews"}
    assert {"inversion-2-0-4-0.safetensors", "inversion-2-0-4-0.json"} <= names
    assert [line.split(",")[0] for line in (folder / "losses.csv").read_text().splitlines()] == ["step", "1", "2", "3"]
    assert Image.open(folder / "previews" / "step-000002.png").width > 4 * 192
    monkeypatch.setattr(ClipTuning, "run_step", lambda *_: pytest.fail("the clip is tuned again"))
    shares = []
    again = make_editor(parts, tmp_path, preview_every=0).edit(
        masked_request(), on_progress=lambda share, preview: shares.append(share)
    )
    assert torch.equal(again.frames, first.frames)
    assert len(shares) == 2  # sampling alone


def test_damaged_results_are_computed_again_and_a_damaged_state_is_named(parts, tmp_path, caplog):
    first = make_editor(parts, tmp_path).edit(moving_square())
    (folder,) = tmp_path.iterdir()
    stored = sorted([*folder.glob("*.safetensors"), *folder.glob("*.json")])
    assert len(stored) == 3
    before = [path.read_bytes() for path in stored]
    for path in stored:
        path.write_bytes(path.read_bytes()[:20])
    assert torch.equal(make_editor(parts, tmp_path).edit(moving_square()).frames, first.frames)
    assert [path.read_bytes() for path in stored] == before
    assert all(f"{path} is damaged; it is computed again and replaced" in caplog.text for path in stored)
    (folder / "state.pt").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"state\.pt: damaged; delete this file and run the same command again"):
        make_editor(parts, tmp_path).edit(moving_square())


def test_a_stopped_tuning_resumes_and_ends_the_same(parts, tmp_path):
    whole = make_editor(parts, tmp_path / "whole").edit(masked_request())

    def stop(share: float, preview: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_editor(parts, tmp_path / "stopped").edit(masked_request(), on_progress=stop)
    (folder,) = (tmp_path / "stopped").iterdir()
    assert len((folder / "losses.csv").read_text().splitlines()) == 2  # one step was finished
    resumed = make_editor(parts, tmp_path / "stopped").edit(masked_request())
    assert torch.equal(resumed.frames, whole.frames)
    losses = [next((tmp_path / name).glob("*/losses.csv")).read_text() for name in ("whole", "stopped")]
    assert losses[0] == losses[1]


def test_a_refined_inversion_returns_closer_to_the_clip_and_is_kept_apart(parts, tmp_path):
    found = []
    for number in (0, 2):
        settings = replace(UNTUNED, inversion_refinements=number)
        editor = GenVideoEditor(parts, settings=settings, tuned_clips=str(tmp_path), device="cpu")
        editor.edit(masked_request())
        found.append(editor.reconstruction.from_inversion)
    assert found[1] > found[0]
    assert {path.name for path in tmp_path.glob("*/inversion-*.json")} == {
        "inversion-2-0-4-0.json",
        "inversion-2-0-4-2.json",
    }


def test_one_editor_edits_two_clips_like_two_editors(parts):
    other = masked_request(source=moving_square().source.flip(3))
    editor = make_editor(parts, None, num_steps=1)
    editor.edit(masked_request())
    assert torch.equal(editor.edit(other).frames, make_editor(parts, None, num_steps=1).edit(other).frames)


def test_a_folder_depends_on_what_determines_the_weights_alone():
    frames = torch.rand(4, 3, 8, 8)

    def name(frames=frames, prompt="red", **tuning) -> str:
        settings = replace(QUICK, tuning=replace(QUICK.tuning, **tuning))
        return folder_name(tuned_clip_config(frames, prompt, settings, weights="w", precision="float32"))

    assert name() == name(preview_every=0, gradient_checkpointing=False)
    assert len({name(), name(frames / 2), name(prompt="hat"), name(seed=1), name(num_steps=9)}) == 5


def test_a_folder_depends_on_every_network_and_the_schedule(parts):
    before = weights_digest(parts)
    other = replace(parts, vae=copy.deepcopy(parts.vae))
    with torch.no_grad():
        next(other.vae.parameters()).add_(1)
    longer = replace(parts.schedule, beta_end=2 * parts.schedule.beta_end)
    assert len({before, weights_digest(other), weights_digest(replace(parts, schedule=longer))}) == 3
    assert weights_digest(parts) == before


def test_a_folder_of_another_clip_is_refused(tmp_path):
    configs = [
        tuned_clip_config(torch.rand(4, 3, 8, 8), "red", QUICK, weights="w", precision="float32") for _ in range(2)
    ]
    TunedFolder(tmp_path, configs[0]).open_state()
    (tmp_path / folder_name(configs[0])).rename(tmp_path / folder_name(configs[1]))
    with pytest.raises(UserError, match="holds another run: frames was"):
        TunedFolder(tmp_path, configs[1]).open_state()


def test_a_loss_that_is_not_finite_is_named(parts):
    tuning = make_tuning(parts, num_steps=1)
    tuning.clip = tuning.clip._replace(latents=tuning.clip.latents * float("nan"))
    with pytest.raises(UserError, match=r"the loss is nan at tuning step 1; lower tuning\.learning_rate"):
        tuning.run(lambda number: None)

"""The editor with tiny random networks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mimicbrush.diffusion.trajectories import save_trajectory
from mimicbrush.editors.motion_guidance import MotionGuidanceEditor
from mimicbrush.editors.motion_guidance.pass_counts import Passes
from mimicbrush.editors.motion_guidance.settings import RELEASED, MotionGuidanceSettings
from mimicbrush.errors import UserError
from mimicbrush.flow.config import RaftConfig
from mimicbrush.flow.motion_fields import motion_field, translate
from mimicbrush.flow.motion_masks import propose_mask
from mimicbrush.flow.raft import Raft
from mimicbrush.requests import MotionRequest

FAST = {"num_inference_steps": 4, "flow_weight": 0.0, "colour_flow": "target"}
"""Settings without a flow network."""
HEIGHT, WIDTH = 25, 41
"""Odd sides, other than the network's 32 pixels."""


def make_request(shift: tuple[float, float] = (12, 3), **fields) -> MotionRequest:
    source = torch.rand(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    moving = torch.zeros(1, 1, HEIGHT, WIDTH)
    moving[..., 6:16, 5:15] = 1
    flow = motion_field(translate(*shift), HEIGHT, WIDTH, mask=moving)
    return MotionRequest(source=source, flow=flow, **fields)


def make_editor(folder, **settings) -> MotionGuidanceEditor:
    return MotionGuidanceEditor(str(folder), settings=MotionGuidanceSettings(**FAST | settings), device="cpu")


def shift_by_three(first: Tensor, second: Tensor) -> Tensor:
    """An estimator of flow that depends on the second picture."""
    return 3 + (second - first).mean() + torch.zeros_like(first[:, :2])


def test_only_what_may_change_changes_and_the_proposed_mask_is_returned(diffusion_folder):
    request = make_request()
    edited = make_editor(diffusion_folder).edit(request)
    mask = propose_mask(request.flow)
    assert torch.equal(edited.layers["mask"], mask)
    changed = (edited.frames != request.source).any(dim=1, keepdim=True)
    assert not changed[mask < 0.5].any()
    assert changed[mask > 0.5].float().mean() > 0.9
    assert edited.frames.min() >= 0 and edited.frames.max() <= 1


def test_the_same_seed_gives_the_same_and_prompt_and_seed_matter(diffusion_folder):
    editor = make_editor(diffusion_folder)
    edited = editor.edit(make_request(prompt="red hat")).frames
    assert torch.equal(editor.edit(make_request(prompt="red hat")).frames, edited)
    assert not torch.equal(editor.edit(make_request(prompt="red hat", seed=1)).frames, edited)
    assert not torch.equal(editor.edit(make_request(prompt="tea")).frames, edited)


@pytest.mark.parametrize(
    ("settings", "passes"),
    [
        ({"num_recursions": 3}, Passes(7, 7, 0)),
        ({"start": "noise", "num_recursions": 3}, Passes(10, 10, 0)),
        ({"start": "noise", "num_recursions": 3, "guidance_weight": 0.0}, Passes(4, 1, 0)),
        ({"start": "inverted", "known_pixels": "inverted"}, Passes(4 + 7, 7, 0)),
        ({"schedule": (0, 0, 1, 0), "strength": 1.0, "num_unguided_recursions": 2}, Passes(8, 3, 0)),
        ({"flow_weight": 3.0, "strength": 1.0}, Passes(7, 7, 6)),
    ],
)
def test_passes_are_counted_and_known_beforehand(diffusion_folder, settings, passes):
    """Nothing is decoded, and no flow estimated, where motion does not guide."""
    settings = MotionGuidanceSettings(**FAST | settings)
    editor = MotionGuidanceEditor(str(diffusion_folder), flow_network=shift_by_three, settings=settings, device="cpu")
    editor.edit(make_request())
    assert editor.passes == passes == editor.num_passes()


def test_the_released_settings_take_five_thousand_passes(diffusion_folder):
    editor = MotionGuidanceEditor(str(diffusion_folder), flow_network=shift_by_three, settings=RELEASED, device="cpu")
    # Inversion takes 500; the release also pays for energies where the schedule is zero, which change nothing.
    assert editor.num_passes() == Passes(5500, 4001, 4000)


def test_progress_and_preview(diffusion_folder):
    request, told = make_request(), []
    make_editor(diffusion_folder).edit(request, on_progress=lambda share, preview: told.append((share, preview())))
    shares = [share for share, _ in told]
    assert shares == sorted(shares) and shares[-1] == 1 and len(shares) == 3
    assert all(preview.frames.shape == request.source.shape for _, preview in told)


def test_a_callback_that_raises_stops_the_edit(diffusion_folder):
    def stop(share: float, preview: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_editor(diffusion_folder).edit(make_request(), on_progress=stop)


def test_velocity_class_embeddings_and_no_text(velocity_folder):
    editor = make_editor(velocity_folder)
    assert editor.prior.schedule.prediction_type == "v_prediction"
    assert editor.edit(make_request()).frames.isfinite().all()
    with pytest.raises(UserError, match="prompt is 'red', but the weights have no text encoder; leave it empty"):
        editor.edit(make_request(prompt="red"))


def test_a_flow_network_guides(diffusion_folder):
    config = RaftConfig(encoder_channels=(8, 8, 8, 8), feature_channels=8, hidden_channels=8, context_channels=8)
    torch.manual_seed(0)
    network, request = Raft(config, 2).eval().requires_grad_(False), make_request()
    edits = [
        MotionGuidanceEditor(
            str(diffusion_folder),
            flow_network=network,
            settings=MotionGuidanceSettings(num_inference_steps=2, guidance_weight=weight),
            device="cpu",
        ).edit(request)
        for weight in (0.0, 300.0)
    ]
    assert not torch.equal(edits[0].frames, edits[1].frames)


def test_gradient_checkpointing_changes_nothing(diffusion_folder):
    plain, checkpointed = (
        make_editor(diffusion_folder, gradient_checkpointing=value).edit(make_request()) for value in (False, True)
    )
    assert torch.allclose(plain.frames, checkpointed.frames, atol=1e-5)


def test_a_stored_trajectory_replaces_the_inversion(diffusion_folder, tmp_path):
    settings, request = FAST | {"start": "inverted", "known_pixels": "inverted"}, make_request()
    editor = make_editor(diffusion_folder, **settings)
    edited = editor.edit(request)
    save_trajectory(editor.invert(request), tmp_path / "trajectory.safetensors")
    again = MotionGuidanceEditor(
        str(diffusion_folder),
        settings=editor.settings,
        trajectory=str(tmp_path / "trajectory.safetensors"),
        device="cpu",
    )
    assert torch.equal(again.edit(request).frames, edited.frames)
    assert again.passes.unet == editor.passes.unet - 4 == again.num_passes().unet
    with pytest.raises(UserError, match="the stored trajectory has 4 steps, these settings have 5"):
        MotionGuidanceEditor(
            str(diffusion_folder),
            settings=MotionGuidanceSettings(**FAST | {"num_inference_steps": 5}),
            trajectory=str(tmp_path / "trajectory.safetensors"),
        )
    with pytest.raises(UserError, match="the stored trajectory has no effect with start warped and"):
        MotionGuidanceEditor(
            str(diffusion_folder),
            settings=MotionGuidanceSettings(num_inference_steps=4),
            trajectory=str(tmp_path / "trajectory.safetensors"),
        )


def test_motions_and_masks_that_make_no_sense_are_refused_in_one_sentence(diffusion_folder):
    editor = make_editor(diffusion_folder)
    with pytest.raises(UserError, match="the flow moves every pixel out of the picture"):
        editor.edit(make_request(shift=(-30, 0)))
    keep = 1 - propose_mask(make_request().flow)
    with pytest.raises(UserError, match=r"the mask lets 0% of the moving pixels change.*invert a mask of what to keep"):
        editor.edit(make_request(mask=keep))
    (hint,) = editor.hints(make_request(mask=torch.ones_like(keep)))
    assert "the mask is full" in hint


def test_a_preset_takes_the_place_of_settings(diffusion_folder):
    place = {"flow_network": shift_by_three, "device": "cpu"}
    assert MotionGuidanceEditor(str(diffusion_folder), preset="released", **place).settings == RELEASED
    with pytest.raises(UserError, match="preset is small, expected one of default, small, released, and no settings"):
        MotionGuidanceEditor(str(diffusion_folder), preset="small", settings=RELEASED, **place)


def test_a_network_for_inpainting_is_refused(inpainting_folder):
    with pytest.raises(UserError, match="the U-Net has 9 input and 4 output channels, expected 4 each"):
        make_editor(inpainting_folder)


@pytest.mark.parametrize("name", ["nothing/here/at-all", "missing.safetensors", "missing.ckpt"])
def test_missing_weights_are_named(name):
    with pytest.raises(UserError, match=name):
        make_editor(name)

"""With a tiny random pipeline; real weights have not been tried."""

from __future__ import annotations

import shutil

import pytest
import torch

from mimicbrush.editors.stable_diffusion import StableDiffusionInpainting
from mimicbrush.errors import UserError
from mimicbrush.requests import TextRequest


@pytest.fixture(scope="module")
def editor(inpainting_folder) -> StableDiffusionInpainting:
    return StableDiffusionInpainting(str(inpainting_folder), num_inference_steps=2, device="cpu")


def make_request(prompt: str, seed: int = 0) -> TextRequest:
    source = torch.rand(1, 3, 40, 60, generator=torch.Generator().manual_seed(5))
    mask = torch.zeros(1, 1, 40, 60)
    mask[..., 10:25, 20:40] = 1
    return TextRequest(source=source, mask=mask, prompt=prompt, seed=seed)


def test_only_the_masked_region_is_repainted(editor):
    request = make_request("red hat")
    edited = editor.edit(request)
    assert edited.shape == request.source.shape
    assert torch.equal(edited[..., 37:, :], request.source[..., 37:, :])
    assert (edited - request.source)[..., 12:23, 22:38].abs().mean() > 0.05


def test_prompt_and_seed_matter_and_the_same_ones_give_the_same(editor):
    edited = editor.edit(make_request("red hat"))
    assert torch.equal(editor.edit(make_request("red hat")), edited)
    assert not torch.equal(editor.edit(make_request("tea")), edited)
    assert not torch.equal(editor.edit(make_request("red hat", seed=1)), edited)


def test_batch_gives_what_single_edits_give(editor):
    requests = [make_request("red hat", seed=3), make_request("", seed=4)]
    for request, edited in zip(requests, editor.edit_batch(requests), strict=True):
        assert torch.allclose(edited, editor.edit(request), atol=1e-5)


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(UserError, match=f"{tmp_path}: no inpainting pipeline of diffusers"):
        StableDiffusionInpainting(str(tmp_path))


@pytest.mark.parametrize(
    ("part", "safe", "unsafe"),
    [
        ("unet", "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"),
        ("text_encoder", "model.safetensors", "pytorch_model.bin"),
    ],
)
def test_code_in_a_weight_file_is_not_run(inpainting_folder, tmp_path, part, safe, unsafe):
    class Harmful:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    folder = shutil.copytree(inpainting_folder, tmp_path / "copy")
    (folder / part / safe).unlink()
    torch.save({"conv_in.weight": Harmful()}, folder / part / unsafe)
    with pytest.raises(UserError, match=str(folder)):
        StableDiffusionInpainting(str(folder), device="cpu")
    assert not (tmp_path / "ran").exists()

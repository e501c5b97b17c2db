"""With a tiny random pipeline; real weights have not been tried."""

from __future__ import annotations

import shutil

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from mimicbrush.editors.stable_diffusion import StableDiffusionInpainting
from mimicbrush.errors import UserError
from mimicbrush.requests import TextRequest
from tests.hub_layouts import INPAINTING, LAYOUTS


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
    edited = editor.edit(request).frames
    assert edited.shape == request.source.shape
    assert torch.equal(edited[..., 37:, :], request.source[..., 37:, :])
    assert (edited - request.source)[..., 12:23, 22:38].abs().mean() > 0.05


def test_prompt_and_seed_matter_and_the_same_ones_give_the_same(editor):
    edited = editor.edit(make_request("red hat")).frames
    assert torch.equal(editor.edit(make_request("red hat")).frames, edited)
    assert not torch.equal(editor.edit(make_request("tea")).frames, edited)
    assert not torch.equal(editor.edit(make_request("red hat", seed=1)).frames, edited)


def test_batch_gives_what_single_edits_give(editor):
    requests = [make_request("red hat", seed=3), make_request("", seed=4)]
    for request, edited in zip(requests, editor.edit_batch(requests), strict=True):
        assert torch.allclose(edited.frames, editor.edit(request).frames, atol=1e-5)


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


def test_the_repositorys_own_layout_is_read(inpainting_folder, editor, tmp_path, monkeypatch, caplog):
    """No plain safetensors, and nothing asked of the hub: as stable-diffusion-v1-5/stable-diffusion-inpainting is."""
    layout = LAYOUTS[INPAINTING]
    snapshot = tmp_path / "models--stable-diffusion-v1-5--stable-diffusion-inpainting" / "snapshots" / layout["commit"]
    shutil.copytree(inpainting_folder / "tokenizer", snapshot / "tokenizer")  # in its library's present format
    for name in [name for name in layout["files"] if not name.startswith("tokenizer/")]:
        kept = inpainting_folder / name
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / name).write_bytes(kept.read_bytes() if kept.is_file() else b"{}")
    for name in ("unet", "vae", "text_encoder"):
        (path,) = (inpainting_folder / name).glob("*.safetensors")
        half = {key: tensor.half() for key, tensor in load_file(path).items()}
        save_file(half, snapshot / name / path.name.replace(".safetensors", ".fp16.safetensors"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    loaded = StableDiffusionInpainting(
        INPAINTING, revision=layout["commit"], num_inference_steps=2, device="cpu", precision="float32"
    )
    assert [message.partition(" ")[0] for message in caplog.messages] == ["unet:", "vae:", "text_encoder:"]
    assert loaded.pipeline.unet.dtype == torch.float32
    request = make_request("red hat")
    assert torch.allclose(loaded.edit(request).frames, editor.edit(request).frames, atol=0.02)


@pytest.mark.parametrize(
    ("given", "said"),
    [({"num_inference_steps": 0}, "expected 1 to 1000"), ({"guidance_scale": -1.0}, "expected 0 to 100")],
)
def test_a_number_outside_its_limits_is_refused_before_weights_are_looked_for(given, said):
    with pytest.raises(UserError, match=f"{next(iter(given))} is .*{said}"):
        StableDiffusionInpainting("absent", device="cpu", **given)

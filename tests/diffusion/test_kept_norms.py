from __future__ import annotations

import pytest
import torch
from diffusers import AutoencoderKL

from mimicbrush.diffusion.kept_norms import decode_with_norms_of
from mimicbrush.diffusion.latents import decode_unclamped


@pytest.fixture(scope="module")
def vae() -> AutoencoderKL:
    torch.manual_seed(0)
    return AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 2,
        up_block_types=["UpDecoderBlock2D"] * 2,
        block_out_channels=[8, 8],
        norm_num_groups=4,
        mid_block_add_attention=False,
    ).eval()


def test_unchanged_latents_decode_as_always(vae):
    latents = torch.randn(2, 4, 6, 5)
    torch.testing.assert_close(decode_with_norms_of(vae, latents, latents), decode_unclamped(vae, latents))


def test_a_change_stays_where_it_is(vae):
    own = torch.randn(1, 4, 24, 24)
    edited = own.clone()
    edited[..., :3, :3] += 3
    unchanged, far = decode_unclamped(vae, own), (slice(None), slice(None), slice(32, None), slice(32, None))
    kept = decode_with_norms_of(vae, edited, own)
    torch.testing.assert_close(kept[far], unchanged[far])
    assert (kept - unchanged)[..., :6, :6].abs().mean() > 0.01
    assert (decode_unclamped(vae, edited) - unchanged)[far].abs().mean() > 1e-3

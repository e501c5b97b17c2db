"""A network is built from pretrained parts and trained weights, and faults are named."""

from __future__ import annotations

import re

import pytest
import torch
from diffusers import UNet2DConditionModel

from mimicbrush.config import load_config
from mimicbrush.errors import UserError
from mimicbrush.model.config import PartConfig
from mimicbrush.model.weights.build import initialise
from mimicbrush.model.weights.presets import known_presets
from mimicbrush.model.weights.trained_weights import read_weights
from mimicbrush.training.config import TrainConfig
from tests.conftest import ONE_BLOCK, REPOSITORY, UNET, one_block_config
from tests.model.conftest import as_trained


class TestParts:
    def test_thirteen_channels_keep_what_was_pretrained(self, tmp_path):
        """Nine inpainting channels stay in place; the four of the shape latent start at zero."""
        inpainting = UNet2DConditionModel(**ONE_BLOCK | {"in_channels": 9})
        inpainting.save_pretrained(tmp_path / "unet")
        part = PartConfig(pretrained=str(tmp_path), subfolder="unet")
        weight = initialise(one_block_config(imitative_unet=part)).imitative_unet.conv_in.weight
        assert weight.shape[1] == 13
        torch.testing.assert_close(weight[:, :9], inpainting.conv_in.weight)
        assert not weight[:, 9:].any()
        as_the_authors = initialise(
            one_block_config(imitative_unet=part, conv_in="random")
        ).imitative_unet.conv_in.weight
        assert not torch.allclose(as_the_authors[:, :9], inpainting.conv_in.weight)
        assert as_the_authors[:, 9:].any()

    def test_missing_weights_name_the_part_and_the_remedy(self, tmp_path):
        config = one_block_config(autoencoder=PartConfig(pretrained=str(tmp_path / "nowhere"), subfolder="vae"))
        with pytest.raises(UserError, match=r"autoencoder: .*nowhere .* local folder with a subfolder vae"):
            initialise(config)

    def test_unequal_widths_are_refused(self):
        with pytest.raises(UserError, match="widths"):
            initialise(one_block_config(imitative_unet=PartConfig(arguments=UNET | {"block_out_channels": [16, 16]})))

    def test_size_must_be_a_multiple_of_the_stride(self):
        with pytest.raises(UserError, match="size is 34, expected a multiple of the autoencoder's stride, 4"):
            initialise(one_block_config(size=34))

    def test_weights_of_nothing_are_named(self, tmp_path):
        (tmp_path / "text.bin").write_text("no weights")
        for name in ("text.bin", "absent"):
            with pytest.raises(UserError, match=name):
                read_weights(str(tmp_path / name))

    def test_weights_that_are_not_shipped_are_named_with_those_that_are(self):
        with pytest.raises(UserError, match=r"asset:none: no such weights .* there are .*asset:autoencoder"):
            read_weights("asset:none")

    def test_weights_without_a_trained_part_are_refused(self):
        source = as_trained(initialise(one_block_config()))
        del source.parts["image_projector"]
        with pytest.raises(UserError, match="memory lacks image_projector"):
            initialise(one_block_config(), checkpoint=source)

    def test_shipped_presets_have_the_options_that_inspect_knows(self):
        for name, expected in known_presets().items():
            path = REPOSITORY / "configs" / "train" / re.search(r"\((.*)\)", name)[1]
            assert load_config(TrainConfig, path).network.options == expected.options

"""The commands inspect and convert."""

from __future__ import annotations

import pytest
import torch
import yaml

from mimicbrush.command import call_command
from mimicbrush.errors import UserError
from mimicbrush.model.config import PartConfig
from mimicbrush.model.weights.__main__ import COMMANDS
from mimicbrush.model.weights.build import from_pretrained, initialise
from mimicbrush.model.weights.exported_folder import save_pretrained
from mimicbrush.model.weights.find import require_local_parts
from tests.conftest import one_block_config


class TestCommand:
    def run(self, *arguments: object) -> None:
        call_command(COMMANDS, list(map(str, arguments)))

    def test_released_file_to_folder_and_back(self, tmp_path, capsys, released):
        path, network = released
        save_pretrained(network, tmp_path / "all")
        self.run("convert", "--weights", tmp_path / "all", "--output", tmp_path / "back.bin")
        assert "parameters in float32" in capsys.readouterr().out
        back, first = (torch.load(file, weights_only=True) for file in (tmp_path / "back.bin", path))
        torch.testing.assert_close(back, first, rtol=0, atol=0)

    def test_the_mean_of_two(self, tmp_path):
        networks = [initialise(one_block_config(), seed=seed) for seed in (1, 2)]
        for number, network in enumerate(networks):
            save_pretrained(network, tmp_path / str(number))
        self.run(
            "convert", "--weights", tmp_path / "0", "--average_with", tmp_path / "1", "--output", tmp_path / "mean"
        )
        mean = from_pretrained(tmp_path / "mean")
        first, second, both = (each.imitative_unet.state_dict() for each in (*networks, mean))
        for name, tensor in both.items():
            torch.testing.assert_close(tensor, (first[name] + second[name]) / 2)
        assert any(not torch.equal(first[name], second[name]) for name in first)

    def test_no_mean_of_other_options_or_of_nothing(self, tmp_path):
        save_pretrained(initialise(one_block_config()), tmp_path / "first")
        save_pretrained(initialise(one_block_config(shape_channels=(4, 8, 16))), tmp_path / "other")
        save_pretrained(initialise(one_block_config(reference_blend=0.25)), tmp_path / "blended")
        for other, found in (
            ("other", r"other: shape_channels is \(4, 8, 16\)"),
            ("blended", "blended: reference_blend is 0.25"),
            ("none", "none does not exist"),
        ):
            arguments = ("--weights", tmp_path / "first", "--average_with", tmp_path / other)
            with pytest.raises(UserError, match=found):
                self.run("convert", *arguments, "--output", tmp_path / "mean")
        assert not (tmp_path / "mean").exists()

    @pytest.mark.parametrize("name", ["x.safetensors", "x.ckpt", "x.pt", "x.PTH", "x.BIN", "x.onnx", "x.zip"])
    def test_a_folder_is_not_named_like_a_file(self, tmp_path, released_file, name):
        path, network = released_file
        with pytest.raises(
            UserError, match=rf"{name}: no file of that kind .* ending in \.bin for the released layout"
        ):
            self.run("convert", "--weights", path, "--output", tmp_path / name)
        with pytest.raises(UserError, match=f"{name} would become a folder"):
            save_pretrained(network, tmp_path / name)
        assert not (tmp_path / name).exists()

    def test_a_version_in_a_folders_name_is_no_suffix(self, tmp_path):
        save_pretrained(initialise(one_block_config()), tmp_path / "mine.v1.5")
        assert from_pretrained(tmp_path / "mine.v1.5")

    def test_inspect_counts(self, capsys, released):
        path, network = released
        self.run("inspect", "--weights", path)
        printed = capsys.readouterr().out
        num_parameters = sum(parameter.numel() for parameter in network.imitative_unet.parameters())
        assert "released checkpoint" in printed
        assert f"{num_parameters:,}".replace(",", " ") in printed
        assert "fits: no preset here" in printed

    def test_unknown_command_is_named(self):
        with pytest.raises(UserError, match="choose from inspect, convert"):
            self.run("inspekt")

    def test_inspect_prints_a_runs_options_as_yaml(self, capsys, exported):
        self.run("inspect", exported[0])
        printed = capsys.readouterr().out
        options = yaml.safe_load(printed[printed.index("\nsize:") : printed.index("\nfits:")])
        assert tuple(options["shape_channels"]) == one_block_config().shape_channels

    @pytest.mark.parametrize("output", ["file/inside", "file/inside.bin"])
    def test_an_output_that_cannot_be_written_is_refused_before_anything_is_read(self, tmp_path, output):
        (tmp_path / "file").write_text("")
        (tmp_path / "weights.bin").write_text("not read")
        with pytest.raises(UserError, match=r"inside.*(cannot be a folder|cannot be written)"):
            self.run("convert", "--weights", tmp_path / "weights.bin", "--output", tmp_path / output)

    def test_every_part_that_is_missing_is_named(self, tmp_path):
        missing = {name: PartConfig(pretrained=str(tmp_path / name)) for name in ("autoencoder", "image_encoder")}
        for require in (initialise, require_local_parts):
            with pytest.raises(UserError, match=r"(?s)2 faults.*- autoencoder: .* exist.*- image_encoder: .* exist"):
                require(one_block_config(**missing))

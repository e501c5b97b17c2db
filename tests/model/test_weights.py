"""Weights in every layout: read, written, refused."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
import yaml
from diffusers import DiffusionPipeline, UNet2DConditionModel
from torch import Tensor

from mimicbrush.command import call_command
from mimicbrush.config import load_config
from mimicbrush.errors import UserError
from mimicbrush.model.config import NetworkConfig, PartConfig, released_network
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.weights.__main__ import COMMANDS
from mimicbrush.model.weights.build import from_pretrained, initialise, load_network, load_release, read_weights
from mimicbrush.model.weights.exported_folder import save_pretrained
from mimicbrush.model.weights.find import require_local_parts
from mimicbrush.model.weights.parts import build_parts
from mimicbrush.model.weights.presets import fitting_presets, known_presets
from mimicbrush.model.weights.release import RELEASED_NAMES, release_parts, save_release
from mimicbrush.model.weights.run_checkpoint import read_run
from mimicbrush.model.weights.tensors import TrainedWeights, load_strictly
from mimicbrush.tensor_files import torch_save
from mimicbrush.training.checkpoints import find_start
from mimicbrush.training.config import TrainConfig
from tests.conftest import AUTOENCODER, DEPTH, ONE_BLOCK, REPOSITORY, UNET, one_block_config

LAYOUT = json.loads((REPOSITORY / "tests" / "assets" / "golden" / "release_layout.json").read_text())


def depth_config(**changes) -> NetworkConfig:
    """The tiny network with a depth model, whose options are the release's."""
    return one_block_config(depth=PartConfig(arguments=DEPTH), **changes)


def assert_same_weights(found: MimicBrushNetwork, expected: MimicBrushNetwork, atol: float = 0.0) -> None:
    torch.testing.assert_close(found.state_dict(), expected.state_dict(), rtol=0, atol=atol)


@pytest.fixture(scope="module")
def released(tmp_path_factory) -> tuple[Path, MimicBrushNetwork]:
    """A released file and its network; neither may be changed."""
    network, path = initialise(depth_config(), seed=7), tmp_path_factory.mktemp("released") / "mimicbrush.bin"
    save_release(network, path)
    return path, network


@pytest.fixture
def released_file(released, tmp_path) -> tuple[Path, MimicBrushNetwork]:
    """A copy of the file, and its network, which may not be changed."""
    path, network = released
    return Path(shutil.copy(path, tmp_path)), network


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> tuple[Path, MimicBrushNetwork]:
    """An exported folder and its network; neither may be changed."""
    network, folder = initialise(depth_config(), seed=3), tmp_path_factory.mktemp("exported") / "folder"
    save_pretrained(network, folder)
    return folder, network


class TestRelease:
    def test_saved_weights_load_into_a_differently_seeded_network(self, released_file):
        path, network = released_file
        loaded = initialise(depth_config(weights=str(path)), seed=8)
        for part in RELEASED_NAMES.values():
            torch.testing.assert_close(
                getattr(loaded, part).state_dict(), getattr(network, part).state_dict(), rtol=0, atol=0
            )

    def test_options_come_from_the_config_and_others_are_warned_of(self, released_file):
        path, _ = released_file
        with pytest.warns(UserWarning, match=r"trained with reference_blend 0\.5, not 1\.0"):
            network = initialise(depth_config(weights=str(path), reference_blend=1.0))
        assert network.options.reference_blend == 1.0

    @pytest.mark.parametrize("position_ids", [False, True])
    def test_position_ids_are_written_on_demand_and_tolerated(self, released, tmp_path, position_ids):
        save_release(released[1], tmp_path / "a.bin", position_ids=position_ids)
        stored = torch.load(tmp_path / "a.bin", weights_only=True)["image_encoder"]
        assert ("vision_model.embeddings.position_ids" in stored) == position_ids
        load_release(tmp_path / "a.bin", depth_config())

    def test_half_precision_is_stored_and_computed_in_single(self, released, tmp_path):
        _, network = released
        save_release(network, tmp_path / "a.bin", dtype=torch.float16)
        stored = torch.load(tmp_path / "a.bin", weights_only=True)
        assert {tensor.dtype for part in stored.values() for tensor in part.values()} == {torch.float16}
        loaded = load_release(tmp_path / "a.bin", depth_config())
        assert loaded.imitative_unet.dtype == torch.float32
        torch.testing.assert_close(
            loaded.imitative_unet.state_dict(), network.imitative_unet.state_dict(), rtol=1e-3, atol=1e-4
        )

    @pytest.mark.parametrize(
        ("change", "complaint"),
        [
            (lambda parts: parts["unet"].pop("conv_in.bias"), r"imitative_unet, .*1 missing \(conv_in\.bias\)"),
            (lambda parts: parts["image_proj"].update(extra=torch.zeros(1)), r"1 unexpected \(extra\)"),
            (
                lambda parts: parts["depth_guider"].update({"conv_in.bias": torch.zeros(3)}),
                r"1 misshaped \(conv_in\.bias is \(3,\), expected \(4,\)\)",
            ),
            (
                lambda parts: parts.pop("unet"),
                r"not a released checkpoint; expected tensors in unet, .*found referencenet",
            ),
            (lambda parts: parts["unet"].update({"conv_in.bias": "text"}), "not a released checkpoint"),
            (lambda parts: parts["unet"].update({3: torch.zeros(1)}), "not a released checkpoint"),
            (lambda parts: parts["unet"]["conv_in.bias"].fill_(torch.nan), r"1 not finite \(conv_in\.bias\)"),
            (
                lambda parts: parts["unet"].update({"conv_in.bias": torch.zeros(8, dtype=torch.int64)}),
                r"1 of another type \(conv_in\.bias\)",
            ),
        ],
        ids=["missing", "unexpected", "misshaped", "no U-Net", "text", "number as name", "NaN", "integers"],
    )
    def test_what_does_not_fit_is_named(self, released_file, change: Callable, complaint: str):
        path, _ = released_file
        parts = torch.load(path, weights_only=True)
        change(parts)
        torch.save(parts, path)
        with pytest.raises(UserError, match=complaint):
            load_release(path, depth_config())

    def test_truncated_file(self, released_file):
        path, _ = released_file
        path.write_bytes(path.read_bytes()[:-1000])
        with pytest.raises(UserError, match="not a readable checkpoint"):
            load_release(path, depth_config())

    def test_nothing_executable_is_loaded(self, tmp_path):
        class Bomb:
            def __reduce__(self) -> tuple:
                return Path.touch, (tmp_path / "exploded",)

        archive = {name: Bomb() for name in RELEASED_NAMES}
        for suffix in (".bin", ".ckpt", ".pt", ".pth", ".safetensors", ""):
            path = tmp_path / f"a{suffix}"
            for write in (torch.save, torch_save, lambda content, path: path.write_bytes(pickle.dumps(content))):
                write(archive, path)
                with pytest.raises(UserError, match="never loaded"):
                    load_network(path)
        run = tmp_path / "run" / "checkpoints"
        run.mkdir(parents=True)
        for name in ("last.ckpt", "previous.ckpt"):
            torch.save({"state_dict": {"a": Bomb()}, "global_step": 1}, run / name)
        for read in (lambda: read_run(tmp_path / "run"), lambda: find_start(tmp_path / "run")):
            with pytest.raises(UserError, match="never loaded"):
                read()
        assert not (tmp_path / "exploded").exists()

    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({"reference_blend": 1.0}, "reference_blend is 1.0, not 0.5"),
            ({"reference_projections": "reference"}, "reference_projections is reference, not imitative"),
            ({"reference_timestep": "zero"}, "reference_timestep is zero"),
            ({"prediction_type": "v_prediction"}, "prediction_type is v_prediction"),
            ({"shape_in_channels": 3}, "shape_in_channels is 3"),
            ({"depth": None}, "depth is null"),
        ],
    )
    def test_a_network_the_released_code_would_run_otherwise_is_not_exported(self, tmp_path, changes, named):
        network = initialise(replace(depth_config(), **changes))
        with pytest.raises(UserError, match=named):
            save_release(network, tmp_path / "a.bin")


class TestFullSize:
    """The release's own sizes, without memory for a single weight."""

    @staticmethod
    def build(**changes) -> MimicBrushNetwork:
        config = replace(released_network(), autoencoder=PartConfig(), depth=None, **changes)
        parts = build_parts(config, given=[*RELEASED_NAMES.values(), "autoencoder"])
        return MimicBrushNetwork(**parts, options=config.options)

    @pytest.fixture(scope="class")
    def network(self) -> MimicBrushNetwork:
        return self.build()

    @pytest.fixture(scope="class")
    def papers(self) -> MimicBrushNetwork:
        return self.build(reference_projections="reference", shape_in_channels=3)

    def test_every_released_tensor_has_its_name_and_shape(self, network):
        found = release_parts(network)
        shapes = {part: {name: list(t.shape) for name, t in tensors.items()} for part, tensors in found.items()}
        assert shapes == LAYOUT
        assert sum(map(len, found.values())) == 1886

    def test_every_released_tensor_loads(self, network):
        parts = {
            theirs: getattr(network, ours).clip if theirs == "image_encoder" else getattr(network, ours)
            for theirs, ours in RELEASED_NAMES.items()
        }
        for name, part in parts.items():
            tensors = {key: torch.empty(shape, device="meta") for key, shape in LAYOUT[name].items()}
            load_strictly(part, tensors, name, assign=True)

    def test_sizes_of_the_two_unets(self, network):
        assert sum(parameter.numel() for parameter in network.imitative_unet.parameters()) == 859_546_884
        assert sum(parameter.numel() for parameter in network.reference_unet.parameters()) == 857_066_560
        assert len(network.reference_unet.state_dict()) == 662
        assert sum(parameter.numel() for parameter in network.shape_projector.parameters()) == 150_260

    def test_the_papers_projections_keep_two_more_tensors(self, papers):
        assert len(papers.reference_unet.state_dict()) == 664
        assert papers.shape_projector.conv_in.weight.shape == (16, 3, 3, 3)

    def test_presets_are_recognised(self, network, papers):
        assert fitting_presets(as_trained(network)) == ["the release (mimicbrush.yaml)"]
        assert fitting_presets(as_trained(papers)) == ["the paper (mimicbrush_paper.yaml)"]
        assert fitting_presets(as_trained(initialise(one_block_config()))) == []


def as_trained(network: MimicBrushNetwork) -> TrainedWeights:
    parts: dict[str, dict[str, Tensor]] = {name: part.state_dict() for name, part in network.named_children()}
    return TrainedWeights("exported folder", "memory", parts, {})


class TestFolder:
    @pytest.mark.parametrize(
        "config",
        [
            one_block_config(),
            depth_config(),
            depth_config(reference_projections="reference", reference_blend=1.0, shape_in_channels=3),
            one_block_config(reference_timestep="zero", prediction_type="v_prediction"),
        ],
        ids=["edges", "release", "paper", "velocity"],
    )
    def test_what_is_saved_is_loaded(self, tmp_path, config):
        network = initialise(config, seed=3)
        save_pretrained(network, tmp_path / "folder")
        for load in (from_pretrained, load_network):
            loaded = load(tmp_path / "folder")
            assert_same_weights(loaded, network)
            assert loaded.options == network.options

    def test_it_does_not_say_where_its_parts_came_from(self, tmp_path):
        initialise(one_block_config()).autoencoder.save_pretrained(tmp_path / "secret")
        config = one_block_config(autoencoder=PartConfig(pretrained=str(tmp_path / "secret")))
        save_pretrained(initialise(config), tmp_path / "folder")
        assert not [path for path in (tmp_path / "folder").rglob("*.json") if "secret" in path.read_text()]

    @pytest.mark.parametrize("stored", [torch.float16, torch.float32])
    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
    def test_it_is_loaded_in_the_asked_precision_whatever_it_is_stored_in(self, exported, tmp_path, stored, dtype):
        _, network = exported
        save_pretrained(network, tmp_path / "folder", dtype=stored)
        loaded = load_network(tmp_path / "folder", dtype=dtype)
        rounded = {name: tensor.to(stored) for name, tensor in network.state_dict().items()}
        for name, tensor in loaded.state_dict().items():
            expected = torch.float32 if name.startswith("shape_map") else dtype
            assert tensor.dtype == expected
            assert torch.equal(tensor, rounded[name].to(expected))

    def test_it_is_diffusers_layout(self, exported):
        folder, network = exported
        index = json.loads((folder / "model_index.json").read_text())
        parts = {name: kind for name, kind in index.items() if isinstance(kind, list) and not name.startswith("_")}
        assert parts["unet"] == ["diffusers", "UNet2DConditionModel"]
        assert parts["depth_model"] == ["transformers", "DepthAnythingForDepthEstimation"]
        assert all((folder / name).is_dir() for name in parts)
        stock = UNet2DConditionModel.from_pretrained(folder, subfolder="unet")
        torch.testing.assert_close(stock.state_dict(), network.imitative_unet.state_dict(), rtol=0, atol=0)

    @pytest.mark.parametrize("trusted", [False, True])
    def test_plain_diffusers_names_the_package_that_it_needs(self, tmp_path, monkeypatch, trusted):
        save_pretrained(initialise(one_block_config()), tmp_path / "folder")
        monkeypatch.setattr("diffusers.utils.dynamic_modules_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
        for name in [name for name in sys.modules if name.partition(".")[0] == "mimicbrush"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "mimicbrush", None)
        error, said = (ImportError, "install the package, and") if trusted else (ValueError, "install_the_mimicbrush_")
        with pytest.raises(error, match=said):
            DiffusionPipeline.from_pretrained(tmp_path / "folder", trust_remote_code=trusted)

    def test_training_goes_on_from_it(self, exported):
        folder, network = exported
        assert_same_weights(initialise(depth_config(weights=str(folder)), seed=4), network)

    def test_other_options_are_warned_of(self, exported):
        with pytest.warns(UserWarning, match=r"trained with reference_blend 0\.5, not 1\.0"):
            initialise(depth_config(weights=str(exported[0]), reference_blend=1.0))

    def test_a_run_from_before_parts_had_revisions_is_warned_of_nothing(self, recwarn):
        """Its frozen parts are left out, and its config says less of where they come from."""
        config = depth_config()
        options = json.loads(json.dumps(asdict(config)))
        for name in ("reference_unet", "autoencoder", "image_encoder", "depth"):
            del options[name]["variant"], options[name]["revision"]
        source = as_trained(initialise(config))._replace(options=options)
        for name in ("reference_unet", "autoencoder", "image_encoder", "shape_map"):
            del source.parts[name]
        initialise(config, trained=source)
        assert not [warning for warning in recwarn if "was trained with" in str(warning.message)]
        with pytest.warns(UserWarning, match="was trained with autoencoder"):
            initialise(replace(config, autoencoder=PartConfig(arguments=AUTOENCODER, variant="fp16")), trained=source)

    def test_existing_folder_is_left_alone(self, tmp_path):
        (tmp_path / "folder").mkdir()
        with pytest.raises(UserError, match="exists"):
            save_pretrained(initialise(one_block_config()), tmp_path / "folder")

    @pytest.mark.parametrize(
        ("damage", "complaint"),
        [
            (lambda folder: next((folder / "unet").glob("*.safetensors")).unlink(), r"unet: no \.safetensors file"),
            (
                lambda folder: next((folder / "vae").glob("*.safetensors")).write_bytes(b"\x08" + bytes(40)),
                r"vae.*damaged",
            ),
            (lambda folder: shutil.rmtree(folder / "depth_model"), r"depth_model: no \.safetensors file"),
            (lambda folder: (folder / "network.json").write_text("{"), r"network\.json: damaged"),
            (
                lambda folder: (folder / "vae" / "config.json").unlink(),
                r"autoencoder: .*/vae holds diffusion_pytorch_model\.safetensors, no config\.json",
            ),
        ],
        ids=["missing", "damaged", "depth", "options", "config"],
    )
    def test_damage_is_named(self, exported, tmp_path, damage: Callable, complaint: str):
        shutil.copytree(exported[0], tmp_path / "folder")
        damage(tmp_path / "folder")
        with pytest.raises(UserError, match=complaint):
            from_pretrained(tmp_path / "folder")


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
            initialise(one_block_config(), trained=source)

    def test_shipped_presets_have_the_options_that_inspect_knows(self):
        for name, expected in known_presets().items():
            path = REPOSITORY / "configs" / "train" / re.search(r"\((.*)\)", name)[1]
            assert load_config(TrainConfig, path).network.options == expected.options


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

"""The released file is written and read, has the release's tensors at full size, and faults are named."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mimicbrush.errors import UserError
from mimicbrush.model.config import PartConfig, released_network
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.weights.build import initialise, load_network, load_release
from mimicbrush.model.weights.parts import build_parts
from mimicbrush.model.weights.presets import fitting_presets
from mimicbrush.model.weights.release import RELEASED_NAMES, release_parts, save_release
from mimicbrush.model.weights.run_checkpoint import read_run
from mimicbrush.model.weights.tensors import load_strictly
from mimicbrush.tensor_files import torch_save
from mimicbrush.training.checkpoints import find_resume_point
from tests.conftest import REPOSITORY, one_block_config
from tests.model.conftest import as_trained, depth_config

LAYOUT = json.loads((REPOSITORY / "tests" / "assets" / "golden" / "release_layout.json").read_text())


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
        for read in (lambda: read_run(tmp_path / "run"), lambda: find_resume_point(tmp_path / "run")):
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
        parts = build_parts(config, empty=[*RELEASED_NAMES.values(), "autoencoder"])
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

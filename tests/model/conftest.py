"""Weights that many tests read, and helpers to compare them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mimicbrush.model.config import NetworkConfig, PartConfig
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.weights.build import initialise
from mimicbrush.model.weights.exported_folder import save_pretrained
from mimicbrush.model.weights.release import save_release
from mimicbrush.model.weights.tensors import TrainedWeights
from tests.conftest import DEPTH, one_block_config


def depth_config(**changes) -> NetworkConfig:
    """The tiny network with a depth model, whose options are the release's."""
    return one_block_config(depth=PartConfig(arguments=DEPTH), **changes)


def assert_same_weights(found: MimicBrushNetwork, expected: MimicBrushNetwork, atol: float = 0.0) -> None:
    torch.testing.assert_close(found.state_dict(), expected.state_dict(), rtol=0, atol=atol)


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def exported(tmp_path_factory) -> tuple[Path, MimicBrushNetwork]:
    """An exported folder and its network; neither may be changed."""
    network, folder = initialise(depth_config(), seed=3), tmp_path_factory.mktemp("exported") / "folder"
    save_pretrained(network, folder)
    return folder, network


def as_trained(network: MimicBrushNetwork) -> TrainedWeights:
    parts: dict[str, dict[str, Tensor]] = {name: part.state_dict() for name, part in network.named_children()}
    return TrainedWeights("exported folder", "memory", parts, {})

from __future__ import annotations

import sys
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torchmetrics.functional.image import lpips as torchmetrics_lpips

from mimicbrush.errors import UserError
from mimicbrush.evaluation.config import ModelsConfig
from mimicbrush.evaluation.metrics.lpips import SMALLEST, STACKS, Lpips, load_features
from mimicbrush.evaluation.metrics.models import Models
from tests.evaluation.metrics.edits import make_edit, score, value

BACKBONES = {"alexnet": ("lpips", "alex"), "vgg16": ("lpips_vgg", "vgg")}


def torchvision_features(name: str, path: str) -> nn.Sequential:
    """torchvision's `features`, by the definition of its models and not by our stacks, with weights of the file."""
    if name == "vgg16":
        plan = [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"]
        widths = [3, *(width for width in plan if width != "M")]
        convolutions = iter(nn.Conv2d(*pair, 3, padding=1) for pair in pairwise(widths))
        groups = ([nn.MaxPool2d(2, 2)] if item == "M" else [next(convolutions), nn.ReLU(True)] for item in plan)
        features = nn.Sequential(*(layer for group in groups for layer in group))
    else:
        features = nn.Sequential(
            *(nn.Conv2d(3, 64, kernel_size=11, stride=4, padding=2), nn.ReLU(True), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(64, 192, kernel_size=5, padding=2), nn.ReLU(True), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(192, 384, kernel_size=3, padding=1), nn.ReLU(True)),
            *(nn.Conv2d(384, 256, kernel_size=3, padding=1), nn.ReLU(True)),
            *(nn.Conv2d(256, 256, kernel_size=3, padding=1), nn.ReLU(True), nn.MaxPool2d(3, 2)),
        )
    weights = torch.load(path, weights_only=True)
    features.load_state_dict({key.removeprefix("features."): value for key, value in weights.items()})
    return features


@pytest.fixture
def reference_lpips(networks, monkeypatch):
    """torchmetrics' own code; what it asks of torchvision is answered by a stand-in with the tests' random features."""

    def model(name: str):
        return lambda weights: SimpleNamespace(features=torchvision_features(name, getattr(networks, name)))

    names = {"alexnet": "AlexNet_Weights", "vgg16": "VGG16_Weights"}
    stand_in = SimpleNamespace(
        **{name: model(name) for name in names},
        **{weights: SimpleNamespace(DEFAULT=None) for weights in names.values()},
    )
    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace(models=stand_in))
    monkeypatch.setitem(sys.modules, "torchvision.models", stand_in)
    monkeypatch.setattr(torchmetrics_lpips, "_TORCHVISION_AVAILABLE", True)

    def distance(first: np.ndarray, second: np.ndarray, net: str) -> float:
        pictures = [torch.from_numpy(picture).movedim(2, 0)[None] / 255 for picture in (first, second)]
        score = torchmetrics_lpips.learned_perceptual_image_patch_similarity(*pictures, net_type=net, normalize=True)
        return score.item()

    return distance


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("size", [(64, 64), (70, 93)])
def test_lpips_equals_torchmetrics(backbone, size, models, reference_lpips):
    rng = np.random.default_rng(0)
    mask = np.zeros((120, 130), bool)
    mask[7 : 7 + size[0], 11 : 11 + size[1]] = True
    source, edited = rng.integers(0, 256, (2, 120, 130, 3), np.uint8)
    edit = make_edit(source=source, edited=edited, mask=mask)
    metric, net = BACKBONES[backbone]
    crop = np.s_[7 : 7 + size[0], 11 : 11 + size[1]]
    expected = reference_lpips(edited[crop], source[crop], net)
    assert expected > 0.01
    assert value(edit, metric, models) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_equal_pictures_have_no_distance(backbone, models):
    edit = make_edit()
    assert value(edit._replace(edited=edit.source), BACKBONES[backbone][0], models) == 0


@pytest.mark.parametrize("backbone", BACKBONES)
def test_smallest_picture_is_the_smallest_that_the_layers_take(backbone):
    layers, side = STACKS[backbone](), SMALLEST[backbone]
    assert layers(torch.zeros(1, 3, side, side)).numel()
    with pytest.raises(RuntimeError, match="too small"):
        layers(torch.zeros(1, 3, side - 1, side))


def test_box_of_a_tiny_mask_grows_to_what_the_network_takes(models):
    mask = np.zeros((48, 60), bool)
    mask[47, 59] = True
    grown = np.zeros((48, 60), bool)
    grown[48 - 31 :, 60 - 31 :] = True
    edit = make_edit()
    assert value(edit._replace(mask=mask), "lpips", models) == value(edit._replace(mask=grown), "lpips", models)


def test_lpips_of_a_picture_that_is_too_small_is_not_computable(models):
    small = np.zeros((20, 60, 3), np.uint8)
    mask = np.zeros((20, 60), bool)
    mask[5:9, 5:9] = True
    edit = make_edit(source=small, edited=small, mask=mask)
    assert score(edit, "lpips", models) == (None, "the picture is 60x20, LPIPS needs 31 pixels")
    assert value(edit, "lpips_vgg", models) == 0


def test_classifier_in_the_file_is_left_out(networks, tmp_path):
    weights = torch.load(networks.alexnet, weights_only=True) | {"classifier.1.weight": torch.zeros(2, 2)}
    torch.save(weights, tmp_path / "whole.pth")
    assert len(load_features("alexnet", tmp_path / "whole.pth")) == 12


def test_file_of_another_network_is_refused_in_one_sentence(networks):
    models = Models(ModelsConfig(alexnet=networks.vgg16), device="cpu")
    with pytest.raises(UserError, match=r"vgg16-.*\.pth does not hold torchvision's alexnet"):
        models.load("alexnet")


def test_code_in_a_weight_file_is_not_run(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    torch.save({"features.0.weight": Harmful()}, tmp_path / "bad.pth")
    with pytest.raises(UserError, match="does not hold"):
        Lpips("alexnet", tmp_path / "bad.pth", torch.device("cpu"))
    assert not (tmp_path / "ran").exists()

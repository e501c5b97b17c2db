"""RAFT's weights are found and recognised: the authors' files, torchvision's, folders, repositories, and others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from mimicbrush.errors import UserError
from mimicbrush.flow.config import RAFT_LARGE, RAFT_SMALL
from mimicbrush.flow.raft import Raft
from mimicbrush.flow.raft_names import own_names
from mimicbrush.flow.raft_weights import load_raft, save_raft
from tests.flow.fill_rule import fill, weight
from tests.flow.test_raft import TINY, pictures, raft_of
from tests.flow.test_raft_parity import COPY

CONFIGS = {"small": RAFT_SMALL, "large": RAFT_LARGE}


def layout(size: str) -> dict:
    return json.loads((COPY / f"raft_{size}_layout.json").read_text(encoding="utf-8"))


def file_of(size: str, kind: str) -> dict[str, torch.Tensor]:
    """A file's tensors under all names that the authors' or torchvision's files have."""
    filled = Raft(CONFIGS[size])
    fill(filled, "files")
    own, names = filled.state_dict(), layout(size)
    if kind == "torchvision":
        return {other: own[name] for name, other in names["princeton_to_torchvision"].items() if other}
    aliases = {second: first for first, second in (names["princeton"].get("aliases") or {}).items()}
    return {f"module.{name}": own[aliases.get(name, name)] for name in names["princeton"]["tensors"]}


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("raft") / "raft-small.pth"
    torch.save(file_of("small", "authors"), path)
    return path


@pytest.mark.parametrize("size", ["small", "large"])
def test_names_are_mapped_as_in_the_layouts(size):
    names, own = layout(size), set(Raft(CONFIGS[size]).state_dict())
    assert set(own_names({f"module.{name}" for name in names["princeton"]["tensors"]}).values()) == own
    expected = {other: name for name, other in names["princeton_to_torchvision"].items() if other}
    assert own_names(names["torchvision"]["tensors"]) == expected
    assert own_names(own) == {name: name for name in own}


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("kind", ["authors", "torchvision"])
def test_files_of_the_authors_and_of_torchvision_are_recognised(size, kind, tmp_path):
    path = tmp_path / "raft.pth"
    torch.save(file_of(size, kind), path)
    raft = load_raft(str(path))
    assert raft.config == CONFIGS[size]
    assert not raft.training
    assert not any(each.requires_grad for each in raft.parameters())
    for name, tensor in raft.state_dict().items():
        assert torch.equal(tensor, weight(name, tuple(tensor.shape), "files")), name


def test_batch_statistics_are_chosen_when_loading(small):
    assert load_raft(str(small), batch_statistics=True, num_iterations=5).training


def test_a_written_folder_is_read_back_with_its_sizes(tmp_path):
    raft, pair = raft_of(), (pictures(1, 3, 40, 40), pictures(1, 3, 40, 40, seed=1))
    save_raft(raft, tmp_path)
    again = load_raft(str(tmp_path), num_iterations=2)
    assert again.config == TINY
    assert torch.equal(again(*pair), raft(*pair))
    save_raft(raft, tmp_path, dtype=torch.float16)
    assert (load_raft(str(tmp_path), num_iterations=2)(*pair) - raft(*pair)).abs().max() < 0.1


def test_one_file_in_a_folder_is_taken_and_one_of_several_must_be_named(small, tmp_path):
    content = small.read_bytes()
    (tmp_path / "raft-small.pth").write_bytes(content)
    assert load_raft(str(tmp_path)).config == RAFT_SMALL
    (tmp_path / "raft-other.pth").write_bytes(content)
    with pytest.raises(UserError, match=r"holds raft-other.pth, raft-small.pth, expected one file of RAFT's weights"):
        load_raft(str(tmp_path))
    assert load_raft(str(tmp_path), weight_name="raft-small.pth").config == RAFT_SMALL
    with pytest.raises(UserError, match=r"expected raft-things.pth"):
        load_raft(str(tmp_path), weight_name="raft-things.pth")


def test_a_repository_of_the_hub_is_read_from_its_copy(small, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    storage = tmp_path / "models--owner--raft"
    (storage / "refs").mkdir(parents=True)
    (storage / "refs" / "main").write_text("commit")
    (storage / "snapshots" / "commit").mkdir(parents=True)
    (storage / "snapshots" / "commit" / "raft-small.pth").write_bytes(small.read_bytes())
    assert load_raft("owner/raft").config == RAFT_SMALL


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["module.fnet.conv1.weight", "module.att.to_qk.weight"], "weights of GMA"),
        (["module.context_zqr_convs.0.weight"], "weights of RAFT-Stereo"),
        (["backbone.conv1.weight", "feature_flow_attn.q_proj.weight"], "weights of GMFlow or UniMatch"),
        (["conv_in.weight"], r"another network, 1 tensors \(conv_in.weight\)"),
    ],
)
def test_files_of_other_networks_are_named_in_one_sentence(names, found, tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({name: torch.zeros(2) for name in names}, path)
    with pytest.raises(UserError, match=f"other.safetensors: holds {found}, expected RAFT large or small") as refused:
        load_raft(str(path))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("module.cnet.conv1.bias"), "lacks cnet.conv1.bias"),
        (lambda tensors: tensors.update({"module.extra": torch.zeros(1)}), "has the unknown extra"),
        (
            lambda tensors: tensors.update({"module.cnet.conv1.bias": torch.zeros(7)}),
            r"has cnet.conv1.bias as \(7,\), expected \(32,\)",
        ),
        (lambda tensors: tensors["module.fnet.conv1.bias"].fill_(torch.nan), "has weights that are NaN or infinite"),
    ],
)
def test_changed_files_are_refused(change, message, tmp_path):
    tensors = file_of("small", "authors")
    change(tensors)
    torch.save(tensors, tmp_path / "raft.pth")
    with pytest.raises(UserError, match=message):
        load_raft(str(tmp_path / "raft.pth"))


def test_what_is_no_weights_is_refused(tmp_path):
    for name, content in (("numbers.pth", [1, 2]), ("empty.pth", {})):
        torch.save(content, tmp_path / name)
        with pytest.raises(UserError, match=f"{name}: holds no tensors by name"):
            load_raft(str(tmp_path / name))
    (tmp_path / "text.pth").write_text("text")
    with pytest.raises(UserError, match="not a readable checkpoint"):
        load_raft(str(tmp_path / "text.pth"))
    (tmp_path / "text.safetensors").write_text("text")
    with pytest.raises(UserError, match="damaged"):
        load_raft(str(tmp_path / "text.safetensors"))
    with pytest.raises(UserError, match="no such file"):
        load_raft(str(tmp_path / "absent.pth"))


def test_a_folder_of_another_network_is_named(tmp_path):
    save_raft(raft_of(), tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(UserError, match="describes clip, expected Raft"):
        load_raft(str(tmp_path))
    (tmp_path / "config.json").write_text('{"_class_name": "Raft", "radius": "far"}')
    with pytest.raises(UserError, match="radius"):
        load_raft(str(tmp_path))

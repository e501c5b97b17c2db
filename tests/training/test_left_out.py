"""Frozen weights that a checkpoint leaves out must be unchanged."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mimicbrush.errors import UserError
from mimicbrush.files import whole
from mimicbrush.model.config import PartConfig
from mimicbrush.model.weights.build import initialise, load_network
from mimicbrush.model.weights.digests import changed_tensors, tensor_digest
from mimicbrush.model.weights.release import save_release
from mimicbrush.model.weights.run_checkpoint import read_checkpoint
from mimicbrush.model.weights.trained_weights import read_weights
from mimicbrush.training.run_setup import check_checkpoint, make_module
from tests.conftest import DEPTH, one_block_config
from tests.training.test_trainable import adapter_config
from tests.training.test_training import config, fit

CHANGED = r"those fetched now are not those it was trained with: \d+ tensors have changed \({part} from .*{source}"


def test_a_base_run_that_was_trained_on_is_refused(shards, trained, tmp_path, monkeypatch):
    base = trained
    shutil.copy(base / "checkpoints" / "last.ckpt", tmp_path / "kept.ckpt")
    settings = adapter_config(shards, tmp_path / "adapters", one_block_config(weights=str(base)))
    fit(settings, tmp_path, monkeypatch)
    before = load_network(tmp_path / "adapters").state_dict()
    fit(config(shards, base), tmp_path, monkeypatch, "--run.max_steps", "3")

    message = CHANGED.format(part="imitative_unet", source="run")
    with pytest.raises(UserError, match=message):
        load_network(tmp_path / "adapters")
    with pytest.raises(UserError, match=message):
        read_weights(str(tmp_path / "adapters"))
    with pytest.raises(UserError, match=message):
        fit(settings, tmp_path, monkeypatch, "--run.max_steps", "3")

    shutil.copy(tmp_path / "kept.ckpt", base / "checkpoints" / "last.ckpt")
    torch.testing.assert_close(load_network(tmp_path / "adapters").state_dict(), before, rtol=0, atol=0)
    check_checkpoint(make_module(settings), tmp_path / "adapters" / "checkpoints" / "last.ckpt", settings.network)


@pytest.mark.parametrize("lora", [0, 2])
def test_another_frozen_part_is_refused_whatever_precision_it_was_kept_in(shards, tmp_path, monkeypatch, lora):
    """Store a part in half precision, and read it in three precisions."""
    network = one_block_config(autoencoder=saved_part(tmp_path, 7))
    half = config(shards, tmp_path / "run", network=network, precision="bf16-mixed", frozen_precision="bfloat16")
    half = replace(half, recipe=replace(half.recipe, imitative_lora=lora))
    fit(half, tmp_path, monkeypatch)
    recorded = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")["left_out"]
    assert {name.split(".")[0] for name in recorded} == {"autoencoder"}
    assert all(digest.startswith("bfloat16:") for digest in recorded.values())
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        load_network(tmp_path / "run", dtype=dtype)
    fit(half, tmp_path, monkeypatch, "--run.max_steps", "3")

    shutil.rmtree(tmp_path / "part")
    saved_part(tmp_path, 8)
    message = CHANGED.format(part="autoencoder", source="part")
    for dtype in (torch.float32, torch.float16):
        with pytest.raises(UserError, match=message):
            load_network(tmp_path / "run", dtype=dtype)
    with pytest.raises(UserError, match=message):
        fit(half, tmp_path, monkeypatch, "--run.max_steps", "4")


def saved_part(folder: Path, seed: int) -> PartConfig:
    initialise(one_block_config(), seed=seed).autoencoder.save_pretrained(folder / "part")
    return PartConfig(pretrained=str(folder / "part"))


def test_an_old_checkpoint_without_digests_loads(shards, tmp_path, monkeypatch):
    depth = PartConfig(arguments=DEPTH)
    save_release(initialise(one_block_config(depth=depth), seed=5), tmp_path / "start.bin")
    settings = adapter_config(
        shards, tmp_path / "run", one_block_config(depth=depth, weights=str(tmp_path / "start.bin"))
    )
    fit(settings, tmp_path, monkeypatch)
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    checkpoint = read_checkpoint(path)
    del checkpoint["left_out"]
    with whole(path) as partial:  # its tensors are mapped from the file
        torch.save(checkpoint, partial)
    load_network(tmp_path / "run")
    fit(settings, tmp_path, monkeypatch, "--run.max_steps", "3")
    assert read_checkpoint(path)["left_out"]


def test_a_digest_is_that_of_the_shape_and_the_values():
    tensor = torch.arange(24, dtype=torch.float32).reshape(1, 2, 3, 4)
    expected = hashlib.sha256(b"(1, 2, 3, 4)" + tensor.numpy().tobytes()).hexdigest()
    assert tensor_digest(tensor) == f"float32:{expected}"
    assert tensor_digest(tensor.to(memory_format=torch.channels_last)) == f"float32:{expected}"
    assert tensor_digest(tensor.reshape(2, 12)) != tensor_digest(tensor)
    assert tensor_digest(tensor, "float16") == tensor_digest(tensor.half())


def test_changed_tensors_are_named_and_other_half_precisions_are_not_compared():
    tensor = torch.full((2,), 1 + 2**-9)
    digests = {"a": tensor_digest(tensor, "bfloat16"), "b": tensor_digest(tensor), "gone": "float32:0"}
    assert changed_tensors(digests, {"a": tensor, "b": tensor}) == []
    assert changed_tensors(digests, {"a": tensor + 1, "b": tensor}) == ["a"]
    assert changed_tensors(digests, {"a": tensor, "b": tensor + 2**-20}) == ["b"]
    assert changed_tensors(digests, {"a": tensor.half(), "b": tensor.bfloat16()}) == []

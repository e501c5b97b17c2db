from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from transformers import ViTModel

from mimicbrush.config import config_from_dict
from mimicbrush.errors import UserError
from mimicbrush.evaluation.config import ModelsConfig
from mimicbrush.evaluation.metrics.models import NETWORKS, Models

FETCH = "python -m mimicbrush.evaluation.fetch --models"


def reason(name: str, source: str) -> str:
    return Models(ModelsConfig(**{name: str(source)}), device="cpu").missing([name])[name]


@pytest.fixture
def dino(networks, tmp_path) -> Path:
    """A copy that may be spoilt."""
    return Path(shutil.copytree(networks.dino, tmp_path / "dino"))


def test_every_field_of_the_config_is_a_network():
    assert [field.name for field in fields(ModelsConfig)] == list(NETWORKS)


def test_config_is_read_from_yaml():
    assert config_from_dict(ModelsConfig, {"dino": "some/folder"}).dino == "some/folder"


def test_nothing_is_missing_where_all_lies_on_disk(models):
    assert models.missing(NETWORKS) == {}


def test_unfetched_networks_are_named_with_the_command(no_caches):
    found = Models(device="cpu").missing(NETWORKS)
    assert found["dino"] == f"facebook/dino-vits16 is not on this machine; fetch it by: {FETCH} '[dino]'"
    assert found["vgg16"] == f"vgg16-397923af.pth is not on this machine; fetch it by: {FETCH} '[vgg16]'"
    assert set(found) == set(NETWORKS) - {"judge", "world_clip", "flow"}  # they come with the package


def test_command_repeats_a_source_that_is_not_the_default(no_caches):
    assert reason("dino", "facebook/dino-vitb16").endswith(f"{FETCH} '[dino]' --sources.dino facebook/dino-vitb16")


def test_path_that_is_not_there_is_the_users_to_mend(tmp_path):
    found = reason("dino", tmp_path / "none")
    assert found == (
        f"{tmp_path}/none: no folder with a config.json; correct models.dino, or leave it out to use the default,"
        f" fetched by: {FETCH} '[dino]'"
    )
    assert reason("alexnet", tmp_path / "none.pth").startswith(
        f"{tmp_path}/none.pth: no such file; correct models.alexnet"
    )


@pytest.mark.parametrize(
    ("name", "lost"),
    [("dino", "model.safetensors"), ("dino", "preprocessor_config.json"), ("clip", "tokenizer.json")],
)
def test_incomplete_folder_names_what_it_lacks(name, lost, networks, tmp_path):
    folder = Path(shutil.copytree(getattr(networks, name), tmp_path / name))
    (folder / lost).unlink()
    assert reason(name, folder).startswith(f"{folder} lacks {lost}; ")


def test_cut_weights_are_found_before_they_are_loaded(dino):
    weights = dino / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert reason("dino", dino).startswith(f"{weights} is damaged")


def test_folder_of_another_network_is_refused(networks):
    assert "expected a network of type vit, found dinov2" in reason("dino", networks.dinov2)


def test_hash_in_the_name_is_checked(networks, tmp_path):
    path = Path(shutil.copy(networks.alexnet, tmp_path / "alexnet-owt-7be5be79.pth"))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    assert f"{path} is damaged: its SHA-256 begins with {digest}, not 7be5be79" in reason("alexnet", path)
    plain = path.rename(tmp_path / "alexnet.pth")
    assert Models(ModelsConfig(alexnet=str(plain))).missing(["alexnet"]) == {}


def test_url_is_looked_for_where_torch_hub_keeps_it(networks, no_caches):
    name = Path(networks.alexnet).name
    models = Models(ModelsConfig(alexnet=f"https://example.org/{name}"), device="cpu")
    assert "alexnet" in models.missing(["alexnet"])
    kept = Path(torch.hub.get_dir()) / "checkpoints"
    kept.mkdir(parents=True)
    shutil.copy(networks.alexnet, kept)
    assert models.missing(["alexnet"]) == {} and models.find("alexnet") == kept / name


def test_hub_repository_is_looked_for_in_the_hubs_cache(networks, no_caches, tmp_path):
    repository = tmp_path / "hub" / "models--someone--dino"
    shutil.copytree(networks.dino, repository / "snapshots" / "abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    models = Models(ModelsConfig(dino="someone/dino"), device="cpu")
    assert models.missing(["dino"]) == {}
    assert models.variant("dino").startswith("DINO ViT of width 32/16 (someone/dino, ")


def test_variant_names_architecture_source_and_checksum(models, networks):
    digest = hashlib.sha256((Path(networks.clip) / "model.safetensors").read_bytes()).hexdigest()[:8]
    assert models.variant("clip") == f"CLIP ViT of width 32/32 ({networks.clip}, {digest})"
    assert models.variant("alexnet").startswith(f"AlexNet ({networks.alexnet}, {networks.alexnet[-12:-4]}; heads of")


def test_variant_of_a_size_with_a_name(dino):
    config = json.loads((dino / "config.json").read_text())
    (dino / "config.json").write_text(json.dumps(config | {"hidden_size": 384}))
    assert Models(ModelsConfig(dino=str(dino))).variant("dino").startswith("DINO ViT-S/16 (")


def test_networks_are_loaded_once_in_float32_for_evaluation(models):
    encoder = models.load("dino")
    assert models.load("dino") is encoder
    assert not encoder.network.training
    parameters = list(encoder.network.parameters())
    assert all(parameter.dtype == torch.float32 and not parameter.requires_grad for parameter in parameters)


def test_weights_in_half_precision_are_computed_in_float32(dino):

    ViTModel.from_pretrained(dino, add_pooling_layer=False).half().save_pretrained(dino)
    encoder = Models(ModelsConfig(dino=str(dino)), device="cpu").load("dino")
    assert next(encoder.network.parameters()).dtype == torch.float32


def test_code_in_a_weight_file_is_not_run(dino, tmp_path):
    class Harmful:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    (dino / "model.safetensors").unlink()
    for write in (torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))):
        write({"embeddings.cls_token": Harmful()}, dino / "pytorch_model.bin")
        with pytest.raises(UserError, match=r"pytorch_model\.bin: .* more than tensors, which is never loaded"):
            Models(ModelsConfig(dino=str(dino)), device="cpu").load("dino")
    assert not (tmp_path / "ran").exists()


def test_weights_that_lack_tensors_are_refused(dino):
    from safetensors.torch import load_file, save_file

    weights = load_file(dino / "model.safetensors")
    del weights["layernorm.weight"]
    save_file(weights, dino / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"^ViTModel: .* lacks 1 tensors, first layernorm\.weight; fetch it again"):
        Models(ModelsConfig(dino=str(dino)), device="cpu").load("dino")


def test_absent_network_is_a_users_error(no_caches):
    with pytest.raises(UserError, match="facebook/dino-vits16 is not on this machine; fetch it by"):
        Models(device="cpu").load("dino")


@pytest.mark.parametrize("kind", ["variant", "pickle", "shards"])
def test_weights_are_read_in_every_format(networks, tmp_path, kind):
    folder = Path(shutil.copytree(networks.dino, tmp_path / "dino"))
    network = ViTModel.from_pretrained(folder, add_pooling_layer=False)
    (folder / "model.safetensors").unlink()
    if kind == "variant":
        network.half().save_pretrained(folder, variant="fp16")
    elif kind == "pickle":
        torch.save(network.state_dict(), folder / "pytorch_model.bin")
    else:
        network.save_pretrained(folder, max_shard_size="20KB")
        assert len(list(folder.glob("*.safetensors"))) > 1
    models = Models(ModelsConfig(dino=str(folder)), device="cpu")
    assert not models.missing(["dino"])
    assert models.load("dino").network.dtype == torch.float32
    assert "tensors" not in models.variant("dino")

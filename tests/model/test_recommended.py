"""Recommended settings are stored with weights in every layout."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from mimicbrush.command import call_command
from mimicbrush.config import dump_config
from mimicbrush.errors import UserError
from mimicbrush.model.config import PartConfig, RecommendedSettings
from mimicbrush.model.weights.__main__ import COMMANDS
from mimicbrush.model.weights.build import initialise, load_network
from mimicbrush.model.weights.exported_folder import save_pretrained
from mimicbrush.model.weights.lora_export import needed_settings
from mimicbrush.model.weights.recommended import read_recommended
from mimicbrush.run_folder import claim
from mimicbrush.tensor_files import torch_save
from mimicbrush.training.resume_settings import CHANGEABLE, describe_other_run
from tests.conftest import DEPTH, one_block_config
from tests.training.test_training import config

RECOMMENDED = RecommendedSettings(num_inference_steps=7, guidance_scale=3.5)
OTHER = RecommendedSettings(num_inference_steps=4, guidance_scale=1.0)
DEFAULT = RecommendedSettings(num_inference_steps=50, guidance_scale=5.0)


def exported(folder: Path) -> Path:
    save_pretrained(initialise(one_block_config(recommended=RECOMMENDED)).eval(), folder / "exported")
    return folder / "exported"


def run(folder: Path) -> Path:
    """Write a network's checkpoint and config as train.py does."""
    network = one_block_config(recommended=RECOMMENDED)
    tensors = {f"network.{name}": value for name, value in initialise(network).state_dict().items()}
    (folder / "run" / "checkpoints").mkdir(parents=True)
    torch_save({"state_dict": tensors, "global_step": 1}, folder / "run" / "checkpoints" / "last.ckpt")
    document = {"seed": 0, "network": yaml.safe_load(dump_config(network))}
    (folder / "run" / "config.yaml").write_text(yaml.safe_dump(document))
    return folder / "run"


def forget(weights: Path) -> None:
    """Remove the recommended settings, which older weights do not have."""
    if (weights / "config.yaml").is_file():
        document = yaml.safe_load((weights / "config.yaml").read_text())
        del document["network"]["recommended"]
        (weights / "config.yaml").write_text(yaml.safe_dump(document))
    else:
        index = json.loads((weights / "model_index.json").read_text())
        del index["recommended"]
        (weights / "model_index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("make", [exported, run])
def test_they_are_read_from_a_folder_and_a_run_and_older_ones_recommend_the_releases(make, tmp_path):
    weights = make(tmp_path)
    assert read_recommended(str(weights)) == load_network(weights).options.recommended == RECOMMENDED
    forget(weights)
    assert read_recommended(str(weights)) == load_network(weights).options.recommended == DEFAULT


def test_they_are_read_without_tensors(tmp_path):
    weights = exported(tmp_path)
    for path in weights.rglob("*.safetensors"):
        path.unlink()
    assert read_recommended(str(weights)) == RECOMMENDED


def test_the_shipped_weights_recommend_what_they_do_best_with():
    assert read_recommended("asset:tiny") == RecommendedSettings(
        num_inference_steps=8, guidance_scale=3.0, scheduler="DPMSolverMultistepScheduler", timestep_spacing="trailing"
    )


@pytest.fixture
def without_presets(monkeypatch):
    """Skip the search for presets, which takes seconds."""
    monkeypatch.setattr("mimicbrush.model.weights.commands.fitting_presets", lambda *_: [])


@pytest.mark.usefixtures("without_presets")
def test_convert_carries_them_and_inspect_shows_them(tmp_path, capsys):
    weights, converted = run(tmp_path), tmp_path / "converted"
    command("convert", "--weights", weights, "--output", converted)
    command("convert", "--weights", weights / "checkpoints" / "last.ckpt", "--output", tmp_path / "named")
    assert read_recommended(str(converted)) == read_recommended(str(tmp_path / "named")) == RECOMMENDED
    for each in (weights, converted):
        command("inspect", "--weights", each)
        assert shown_by_inspect(capsys.readouterr().out) == asdict(RECOMMENDED)


@pytest.mark.usefixtures("without_presets")
def test_a_released_file_recommends_the_releases_and_convert_says_what_it_cannot_hold(tmp_path, capsys):
    network = one_block_config(depth=PartConfig(arguments=DEPTH), recommended=RECOMMENDED)
    save_pretrained(initialise(network).eval(), tmp_path / "weights")
    command("convert", "--weights", tmp_path / "weights", "--output", tmp_path / "released.bin")
    assert "cannot hold what these weights recommend for edits: {'num_inference_steps': 7" in capsys.readouterr().out
    assert read_recommended(str(tmp_path / "released.bin")) == DEFAULT
    command("inspect", "--weights", tmp_path / "released.bin")
    assert shown_by_inspect(capsys.readouterr().out) == asdict(DEFAULT)


@pytest.mark.parametrize("make", [exported, run])
def test_wrong_ones_are_named_with_their_file(make, tmp_path):
    weights = make(tmp_path)
    for path in (weights / "model_index.json", weights / "config.yaml"):
        if path.is_file():
            path.write_text(path.read_text().replace("3.5", "-3.5"))
    for read in (read_recommended, load_network):
        with pytest.raises(UserError, match=r"guidance_scale is -3\.5, expected 0 to 100") as raised:
            read(str(weights))
        printed = str(raised.value)
        assert printed.startswith(str(weights)) and printed.count(str(weights)) == 1


@pytest.mark.parametrize("wrong", ["null", "[4]", "4"])
def test_what_is_no_settings_is_named_with_its_file(tmp_path, wrong):
    index = exported(tmp_path) / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"recommended": json.loads(wrong)}))
    with pytest.raises(UserError, match=r"model_index\.json: recommended is .*, expected settings by name"):
        read_recommended(str(index.parent))


def test_training_from_weights_that_recommend_other_ones_warns_of_nothing(tmp_path, recwarn):
    network = initialise(one_block_config(weights=str(exported(tmp_path))))
    assert network.options.recommended == DEFAULT and not recwarn


def test_a_lora_file_holds_settings_only_where_its_run_names_others_than_its_base(tmp_path):
    base = str(exported(tmp_path))
    for named, expected in ((RECOMMENDED, None), (DEFAULT, None), (OTHER, OTHER)):
        assert needed_settings(one_block_config(weights=base, recommended=named)) == expected


@pytest.mark.parametrize(("changes", "differs"), [({"recommended": RECOMMENDED}, False), ({"size": 16}, True)])
def test_a_run_may_change_them_when_it_resumes(tmp_path, changes, differs):
    shards = dict.fromkeys(("videos", "stills", "heldout"), tmp_path)
    claim(tmp_path / "run", config(shards, tmp_path / "run"), free=CHANGEABLE)
    resumed = config(shards, tmp_path / "run", network=one_block_config(**changes))
    assert (describe_other_run(resumed) is not None) == differs


def shown_by_inspect(printed: str) -> dict:
    (line,) = (line for line in printed.splitlines() if line.startswith("recommended: "))
    return yaml.safe_load(line)["recommended"]


def command(*arguments: object) -> None:
    call_command(COMMANDS, list(map(str, arguments)))

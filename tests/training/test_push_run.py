"""A run's weights on the hub: what is uploaded loads again, and its card tells what the run recorded."""

from __future__ import annotations

import json

import pytest
import torch
from huggingface_hub import ModelCard

from mimicbrush.errors import UserError
from mimicbrush.model.weights.build import load_network
from mimicbrush.model.weights.commands import push
from mimicbrush.model.weights.config import PushConfig
from mimicbrush.model.weights.find import INDEX_NAME, OPTIONS_NAME
from mimicbrush.model.weights.model_card import model_card
from mimicbrush.model.weights.preconditions import check_push
from tests.hub_stand_in import running_hub

MEANS = [
    {"set": "inner", "editor": "ours", "metric": "ssim", "mean": 0.5, "low": 0.4, "high": 0.6, "count": 8, "groups": 4},
    {"set": "inner", "editor": "other", "metric": "ssim", "mean": 0.9, "low": 0.8, "high": 1, "count": 8, "groups": 4},
]


def test_a_run_arrives_whole_with_a_card_of_recipe_data_metrics_and_limits(trained, tmp_path, monkeypatch):
    metrics = {"ssim": {"title": "SSIM", "unit": "", "better": "higher"}}
    results = {
        "means": MEANS,
        "metrics": metrics,
        "date": "2026-11-29",
        "config": {"editors": {"ours": {}, "other": {}}},
    }
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "results.json").write_text(json.dumps(results))
    config = PushConfig(
        weights=str(trained), repo_id="me/mine", licence="apache-2.0", evaluation=tmp_path / "evaluation"
    )
    check_push(config)
    with running_hub(monkeypatch) as hub:
        push(config)
    files = hub.files["me/mine"]
    card = ModelCard(files["README.md"].decode())
    assert card.data.license == "apache-2.0" and card.data.pipeline_tag == "image-to-image"
    assert "Trained for 2 of 2 planned steps." in card.text and "| peak learning rate | 0.001 |" in card.text
    assert "| videos | 0.7 |" in card.text
    assert "| inner | SSIM ↑ | 0.500 [0.400, 0.600] | 8 | 4 |" in card.text and "0.900" not in card.text
    assert "4 independent groups, fewer than the 6 that a comparison needs" in card.text
    assert str(tmp_path) not in card.text

    for name, content in files.items():
        path = tmp_path / "copy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    ours, theirs = (load_network(folder).state_dict() for folder in (trained, tmp_path / "copy"))
    assert all(torch.equal(theirs[name], tensor) for name, tensor in ours.items())


def test_missing_weights_and_results_are_named_together(tmp_path):
    config = PushConfig(weights=str(tmp_path / "run"), repo_id="mine", licence="other", evaluation=tmp_path)
    with pytest.raises(UserError) as caught:
        check_push(config)
    assert len(caught.value.faults) == 3


def test_the_card_of_a_checkpoint_reads_its_run_and_claims_no_steps(tmp_path):
    checkpoint = tmp_path / "run" / "checkpoints" / "best.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    checkpoint.with_name("last.ckpt").touch()
    (tmp_path / "run" / "metrics.csv").write_text("step\n7\n")
    sections = {"run": {"max_steps": 9}, "network": {}, "data": {"sources": []}, "recipe": {"learning_rate": 0.5}}
    (tmp_path / "run" / "config.yaml").write_text(json.dumps(sections))
    for name in (INDEX_NAME, OPTIONS_NAME):
        (tmp_path / name).write_text("{}")
    fields = {"repo_id": "me/mine", "evaluation": None, "licence": "other"}
    of_run, of_checkpoint = (model_card(tmp_path, weights=path, **fields) for path in (tmp_path / "run", checkpoint))
    assert "Trained for 7 of 9 planned steps." in of_run and "Trained for" not in of_checkpoint
    assert "those of the run's checkpoint best.ckpt." in of_checkpoint
    assert "| peak learning rate | 0.5 |" in of_checkpoint

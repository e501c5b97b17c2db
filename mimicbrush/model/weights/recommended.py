"""Settings that trained weights recommend for edits, read without their tensors and without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import yaml
from safetensors import SafetensorError, safe_open

from mimicbrush.config import config_from_dict
from mimicbrush.errors import UserError
from mimicbrush.files import read_object
from mimicbrush.model.config import RecommendedSettings
from mimicbrush.model.weights.find import INDEX_NAME, LORA_KEY, find_weights, is_exported, is_run, run_of
from mimicbrush.yaml_reading import parse_yaml

RECOMMENDED = "recommended"
"""Name of these settings in an exported folder's index, and among a network's options."""


def read_recommended(weights: str, lora: Path | None = None) -> RecommendedSettings:
    """Read the settings that trained weights of any kind recommend; raises UserError where there are no weights.

    lora: a LoRA file, which may replace them.
    """
    if lora is not None and (replaced := read_lora_recommendation(lora)) is not None:
        return replaced
    path = find_weights(weights)
    if is_exported(path):
        return read_folder_recommendation(path)
    if is_run(path):
        return recommendation_in(read_run_document(path)["network"], path)
    return RecommendedSettings()  # the released layout cannot store others


def read_folder_recommendation(folder: Path) -> RecommendedSettings:
    """Read the settings that an exported folder recommends; raises UserError where its index is damaged."""
    return recommendation_in(read_object(folder / INDEX_NAME), folder / INDEX_NAME)


def read_lora_recommendation(path: Path) -> RecommendedSettings | None:
    """Read the settings that a LoRA file recommends; None where it keeps those of its base, or is no such file."""
    try:
        with safe_open(path, "np") as file:
            described = json.loads((file.metadata() or {})[LORA_KEY])
    except (SafetensorError, OSError, KeyError, ValueError):
        return None
    is_described = isinstance(described, dict) and RECOMMENDED in described
    return recommendation_in(described, path) if is_described else None


def recommendation_in(options: Mapping, origin: Path | str) -> RecommendedSettings:
    """Take the recommended settings from a network's options; older options lack them and get the release's.

    origin: source of the options, for the UserError that wrong ones raise.
    """
    found = options.get(RECOMMENDED, {})
    if not isinstance(found, dict):
        raise UserError(f"{origin}: {RECOMMENDED} is {found}, expected settings by name; correct or remove it")
    try:
        return config_from_dict(RecommendedSettings, found)
    except UserError as error:
        raise UserError(f"{origin}: {RECOMMENDED}: {error}; correct or remove it") from None


def read_run_document(run: Path) -> dict:
    """Read seed and network from a training run's config.yaml; raises UserError where it is damaged."""
    path = run_of(run) / "config.yaml"
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"))
        return {"seed": int(document["seed"]), "network": dict(document["network"])}
    except (OSError, yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not the config of a training run ({error}); copy the run's folder whole") from None

"""The settings of an edit, stored in its PNG or clip so that the edit can be repeated."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import MISSING, asdict, fields
from pathlib import Path

from torch import Tensor

from mimicbrush.edit.clip_config import CONTAINERS
from mimicbrush.edit.config import EditConfig
from mimicbrush.edit.inputs import changed_pictures
from mimicbrush.edit.loaded_inputs import Inputs
from mimicbrush.errors import UserError
from mimicbrush.model.config import RecommendedSettings
from mimicbrush.pictures.headers import read_header
from mimicbrush.pictures.writing import write_png
from mimicbrush.video.whole_clip import read_record

KEY = "mimicbrush"
"""Name of the record among the PNG's texts."""
KIND = "kind"
"""Name, beside the settings, of the subcommand that made the edit."""
FIRST_KIND = "reference"
"""Kind of the records of 0.1.0, which name none."""
FINGERPRINTS = "sha256"
"""Name, beside the settings, of the digests of the pictures."""
NOT_SETTINGS = ("batch", "replay", "output", "force")
"""Options of the command that are not settings of the edit."""
MACHINE = ("device", "precision", "offload", "vae_tiling")
"""Settings of the computation, which hardly change the result."""


def save_with_settings(edited: Tensor, config: EditConfig, inputs: Inputs, *, portable: bool = False) -> None:
    """Write (3 or 4, H, W) in [0, 1] as a PNG of the source's depth and colour profile, with `config` in its text.

    Paths are made absolute, and so are weights on disk; portable: they are names alone, to be replayed in the folder
    that holds the pictures, with the weights or the arguments of the editor given anew.
    """
    texts = {KEY: settings_record(config, inputs, portable=portable)}
    write_png(edited, config.output, texts=texts, icc_profile=inputs.icc_profile, is_deep=inputs.is_deep)


def settings_record(config: EditConfig, inputs: Inputs, *, portable: bool = False) -> str:
    """The text that a result stores; portable: as in `save_with_settings`."""
    return json.dumps({**_settings(config, portable), FINGERPRINTS: inputs.fingerprints})


def read_settings(path: Path) -> dict:
    """Read the settings in a PNG or a clip, with KIND, and with FINGERPRINTS unless the record is too old to have them.

    Raises UserError if there are no settings.
    """
    # Only the header is read: a batch looks at every existing result.
    texts = {KEY: read_record(path)} if path.suffix.lower() in CONTAINERS else read_header(path).texts
    try:
        settings = json.loads(texts[KEY])
        fingerprints = list(settings.get(FINGERPRINTS, {}).values())
    except (KeyError, TypeError, ValueError, AttributeError):
        fingerprints = [None]
    if not all(isinstance(of_option, list) for of_option in fingerprints):
        raise UserError(f"{path}: holds no settings of an edit; expected a result of `python -m mimicbrush.edit`")
    return {KIND: FIRST_KIND} | settings


def find_other_settings(config: EditConfig, recommended: RecommendedSettings | None) -> str | None:
    """Describe the first setting in which the finished result differs from `config`; None if there is none.

    recommended: settings recommended by the weights, for those left open in `config`; None: those are not compared.
    """
    try:
        found = read_settings(config.output)
    except UserError:
        return None
    changed = changed_pictures(config, found.pop(FINGERPRINTS, {}))
    if changed:
        return " has changed since: ".join(map(str, changed[0]))
    left_open = config.left_open if recommended is None else []
    asked = _settings(config if recommended is None else config.resolved(recommended))
    # Results from before an option existed were made with its default.
    found = {each.name: each.default for each in fields(config) if each.default is not MISSING} | found
    compared = [name for name in asked if name in found and name not in (*MACHINE, *left_open)]
    differing = (name for name in compared if asked[name] != found[name])
    name = next(differing, None)
    return name and f"{name} was {found[name]}, is {asked[name]}"


def _settings(config: EditConfig, portable: bool = False) -> dict:
    place = (lambda path: path.name) if portable else (lambda path: str(path.resolve()))
    settings = {name: _plain(value, place) for name, value in asdict(config).items() if name not in NOT_SETTINGS}
    weights = settings.get(config.weights_option)
    if weights is not None and Path(weights).exists():
        settings[config.weights_option] = place(Path(weights).resolve())
    if portable:
        settings["init_args"] = {}  # they may name folders of this machine
    return {KIND: config.kind} | settings


def _plain(value: object, place: Callable[[Path], str]) -> object:
    if isinstance(value, list):
        return [_plain(item, place) for item in value]
    return place(value) if isinstance(value, Path) else value

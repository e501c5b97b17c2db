"""An output folder belongs to one run: it contains the config, and a different config is refused."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path

import yaml

from mimicbrush.config import dump_config, to_plain
from mimicbrush.errors import UserError
from mimicbrush.files import write_text
from mimicbrush.yaml_reading import parse_yaml

CONFIG_NAME = "config.yaml"


def claim(folder: Path, config: object, *, free: tuple[str, ...] = (), name: str = CONFIG_NAME) -> None:
    """Write the resolved config into `folder`, or check that the config there is the same, so that the run resumes.

    free: fields that may change between calls of one run, such as the number of workers; nested ones are dotted.
    Raises UserError, which names the first different field, if the folder has the results of another run.
    """
    refuse_other_run(folder, config, free=free, name=name)
    write_text(dump_config(config), folder / name)


def refuse_other_run(folder: Path, config: object, *, free: tuple[str, ...] = (), name: str = CONFIG_NAME) -> None:
    """Check like `claim`, but write nothing."""
    difference = find_difference(folder, config, free=free, name=name)
    if difference:
        raise UserError(f"{folder} holds another run: {difference}; choose another output or delete the folder")


def find_difference(folder: Path, config: object, *, free: tuple[str, ...] = (), name: str = CONFIG_NAME) -> str | None:
    """Describe the first field in which the folder's run differs from `config`; None if none does, or there is no run.

    A field that was added after the run began has its default there. Raises UserError if there cannot be such a folder.
    """
    path = folder / name
    file = next((path for path in (folder, *folder.parents) if path.is_file()), None)
    if file:
        raise UserError(f"{folder}: cannot be an output folder, as {file} is a file; choose another output")
    if not path.is_file():
        return None
    return _first_difference(_with_defaults(_read(path), config), to_plain(config), free)


def _read(path: Path) -> dict:
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        document = None
    if not isinstance(document, dict):
        raise UserError(f"{path}: not the config of a run; choose another output or delete the folder")
    return document


def _with_defaults(stored: object, config: object) -> object:
    """Complete a stored document with the defaults of fields that were added after its run began.

    The default of a new field is the behaviour before there was the field; exceptions are handled by its owner.
    """
    if isinstance(config, list | tuple) and isinstance(stored, list) and len(stored) == len(config):
        return [_with_defaults(*pair) for pair in zip(stored, config, strict=True)]
    if not is_dataclass(config) or not isinstance(stored, dict):
        return stored
    completed = {name: _with_defaults(value, getattr(config, name, None)) for name, value in stored.items()}
    for each in fields(config):
        if each.name not in stored and each.default is not MISSING:
            completed[each.name] = to_plain(each.default)
        elif each.name not in stored and each.default_factory is not MISSING:
            completed[each.name] = to_plain(each.default_factory())
    return completed


def _first_difference(old: object, new: object, free: tuple[str, ...], where: str = "") -> str | None:
    """Return `field was x, is y` for the first different field."""
    if where in free or old == new:
        return None
    if isinstance(old, dict) and isinstance(new, dict):
        names = [*new, *(name for name in old if name not in new)]
        inner = (
            _first_difference(old.get(name), new.get(name), free, f"{where}.{name}" if where else name)
            for name in names
        )
        return next((difference for difference in inner if difference), None)
    return f"{where} was {old}, is {new}"

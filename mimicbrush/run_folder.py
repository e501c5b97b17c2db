"""An output folder belongs to one run: its config lies in it, and another run's is refused."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path

import yaml

from mimicbrush.config import dump_config, to_plain
from mimicbrush.errors import UserError
from mimicbrush.files import write_text

CONFIG_NAME = "config.yaml"


def claim(folder: Path, config: object, *, free: tuple[str, ...] = (), name: str = CONFIG_NAME) -> None:
    """Write the resolved config into `folder`, or check that the one there is the same, so that the run goes on.

    free: fields that may change between calls of one run (how many workers, how many steps), dotted for nested ones.
    Raises UserError naming the first field that differs, where the folder holds another run's results.
    """
    refuse_other_run(folder, config, free=free, name=name)
    write_text(dump_config(config), folder / name)


def refuse_other_run(folder: Path, config: object, *, free: tuple[str, ...] = (), name: str = CONFIG_NAME) -> None:
    """Check as `claim` does, and write nothing."""
    difference = find_difference(folder, config, free=free, name=name)
    if difference:
        raise UserError(f"{folder} holds another run: {difference}; choose another output or delete the folder")


def find_difference(folder: Path, config: object, *, free: tuple[str, ...] = (), name: str = CONFIG_NAME) -> str | None:
    """The first field in which the folder's run differs from `config`; None where there is none, or no run.

    A field that came after the run was begun counts as its default there. Writes nothing. Raises UserError where the
    folder cannot be one.
    """
    path = folder / name
    in_the_way = next((place for place in (folder, *folder.parents) if place.is_file()), None)
    if in_the_way:
        raise UserError(f"{folder}: cannot be an output folder, as {in_the_way} is a file; choose another output")
    if not path.is_file():
        return None
    return _first_difference(_with_defaults(_read(path), config), to_plain(config), free)


def _read(path: Path) -> dict:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        document = None
    if not isinstance(document, dict):
        raise UserError(f"{path}: not the config of a run; choose another output or delete the folder")
    return document


def _with_defaults(stored: object, config: object) -> object:
    """The stored document, completed by the defaults of fields that came after its run was begun.

    A later field's default is what was done before there was the field; where it is not, its owner says so itself.
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
    """`field was x, is y` for the first field that differs."""
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

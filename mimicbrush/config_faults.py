"""Explain in plain words why a command line or a YAML file does not fit a config.

The parser's own messages name Python's types. Once it has refused something, these functions look for the mistakes.
"""

from __future__ import annotations

import inspect
import json
import math
import os
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, Union, get_args, get_origin, get_type_hints

import yaml

from mimicbrush.config_layers import read_config_file
from mimicbrush.errors import UserError
from mimicbrush.yaml_reading import parse_yaml

UNIONS = (Union, types.UnionType)
LISTS = (list, tuple, Sequence)
WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    Path: "a path",
    dict: "a mapping {name: value}",
    type(None): "null",
}
PLURALS = {int: "whole numbers", float: "numbers", bool: "true or false", str: "texts", Path: "paths"}
MAX_NAME = 255
"""Bytes of the longest name that a file or folder can have."""
MAX_SHOWN = 60
"""Characters of a value that a message quotes."""


def command_line_faults(config_class: type, arguments: Sequence[str], *, given: Iterable[str] = ()) -> list[str]:
    """List each mistake on the command line and in the YAML of --config, in the order of the options.

    given: names of options whose values come from elsewhere, so that they are not missing.
    """
    given, left, faults = set(given), list(arguments), []
    while left:
        word = left.pop(0)
        name, has_value, value = word.removeprefix("--").partition("=")
        if not word.startswith("--"):
            faults.append(f"{word}: unexpected; options are given as --name value")
            continue
        kind = Path if name == "config" else _option_kind(config_class, name)
        lacks_value = not has_value and (not left or left[0].startswith("--"))
        if not has_value:
            value = "true" if lacks_value else left.pop(0)
        if kind is None:
            faults.append(
                f"--{name}: no such option{_suggestion(name, ['config', *_option_names(config_class)], '--')}"
            )
        elif lacks_value and kind is not bool:
            faults.append(f"--{name}: expected {expected(kind)}, found nothing")
            given.add(name.split(".")[0])
        elif name == "config":
            in_file, keys = _file_faults(config_class, Path(value))
            faults += in_file
            given |= keys
        else:
            faults += _encoding_faults(kind, value, f"--{name}")
            faults += value_faults(kind, parse_value(kind, value), f"--{name}")
            given.add(name.split(".")[0])
    return faults + [f"--{name} is required" for name in _required(config_class) if name not in given]


def _encoding_faults(kind: object, value: str, name: str) -> list[str]:
    """Say of a path that it is not UTF-8, which the parser does not take."""
    shown = value.encode(errors="backslashreplace").decode()
    is_path = kind is Path or Path in get_args(kind)
    return [f"{name}: {shown} is not UTF-8; rename the file or folder"] if is_path and shown != value else []


def refuse_impossible_paths(config_class: type, arguments: Sequence[str]) -> None:
    """Raise UserError if a path is an empty text, which the parser would read as the current folder, or too long."""
    faults = []
    for word, after in zip(arguments, [*arguments[1:], "--"], strict=False):
        name, has_value, value = word.removeprefix("--").partition("=")
        found = impossible_path(value if has_value else after) if word.startswith("--") else None
        kind = None if found is None else Path if name == "config" else _option_kind(config_class, name)
        if kind is Path or Path in get_args(kind):
            faults.append(f"--{name}: expected a path, found {found}")
    if faults:
        raise UserError(*faults)


def impossible_path(text: str) -> str | None:
    """Describe a text that no file has as its path; None for others, and for lists."""
    if not text:
        return "an empty text"
    longest = max(map(len, os.fsencode(text).split(b"/")))
    is_possible = longest <= MAX_NAME or text.startswith("[")
    return None if is_possible else f"a name of {longest} bytes; those of files have at most {MAX_NAME}"


def fields_faults(owner: type, values: Mapping, prefix: str = "") -> list[str]:
    """List the mistakes in a class's arguments, given as {name: value} from YAML.

    prefix: text before their names in messages, such as `data.`.
    """
    kinds, faults = _kinds(owner), []
    for name, value in values.items():
        if name in kinds:
            faults += value_faults(kinds[name], value, f"{prefix}{name}")
        elif not _takes_others(owner):
            near = _suggestion(str(name), kinds, prefix, others=f"choose from {', '.join(kinds)}")
            faults.append(f"{prefix}{name}: no such option{near}")
    return faults


def with_path(owner: type, fault: str, path: str) -> str:
    """Add the dotted path of a nested config to a fault that it found, unless the fault begins with its name."""
    parent, dot, name = path.rpartition(".")
    if fault.startswith(f"{name}."):
        return f"{parent}{dot}{fault}"
    return f"{path}.{fault}" if fault.partition(" is ")[0] in _kinds(owner) else f"{path}: {fault}"


def value_faults(kind: object, value: object, name: str) -> list[str]:
    """List the reasons why a value does not fit a type annotation; empty if it fits."""
    origin, arguments = get_origin(kind), get_args(kind)
    plain = [f"{name}: expected {expected(kind)}, found {_shown(value)}"]
    if origin is Literal:
        return [] if value in arguments else plain
    if origin in UNIONS:
        faults = [value_faults(each, value, name) for each in arguments]
        if [] in faults:
            return []
        # For a list or a mapping, the faults inside it; otherwise all types that would fit.
        inside = [found for each, found in zip(arguments, faults, strict=True) if _is_container(each, value)]
        return inside[0] if len(inside) == 1 else plain
    if origin in LISTS or kind in LISTS:
        if not isinstance(value, list | tuple):
            return plain
        if origin is tuple and ... not in arguments and len(value) != len(arguments):
            return [f"{name}: expected {len(arguments)} values, found {len(value)}"]
        inner = arguments[0] if arguments else object
        return [fault for number, item in enumerate(value) for fault in value_faults(inner, item, f"{name}[{number}]")]
    if origin is dict or kind is dict:
        if not isinstance(value, Mapping):
            return plain
        inner = arguments[1] if arguments else object
        return [fault for key, item in value.items() for fault in value_faults(inner, item, f"{name}.{key}")]
    if is_dataclass(kind):
        if not isinstance(value, Mapping):
            return plain
        missing = [f"{name}.{each} is required" for each in _required(kind) if each not in value]
        return fields_faults(kind, value, f"{name}.") + missing
    return [] if _is_scalar_of(kind, value) else plain


def parse_value(kind: object, text: str) -> object:
    """Read a value from the command line as YAML; text that is not YAML is returned unchanged."""
    if kind in (str, Path):
        return text
    try:
        return parse_yaml(text)
    except (yaml.YAMLError, ValueError):  # ValueError for a date such as 2024-13-45
        return text


def expected(kind: object) -> str:
    """Describe a type annotation: `a whole number or null`, `one of auto, cpu, cuda`."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return f"one of {', '.join('null' if value is None else str(value) for value in arguments)}"
    if origin in UNIONS:
        return " or ".join(dict.fromkeys(expected(each) for each in arguments))
    if origin in LISTS:
        return f"a list of {_plural(arguments[0])}" if arguments else "a list"
    if origin is dict or is_dataclass(kind):
        return WORDS[dict]
    return WORDS.get(kind, "a value")


def _plural(kind: object) -> str:
    """Describe the items of a list: `lists of whole numbers`; null, if allowed, is not mentioned."""
    if get_origin(kind) in UNIONS:
        return " or ".join(dict.fromkeys(_plural(each) for each in get_args(kind) if each is not type(None)))
    if get_origin(kind) in LISTS:
        return f"lists of {_plural(get_args(kind)[0])}"
    if is_dataclass(kind) or get_origin(kind) is dict:
        return "mappings {name: value}"
    return PLURALS.get(kind) or expected(kind)


def _file_faults(config_class: type, path: Path) -> tuple[list[str], set[str]]:
    """List the mistakes in a YAML file, and return them with its top-level keys."""
    values = read_config_file(path)
    if not isinstance(values, dict):
        return [f"{path}: expected lines of `name: value`, found {_shown(values)}"], set(_required(config_class))
    return [f"{path}: {fault}" for fault in fields_faults(config_class, values)], set(map(str, values))


def _option_kind(config_class: type, name: str) -> object | None:
    """Find the type of an option by its dotted name, by an unambiguous beginning, or inside a free-form field."""
    matches = [known for known in _option_names(config_class) if known.startswith(name)]
    name = name if name in matches or len(matches) != 1 else matches[0]
    kind: object = config_class
    for part in name.split("."):
        if kind is dict or kind is object:
            return object
        if get_origin(kind) is dict:
            kind = get_args(kind)[1]
            continue
        owner = _dataclass_in(kind)
        if owner is None or part not in _kinds(owner):
            return None
        kind = _kinds(owner)[part]
    return kind


def _option_names(config_class: type, prefix: str = "") -> Iterator[str]:
    for name, kind in _kinds(config_class).items():
        yield prefix + name
        owner = _dataclass_in(kind)
        if owner:
            yield from _option_names(owner, f"{prefix}{name}.")


def _dataclass_in(kind: object) -> type | None:
    """Return the dataclass in `X` or `X | None`, if there is one."""
    if is_dataclass(kind):
        return kind
    return next(filter(is_dataclass, get_args(kind)), None) if get_origin(kind) in UNIONS else None


def _kinds(owner: type) -> dict[str, object]:
    """The types of a class's arguments, by name."""
    hints = get_type_hints(owner if is_dataclass(owner) else owner.__init__)
    return {name: hints.get(name, object) for name, each in _parameters(owner).items() if each.kind != each.VAR_KEYWORD}


def _required(owner: type) -> list[str]:
    named = {
        name: each
        for name, each in _parameters(owner).items()
        if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)
    }
    return [name for name, each in named.items() if each.default is each.empty]


def _takes_others(owner: type) -> bool:
    return any(each.kind == each.VAR_KEYWORD for each in _parameters(owner).values())


def _parameters(owner: type) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(owner).parameters


def _is_scalar_of(kind: object, value: object) -> bool:
    if kind is bool:
        return isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is float:
        return _is_number(value)
    if kind is type(None):
        return value is None
    if kind in (str, Path):
        return isinstance(value, str | int | float | Path)
    return True


def _is_number(value: object) -> bool:
    """Whether a value is a number, or a text that is one although YAML reads it as text, such as 1e-4.

    YAML writes .nan and .inf; the parser does not accept the texts nan and inf as numbers either.
    """
    if not isinstance(value, str):
        return isinstance(value, int | float) and not isinstance(value, bool)
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


def _is_container(kind: object, value: object) -> bool:
    """Whether the value and the type annotation are both lists, or both mappings."""
    if isinstance(value, list | tuple):
        return get_origin(kind) in LISTS
    return isinstance(value, Mapping) and (is_dataclass(kind) or get_origin(kind) is dict)


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _suggestion(name: str, known: Iterator[str] | Sequence[str], prefix: str, *, others: str = "see --help") -> str:
    close = get_close_matches(name.replace("-", "_"), list(known), n=1)
    return f"; did you mean {prefix}{close[0]}?" if close else f"; {others}"

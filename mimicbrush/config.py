"""Typed configs from YAML and the command line: the one place that knows jsonargparse.

A config is a frozen dataclass beside its owner, one line under each field saying what it changes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import TypeVar, get_type_hints

import yaml
from jsonargparse import ArgumentError, ArgumentParser, Namespace

from mimicbrush.config_faults import command_line_faults, fields_faults, parse_value, refuse_empty_paths, with_path
from mimicbrush.config_layers import config_source
from mimicbrush.errors import UserError

T = TypeVar("T")


def parse_config(
    config_class: type[T],
    arguments: Sequence[str],
    *,
    default: Path | None = None,
    base: Mapping[str, object] | None = None,
) -> T:
    """Build a config from `--config FILE`, `--field VALUE` overrides and the fields' defaults.

    A field that is true or false may stand alone: `--field` is `--field true`. What lies in a field of free form is set
    by its path: `--editors.ours.init_args.checkpoint runs/ours`.

    config_class: a dataclass; `default`: the YAML used where the command line gives no --config; `base`: values, as in
    YAML, that hold where the command line gives none, in place of a --config.
    Raises UserError, in one line, for an unknown key, a wrong type, or a relation that `__post_init__` refuses.
    """
    parser = _parser(config_class)
    arguments = _config_first(_spell_out(list(arguments), set(_flags(config_class))))
    if default is not None and arguments[:1] != ["--config"]:
        arguments = ["--config", str(default), *arguments]
    spelled_out = arguments
    refuse_empty_paths(config_class, arguments)
    arguments, entries = _split_entries(arguments, config_class)
    before = ["", *arguments]
    arguments = [
        config_source(Path(v)) if option == "--config" else v for option, v in zip(before, arguments, strict=False)
    ]
    base = base or {}
    if base:
        arguments = ["--config", json.dumps(base), *arguments]
    try:
        parsed = parser.parse_args(arguments)
    except UserError:
        raise
    except (ArgumentError, TypeError, UnicodeDecodeError) as error:
        faults = fields_faults(config_class, base) + command_line_faults(config_class, spelled_out, given=base)
        raise UserError(*(faults or [_reason(error)])) from None
    except ValueError as error:
        raise UserError(_reason(error)) from None
    fields = _instantiate_groups(parser, parsed, config_class)
    fields.pop("config", None)
    try:
        return config_class(**_with_entries(fields, entries))
    except UserError:
        raise
    except (TypeError, ValueError) as error:
        raise UserError(_reason(error)) from None


def dump_config(config: object) -> str:
    """The resolved config as YAML text."""
    return yaml.safe_dump(to_plain(config), sort_keys=False)


def load_config(config_class: type[T], path: Path) -> T:
    """Read a YAML file into a config; raises UserError if it is missing or does not fit."""
    return parse_config(config_class, ["--config", str(path)])


def instantiate(class_path: str, init_args: dict, base: type[T]) -> T:
    """Build a class named in YAML, a subclass of `base`, which a command thus need not import.

    Raises UserError where there is no such class, or its arguments do not fit.
    """
    found = find_class(class_path, base)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(found, nested_key=None, fail_untyped=True)
    try:
        arguments = vars(parser.instantiate(parser.parse_object(deepcopy(init_args))))
    except (ArgumentError, TypeError, ValueError) as error:
        faults = fields_faults(found, init_args) or [_reason(error)]
        raise UserError(*(f"{class_path}: {fault}" for fault in faults)) from None
    return found(**arguments)


def find_class(path: str, base: type[T]) -> type[T]:
    """The class of this dotted path; raises UserError where there is none, or it is no subclass of `base`."""
    module, _, name = path.rpartition(".")
    if not module:
        raise UserError(f"{path}: expected a class by its dotted path, such as {base.__module__}.{base.__qualname__}")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"{path}: no such class ({error})") from None
    if not (isinstance(found, type) and issubclass(found, base)):
        raise UserError(f"{path} is not a subclass of {base.__module__}.{base.__qualname__}")
    return found


def config_from_dict(config_class: type[T], fields: dict) -> T:
    """Build a config from parsed YAML; raises UserError, in one line, where it does not fit."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(config_class, nested_key=None, fail_untyped=True)
    try:
        parsed = parser.parse_object(deepcopy(fields))
        return config_class(**_instantiate_groups(parser, parsed, config_class))
    except UserError:
        raise
    except (ArgumentError, TypeError, ValueError) as error:
        raise UserError(*(fields_faults(config_class, fields) or [_reason(error)])) from None


def _instantiate_groups(parser: ArgumentParser, parsed: Namespace, config_class: type) -> dict:
    """The fields of config_class by name; raises UserError with what all the nested configs refuse."""
    try:
        return vars(parser.instantiate(parsed))
    except (ArgumentError, TypeError, ValueError) as error:
        own = error.faults if isinstance(error, UserError) else [_reason(error)]
        raise UserError(*(_group_faults(config_class, parsed.as_dict()) or own)) from None


def _group_faults(config_class: type, values: Mapping[str, object], prefix: str = "") -> list[str]:
    """Refusals of the `__post_init__` of each nested config, named by its dotted path.

    values: well-typed values of config_class. A config is only asked where all those inside it fit.
    """
    found = []
    for name, kind in get_type_hints(config_class).items():
        if not (is_dataclass(kind) and isinstance(values.get(name), Mapping)):
            continue
        path = f"{prefix}{name}"
        faults = _group_faults(kind, values[name], f"{path}.")
        if not faults:
            try:
                config_from_dict(kind, to_plain(values[name]))
            except UserError as error:
                faults = [with_path(kind, fault, path) for fault in error.faults]
        found += faults
    return found


def _flags(config_class: type, prefix: str = "--") -> Iterator[str]:
    """The options of all fields that are true or false."""
    for name, kind in get_type_hints(config_class).items():
        if kind is bool:
            yield prefix + name
        elif is_dataclass(kind):
            yield from _flags(kind, f"{prefix}{name}.")


def _spell_out(arguments: list[str], flags: set[str]) -> list[str]:
    """`--flag` without a value -> `--flag=true`."""
    following = [*arguments[1:], "--"]
    return [
        f"{argument}=true" if argument in flags and after.startswith("-") else argument
        for argument, after in zip(arguments, following, strict=False)
    ]


def _split_entries(arguments: list[str], config_class: type) -> tuple[list[str], dict[str, object]]:
    """Take `--field.name.key VALUE` of fields of type dict[str, dict] out: jsonargparse would replace all of `name`."""
    free = tuple(f"--{name}." for name, kind in get_type_hints(config_class).items() if kind == dict[str, dict])
    rest, entries, remaining = [], {}, iter(arguments)
    for argument in remaining:
        option, _, value = argument.partition("=")
        if option.startswith(free) and option.count(".") > 1:
            value = value or next(remaining, "--")
            if value.startswith("--"):
                raise UserError(f"{option}: expected a value, found nothing")
            entries[option.removeprefix("--")] = parse_value(object, value)
        else:
            rest.append(argument)
    return rest, entries


def _with_entries(fields: dict, entries: Mapping[str, object]) -> dict:
    """Set dotted paths in nested dicts; a path may end in a new key, and must not begin with one."""
    for path, value in entries.items():
        field_name, name, *keys, last = path.split(".")
        if name not in fields[field_name]:
            known = f", only {', '.join(fields[field_name])}" if fields[field_name] else ""
            raise ValueError(f"{path}: {field_name} has no {name}{known}")
        inner = fields[field_name][name]
        for key in keys:
            inner = inner.setdefault(key, {})
            if not isinstance(inner, dict):
                raise ValueError(f"{path}: {key} is {inner}, expected a mapping {{name: value}}")
        inner[last] = value
    return fields


def _config_first(arguments: list[str]) -> list[str]:
    """Move `--config FILE` to the front: a file read later would silently undo the overrides before it."""
    first, rest, remaining = [], [], iter(arguments)
    for argument in remaining:
        if argument == "--config":
            first += [argument, *[value for value in [next(remaining, None)] if value is not None]]
        elif argument.startswith("--config="):
            first += argument.split("=", 1)
        else:
            rest.append(argument)
    return first + rest


def to_plain(value: object) -> object:
    """Convert to plain YAML values recursively: dataclasses to dicts, tuples to lists, paths to strings."""
    if is_dataclass(value):
        value = asdict(value)
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _parser(config_class: type) -> ArgumentParser:
    parser = ArgumentParser(exit_on_error=False, add_help=False)
    parser.add_argument("--config", action="config")
    parser.add_class_arguments(config_class, nested_key=None, fail_untyped=True)
    return parser


def _reason(error: Exception) -> str:
    """The last, most specific line of a parser's message, without the names of Python's types."""
    # Of a config that may be null, only the refusal by its own `__post_init__` tells anything.
    own = re.search(r"\nErrors:\n +- (?!Expected a )(.*)", str(error))
    if own:
        return own[1]
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip(" -^~")]
    said = " ".join(lines) if lines else type(error).__name__
    return re.sub(r"Parser key \"(.*?)\": (Problem with given class_path '.*?': )?", r"\1: ", said)

"""Typed configs from YAML and the command line: the only module that imports jsonargparse.

A config is a frozen dataclass in the `config.py` of its folder, with one line under each field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, is_dataclass
from functools import cache
from importlib import import_module
from inspect import isabstract
from pathlib import Path
from typing import TypeVar, get_args, get_type_hints

import yaml
from jsonargparse import ArgumentError, ArgumentParser, Namespace

from mimicbrush.config_arguments import CONFIG_OPTION, merge_bases, normalise_arguments, set_entries, split_entries
from mimicbrush.config_faults import command_line_faults, fields_faults, refuse_impossible_paths, with_path
from mimicbrush.errors import Faults, UserError, quoted

T = TypeVar("T")


def parse_config(
    config_class: type[T],
    arguments: Sequence[str],
    *,
    default: Path | None = None,
    base: Mapping[str, object] | None = None,
) -> T:
    """Build a config from `--config FILE`, `--field VALUE` overrides and the fields' defaults.

    config_class: a dataclass; default: YAML file that is read if the command line gives no --config; base: values, as
    in YAML, that the command line overrides.
    Raises UserError, in one line, for an unknown key, a wrong type, or a relation that `__post_init__` refuses.
    """
    base = base or {}
    words = normalise_arguments(config_class, arguments, default=default)
    refuse_impossible_paths(config_class, words)
    options, entries = split_entries(config_class, words)
    options = merge_bases(options)
    if base:
        options = [CONFIG_OPTION, json.dumps(base), *options]
    parser = _parser(config_class)
    with _faults_explained(
        lambda: fields_faults(config_class, base) + command_line_faults(config_class, words, given=base)
    ):
        parsed = parser.parse_args(options)
    fields = _instantiate_groups(parser, parsed, config_class)
    fields.pop("config", None)
    with _faults_explained():
        return config_class(**set_entries(fields, entries))


def load_config(config_class: type[T], path: Path) -> T:
    """Read a YAML file into a config; raises UserError if it is missing or does not fit."""
    return parse_config(config_class, [CONFIG_OPTION, str(path)])


def config_from_dict(config_class: type[T], fields: dict) -> T:
    """Build a config from parsed YAML; raises UserError, in one line, if it does not fit."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(config_class, nested_key=None, fail_untyped=True)
    with _faults_explained(lambda: fields_faults(config_class, fields)):
        parsed = parser.parse_object(deepcopy(fields))
        return config_class(**_instantiate_groups(parser, parsed, config_class))


def dump_config(config: object) -> str:
    """Write all fields of a config as YAML text."""
    return yaml.safe_dump(to_plain(config), sort_keys=False)


def to_plain(value: object) -> object:
    """Convert to plain YAML values recursively: dataclasses to dicts, tuples to lists, paths to strings."""
    if is_dataclass(value):
        value = asdict(value)
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def instantiate(class_path: str, init_args: dict, base: type[T]) -> T:
    """Build an instance of a class that YAML names, a subclass of `base`, which the command need not import.

    Raises UserError if there is no such class, or its arguments do not fit.
    """
    found = find_class(class_path, base)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(found, nested_key=None, fail_untyped=True)
    try:
        arguments = vars(parser.instantiate(parser.parse_object(deepcopy(init_args))))
    except (ArgumentError, TypeError, ValueError) as error:
        faults = fields_faults(found, init_args) or _inner_faults(found, init_args) or [_reason(error)]
        raise UserError(*(f"{class_path}: {fault}" for fault in faults)) from None
    return found(**arguments)


def _inner_faults(owner: type, init_args: Mapping[str, object]) -> list[str]:
    """List the mistakes in arguments that are instances of classes, given by class_path and init_args."""
    hints, faults = get_type_hints(owner.__init__), Faults()
    for name, value in init_args.items():
        kind = hints.get(name)
        base = next((each for each in (kind, *get_args(kind)) if isabstract(each)), None)
        given = {"class_path": value} if isinstance(value, str) else value
        if base is None or given is None:
            continue
        if not isinstance(given, Mapping) or not {"class_path"} <= set(given) <= {"class_path", "init_args"}:
            faults.add(f"{name}: expected class_path and init_args, found {quoted(given)}")
            continue
        inner = Faults()
        with inner.collect():
            instantiate(given["class_path"], given.get("init_args") or {}, base)
        faults.found += [f"{name}: {fault}" for fault in inner.found]
    return faults.found


def find_class(path: str, base: type[T]) -> type[T]:
    """Import the class at a dotted path; raises UserError if there is none, or it is not a subclass of `base`."""
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


@cache
def _parser(config_class: type) -> ArgumentParser:
    """The parser of a command line, kept: building it takes longer than parsing with it."""
    parser = ArgumentParser(exit_on_error=False, add_help=False)
    parser.add_argument(CONFIG_OPTION, action="config")
    parser.add_class_arguments(config_class, nested_key=None, fail_untyped=True)
    return parser


@contextmanager
def _faults_explained(find_faults: Callable[[], list[str]] = list) -> Iterator[None]:
    """Turn an error of the parser or of a `__post_init__` into a UserError in plain words.

    find_faults: looks for the mistakes once there is an error; if it finds none, the error's own message is used.
    """
    try:
        yield
    except UserError:
        raise
    except (ArgumentError, TypeError, ValueError) as error:
        raise UserError(*(find_faults() or [_reason(error)])) from None


def _instantiate_groups(parser: ArgumentParser, parsed: Namespace, config_class: type) -> dict:
    """Build the nested configs and return all fields by name; raises UserError with what any of them refuses."""
    try:
        return vars(parser.instantiate(parsed))
    except (ArgumentError, TypeError, ValueError) as error:
        own = error.faults if isinstance(error, UserError) else [_reason(error)]
        raise UserError(*(_group_faults(config_class, parsed.as_dict()) or own)) from None


def _group_faults(config_class: type, values: Mapping[str, object], prefix: str = "") -> list[str]:
    """Refusals of the `__post_init__` of each nested config, named by its dotted path.

    values: the fields of config_class, of the right types. A config is only checked if all configs inside it fit.
    """
    faults = []
    for name, kind in get_type_hints(config_class).items():
        if not (is_dataclass(kind) and isinstance(values.get(name), Mapping)):
            continue
        path = f"{prefix}{name}"
        inner = _group_faults(kind, values[name], f"{path}.")
        if not inner:
            try:
                config_from_dict(kind, to_plain(values[name]))
            except UserError as error:
                inner = [with_path(kind, fault, path) for fault in error.faults]
        faults += inner
    return faults


def _reason(error: Exception) -> str:
    """The last, most specific line of a parser's message, without Python's names of types."""
    # A config that may be null gives several refusals; only that of its own `__post_init__` is useful.
    own = re.search(r"\nErrors:\n +- (?!Expected a )(.*)", str(error))
    if own:
        return own[1]
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip(" -^~")]
    message = " ".join(lines) if lines else type(error).__name__
    return re.sub(r"Parser key \"(.*?)\": (Problem with given class_path '.*?': )?", r"\1: ", message)

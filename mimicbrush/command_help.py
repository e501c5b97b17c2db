"""The text of `--help`, written from a command's config: examples, the usual options, then all others in groups.

It reads the dataclass and the docstring of each field, and imports neither torch nor the parser.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import shutil
import textwrap
import types
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Mapping
    from dataclasses import Field

INDENT = 28
"""Columns before an option's description; a longer option gets its own line."""
CONFIG_HELP = (
    "YAML file with any of these options, nested as the groups are. It overrides the defaults shown here, and options"
    " on the command line override it."
)
WORDS = {int: "INTEGER", float: "NUMBER", str: "TEXT", Path: "PATH", bool: "true|false", type(None): "null"}
NO_BREAK = "\xa0"
UNIONS = (Union, types.UnionType)
ENTRY = "each entry of "
"""Beginning of the heading of configs in a list or a dict."""
LISTS = (list, tuple, set, Sequence)


class Option(NamedTuple):
    """One option of a command, as the help shows it."""

    name: str
    """Dotted name, such as `band.low`."""
    value: str
    """The allowed values in words; empty for a flag."""
    description: str
    default: str | None
    """The default in YAML, empty for no value; None if the option is required."""
    is_key: bool = False
    """Whether this is a key in an entry of a list or dict, and not an option itself."""


class Group(NamedTuple):
    """Options under one heading."""

    heading: str
    options: list[Option]


def command_help(
    program: str,
    config: str,
    *,
    examples: Sequence[str] = (),
    ordinary: Sequence[str] = (),
    positional: Sequence[str] = (),
    default: Path | None = None,
) -> str:
    """Write the help of one command; the arguments are fields of `mimicbrush.command.Command`."""
    config_class = _find_class(config)
    known = {option.name: option for group in option_groups(config_class, repeat=True) for option in group.options}
    known["config"] = Option("config", "PATH", CONFIG_HELP, _short(default))
    usual = [known[name] for name in dict.fromkeys([*ordinary, "config"])]
    words = " ".join([*(name.upper() for name in positional), "[--OPTION VALUE ...]"])
    parts = [f"usage: {program} {words}", _fill(summary(config_class))]
    if examples:
        lines = [line for example in examples for line in _example_lines(example)]
        parts.append("\n".join(["Examples:", *lines]))
    parts.append(_group_text("Usual options", usual))
    for group in option_groups(config_class):
        left = [option for option in group.options if option not in usual]
        if left or not group.options:
            parts.append(_group_text(group.heading, left))
    return "\n\n".join(parts)


def group_help(
    program: str, configs: Mapping[str, str], *, examples: Sequence[str] = (), default: str | None = None
) -> str:
    """Write the help of a group of commands.

    configs: {name of a command: dotted path of its config}; default: name of the command that a line without one means.
    """
    width = max(map(len, configs)) + 4
    lines = [f"usage: {program} COMMAND [--OPTION VALUE ...]", ""]
    if examples:
        lines += ["Examples:", *(line for example in examples for line in _example_lines(example)), ""]
    for name, config in configs.items():
        lines += _hanging(f"  {name}", summary(_find_class(config)), width)
    lines += ["", f"{program} COMMAND --help lists a command's options."]
    if default:
        lines.append(f"Options without a command are those of {default}.")
    return "\n".join(lines)


def summary(config_class: type) -> str:
    """The first paragraph of a class's docstring."""
    return " ".join((config_class.__doc__ or "").split("\n\n")[0].split())


def option_groups(config_class: type, default: object = MISSING, *, repeat: bool = False) -> Iterator[Group]:
    """Group the options of a config: by the class that defines them, then by nested config.

    default: an instance whose values are the defaults, instead of the class's. A nested class that is already listed
    under another name is only referred to, unless `repeat` is true.
    """
    own, nested = _split_fields(config_class, default)
    for owner, options in own.items():
        yield Group("Further options" if owner is config_class else summary(owner), options)
    listed: dict[type, str] = {}
    while nested:
        name, inner, description, value = nested.pop(0)
        if inner in listed and not repeat:
            yield Group(f"{name}: {description or summary(inner)} (options as for {listed[inner]})", [])
            continue
        listed[inner] = name
        is_entry = name.startswith(ENTRY)
        own, deeper = _split_fields(inner, value, "" if is_entry else f"{name}.")
        if is_entry:  # in a list or a dict: these are keys in YAML, not options
            own = {owner: [option._replace(is_key=True) for option in options] for owner, options in own.items()}
        options = [option for options in own.values() for option in options]
        if options:
            yield Group(f"{name}: {description or summary(inner)}", options)
        nested = deeper + nested


class _Nested(NamedTuple):
    """A field whose value is a config, or a list or dict of configs."""

    name: str
    inner: type
    description: str
    default: object


def _split_fields(
    config_class: type, default: object, prefix: str = ""
) -> tuple[dict[type, list[Option]], list[_Nested]]:
    """Separate the plain options, by the class that defines them, from the nested configs."""
    hints = get_type_hints(config_class)
    own: dict[type, list[Option]] = {}
    nested = []
    for field in fields(config_class):
        kind, owner = hints[field.name], _owner(config_class, field.name)
        name, description = prefix + field.name, _description(config_class, field.name)
        value = _default(field) if default is MISSING else getattr(default, field.name)
        inner = _config_in(kind)
        if inner is not kind:
            words = "" if kind is bool and value is False else type_words(kind)
            shown = None if value is MISSING else _plain(value) * bool(words)
            own.setdefault(owner, []).append(Option(name, words, description, shown))
        if inner is not None:
            is_one = _is_single(kind)
            label = name if is_one else f"{ENTRY}{name}"
            nested.append(_Nested(label, inner, description * is_one, value if isinstance(value, inner) else MISSING))
    return own, nested


def type_words(kind: object) -> str:
    """Describe a type for users: `INTEGER`, `a|b`, `[PATH, ...]`, `{NAME: TEXT, ...}`."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return "|".join("null" if value is None else str(value) for value in arguments)
    if origin in UNIONS:
        return " or ".join(dict.fromkeys(type_words(each) for each in arguments if each is not type(None)))
    if origin in LISTS:
        several = [type_words(each) for each in arguments if each is not Ellipsis]
        return f"[{', '.join(several)}{', ...' * (len(several) == 1)}]"
    if kind is dict or origin is dict:
        return f"{{NAME: {type_words(arguments[1])}, ...}}" if arguments else "{NAME: VALUE, ...}"
    return "{...}" if is_dataclass(kind) else WORDS.get(kind, "VALUE")


def _find_class(path: str) -> type:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def _config_in(kind: object) -> type | None:
    """Find the dataclass in a field's type: the type itself, one of a union, or the items of a list or dict."""
    if isinstance(kind, type) and is_dataclass(kind):
        return kind
    return next(filter(None, map(_config_in, get_args(kind))), None)


def _is_single(kind: object) -> bool:
    """Whether a value is one config or None, rather than a list or dict of configs."""
    return is_dataclass(kind) or (any(map(is_dataclass, get_args(kind))) and get_origin(kind) in UNIONS)


def _owner(config_class: type, name: str) -> type:
    """Find the base class that first defines a field, and in whose group it is listed."""
    return next(each for each in reversed(config_class.__mro__) if name in vars(each).get("__annotations__", {}))


def _description(config_class: type, name: str) -> str:
    """The docstring below a field, in the most derived class that has one."""
    return next(filter(None, (_descriptions(each).get(name) for each in config_class.__mro__)), "")


@cache
def _descriptions(config_class: type) -> dict[str, str]:
    """Read the docstrings below the fields that a class itself defines."""
    try:
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(config_class))).body
    except (OSError, TypeError):
        return {}
    found = {}
    for field, below in itertools.pairwise(definition.body):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            found[field.target.id] = " ".join(str(below.value.value).split())
    return found


def _default(field: Field) -> object:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _plain(value: object) -> str:
    """Write a default as in YAML or on the command line; empty for no value."""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_plain, value))}]"
    if is_dataclass(value):
        value = {
            each.name: getattr(value, each.name)
            for each in fields(value)
            if getattr(value, each.name) != _default(each)
        }
    if isinstance(value, Path):
        return _short(value)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {_plain(each)}' for name, each in value.items())}}}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _short(path: Path | None) -> str:
    """Write a path relative to the current folder, if it is inside."""
    if path is None:
        return ""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _group_text(heading: str, options: list[Option]) -> str:
    return "\n".join([_fill(heading), *(line for option in options for line in _option_lines(option))])


def _option_lines(option: Option) -> list[str]:
    """`  --name VALUE   description (default: ...)`, wrapped."""
    notes = {None: "(required)", "": ""}
    note = notes.get(option.default, f"(default: {option.default})")
    if len(note) <= _columns() - INDENT:
        note = note.replace(" ", NO_BREAK)
    dashes = "" if option.is_key else "--"
    return _hanging(f"  {dashes}{option.name} {option.value}".rstrip(), f"{option.description} {note}", INDENT)


def _hanging(head: str, text: str, indent: int) -> list[str]:
    """Put a description beside its head, or below a long head."""
    lines = textwrap.wrap(text, _columns() - indent, break_long_words=False, break_on_hyphens=False) or [""]
    lines = [line.replace(NO_BREAK, " ") for line in lines]
    if len(head) > indent - 2:
        # Many choices, a|b|c, may be longer than a line.
        heads = textwrap.wrap(head.replace("|", "| "), _columns(), subsequent_indent=" " * 8, break_long_words=False)
        heads = [each.replace("| ", "|") for each in heads]
        return [*heads, *(" " * indent + line for line in lines if line)]
    return [f"{head:{indent}s}{lines[0]}".rstrip(), *(" " * indent + line for line in lines[1:])]


def _example_lines(example: str) -> list[str]:
    """Wrap a long command line with backslashes."""
    lines = [""]
    for part in re.split(" (?=--)", example):
        if lines[-1] and len(f"  {lines[-1]} {part} \\") > _columns():
            lines.append("   ")
        lines[-1] = f"{lines[-1]} {part}" if lines[-1] else part
    return [f"  {line} \\" for line in lines[:-1]] + [f"  {lines[-1]}"]


def _fill(text: str) -> str:
    return textwrap.fill(text, _columns())


def _columns() -> int:
    """Columns of the terminal, but no fewer than 80 and no more than 100."""
    return min(max(shutil.get_terminal_size().columns, 80), 100)

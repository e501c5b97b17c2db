"""The words of a command line, rewritten so that the parser of configs understands them.

Two forms are added to the parser's own: a field that is true or false may have no value, and a value inside a
free-form field (`dict[str, dict]`) is set by its path, as in `--editors.ours.init_args.checkpoint runs/ours`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import get_type_hints

from mimicbrush.config_faults import parse_value
from mimicbrush.config_layers import config_source
from mimicbrush.errors import UserError

CONFIG_OPTION = "--config"


def normalise_arguments(config_class: type, arguments: Sequence[str], *, default: Path | None = None) -> list[str]:
    """Give each flag a value, and move `--config FILE` to the front; `default` is the file if none is given."""
    words = _config_first(_add_flag_values(arguments, set(_flags(config_class))))
    if default is not None and words[:1] != [CONFIG_OPTION]:
        return [CONFIG_OPTION, str(default), *words]
    return words


def merge_bases(words: Sequence[str]) -> list[str]:
    """Replace a config file that builds on others (`_base_`) by the YAML text of all of them, merged."""
    return [config_source(Path(word)) if before == CONFIG_OPTION else word for before, word in pairwise(["", *words])]


def split_entries(config_class: type, words: Sequence[str]) -> tuple[list[str], dict[str, object]]:
    """Separate the values inside free-form fields, as {dotted path: value}, from all other words.

    The parser would replace the whole entry of a free-form field. Raises UserError for a path without a value.
    """
    free = tuple(f"--{name}." for name, kind in get_type_hints(config_class).items() if kind == dict[str, dict])
    others, entries, remaining = [], {}, iter(words)
    for word in remaining:
        option, _, value = word.partition("=")
        if option.startswith(free) and option.count(".") > 1:
            value = value or next(remaining, "--")
            if value.startswith("--"):
                raise UserError(f"{option}: expected a value, found nothing")
            entries[option.removeprefix("--")] = parse_value(object, value)
        else:
            others.append(word)
    return others, entries


def set_entries(fields: dict, entries: Mapping[str, object]) -> dict:
    """Set the values of `split_entries` in free-form fields, which may add keys to an entry, but no entry.

    Raises ValueError for an unknown entry, or a path through something that is not a mapping.
    """
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


def _flags(config_class: type, prefix: str = "--") -> Iterator[str]:
    """The options of all fields that are true or false, those of nested configs too."""
    for name, kind in get_type_hints(config_class).items():
        if kind is bool:
            yield prefix + name
        elif is_dataclass(kind):
            yield from _flags(kind, f"{prefix}{name}.")


def _add_flag_values(words: Sequence[str], flags: set[str]) -> list[str]:
    """Turn each `--flag` without a value into `--flag=true`."""
    following = pairwise([*words, "--"])
    return [f"{word}=true" if word in flags and after.startswith("-") else word for word, after in following]


def _config_first(words: Sequence[str]) -> list[str]:
    """Move `--config FILE` to the front: a file that is read later would silently undo the overrides before it."""
    first, others, remaining = [], [], iter(words)
    for word in remaining:
        if word == CONFIG_OPTION:
            first += [word, *[value for value in [next(remaining, None)] if value is not None]]
        elif word.startswith(f"{CONFIG_OPTION}="):
            first += word.split("=", 1)
        else:
            others.append(word)
    return first + others

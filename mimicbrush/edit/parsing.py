"""Parse the command lines of all subcommands; with --replay, a PNG gives the options that are not on the line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import get_type_hints

from mimicbrush.config import parse_config
from mimicbrush.edit.config import PROGRAM, EditConfig, takes_list
from mimicbrush.edit.subcommands import KINDS
from mimicbrush.errors import Faults, UserError


def parse_without_subcommand(arguments: Sequence[str], default: type[EditConfig]) -> EditConfig:
    """Parse a command line without a subcommand.

    default: class of the config, unless --replay names a picture that was made by another subcommand.
    """
    replayed, config_class = _value_of("--replay", arguments), default
    if replayed is not None and replayed.is_file():
        with suppress(UserError):  # raised again by `parse`
            config_class = _class_of(_kind_of(replayed))
    return parse(arguments, config_class)


def parse(arguments: Sequence[str], config_class: type[EditConfig]) -> EditConfig:
    """Parse the command line of a subcommand. With --replay, options that are not given come from that picture.

    Raises UserError if an option is wrong, if another subcommand made the picture, or if a file that it was made from
    has changed.
    """
    _refuse_repeated(arguments, config_class)
    replayed = _value_of("--replay", arguments)
    if replayed is None:
        return _with_preset(parse_config(config_class, arguments), arguments)
    if not replayed.is_file():
        raise UserError(f"{replayed}: no such picture or clip")
    # Imported here: these import torch, which is only needed for a replay.
    from mimicbrush.edit.inputs import changed_pictures
    from mimicbrush.edit.record import FINGERPRINTS, KIND, read_settings

    options = [argument.partition("=")[0] for argument in arguments if argument.startswith("--")]
    given = {option.removeprefix("--") for option in options}
    if "config" in given:
        raise UserError("--replay and --config both set options; give only one")
    settings = read_settings(replayed)
    kind, fingerprints = settings.pop(KIND), settings.pop(FINGERPRINTS, {})
    if kind != config_class.kind:
        raise UserError(f"{replayed} was made by `{PROGRAM} {kind}`; replay it with that command")
    config = parse_config(config_class, arguments, base=settings)
    if "preset" in given:
        config = _with_preset(config, arguments, base=settings)
    faults = Faults()
    for option, picture in changed_pictures(config, fingerprints):
        faults.check(
            option in given,
            f"{option} {picture} has changed since {replayed} was made; restore the old file, or use this"
            f" one with --{option} {picture}",
        )
    faults.refuse()
    return config


def _with_preset(
    config: EditConfig, arguments: Sequence[str], *, base: Mapping[str, object] | None = None
) -> EditConfig:
    """Take the values of the config's preset for options that are not given; base: as in `parse_config`."""
    values = config.preset_values
    return parse_config(type(config), arguments, base={**(base or {}), **values}) if values else config


def _kind_of(replayed: Path) -> str:
    from mimicbrush.edit.record import KIND, read_settings

    return read_settings(replayed)[KIND]


def _class_of(kind: str) -> type[EditConfig]:
    """Return the config class of a subcommand; raises UserError if there is no such subcommand."""
    if kind not in KINDS:
        raise UserError(f"{kind} is not a command of {PROGRAM}; choose from {', '.join(KINDS)}")
    return KINDS[kind]


def _refuse_repeated(arguments: Sequence[str], config_class: type[EditConfig]) -> None:
    """Refuse an option for a list that is given twice, of which the parser would silently take the last value."""
    names = [argument.partition("=")[0] for argument in arguments]
    for option in (f"--{name}" for name, kind in get_type_hints(config_class).items() if takes_list(kind)):
        if names.count(option) > 1:
            raise UserError(
                f"{option} is given {names.count(option)} times; give several as one list: {option} '[a, b]'"
            )


def _value_of(option: str, arguments: Sequence[str]) -> Path | None:
    """Return the value in `--option VALUE` or `--option=VALUE`; None if the option is absent."""
    for number, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        value = value or "".join(arguments[number + 1 : number + 2])
        if name == option and value and not value.startswith("--"):
            return Path(value)
    return None

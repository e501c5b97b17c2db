"""An edit made again: the settings in its PNG stand for what the command line does not say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mimicbrush.config import parse_config
from mimicbrush.edit.config import EditConfig
from mimicbrush.errors import Faults, UserError

LISTS = ("--reference", "--reference_box", "--reference_mask")


def parse_command(arguments: Sequence[str]) -> EditConfig:
    """The command line, over the settings of the picture that --replay names, if it names one.

    Raises UserError where they do not fit, or a picture that they name has changed since.
    """
    _refuse_repeated(arguments)
    replayed = _value_of("--replay", arguments)
    if replayed is None:
        return parse_config(EditConfig, arguments)
    if not replayed.is_file():
        raise UserError(f"{replayed}: no such picture")
    # Here, as these import torch, and only a replay needs them in order to parse.
    from mimicbrush.edit.inputs import changed_pictures
    from mimicbrush.edit.record import FINGERPRINTS, read_settings

    options = [argument.partition("=")[0] for argument in arguments if argument.startswith("--")]
    given = {option.removeprefix("--") for option in options}
    if "config" in given:
        raise UserError("--replay and --config both bring settings; give one of the two")
    settings = read_settings(replayed)
    fingerprints = settings.pop(FINGERPRINTS, {})
    config = parse_config(EditConfig, arguments, base=settings)
    faults = Faults()
    for option, picture in changed_pictures(config, fingerprints):
        faults.check(
            option in given,
            f"{option} {picture} has changed since {replayed} was made; bring the old one back, or take"
            f" this one with --{option} {picture}",
        )
    faults.refuse()
    return config


def _refuse_repeated(arguments: Sequence[str]) -> None:
    """The parser would take the last without a word; who gives one twice means several."""
    names = [argument.partition("=")[0] for argument in arguments]
    for option in LISTS:
        if names.count(option) > 1:
            raise UserError(
                f"{option} is given {names.count(option)} times; give several as one list: {option} '[a, b]'"
            )


def _value_of(option: str, arguments: Sequence[str]) -> Path | None:
    """What is given as `--option VALUE` or `--option=VALUE`; None where nothing is."""
    for number, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        value = value or "".join(arguments[number + 1 : number + 2])
        if name == option and value and not value.startswith("--"):
            return Path(value)
    return None

"""The subcommands of `python -m mimicbrush.edit`: one for each kind of request."""

from mimicbrush.command import Command, CommandGroup
from mimicbrush.edit.config import PROGRAM, EditConfig
from mimicbrush.edit.kinds.layer_edit import LayerEditConfig
from mimicbrush.edit.kinds.motion_edit import MotionEditConfig
from mimicbrush.edit.kinds.reference_edit import ReferenceEditConfig
from mimicbrush.edit.kinds.text_edit import TextEditConfig
from mimicbrush.edit.kinds.video_edit import VideoEditConfig

KINDS: dict[str, type[EditConfig]] = {
    each.kind: each
    for each in (ReferenceEditConfig, TextEditConfig, LayerEditConfig, MotionEditConfig, VideoEditConfig)
}
"""The options of each subcommand by its name; a new kind of request adds its class here."""


def edit_command(config_class: type[EditConfig]) -> Command:
    """Make the subcommand of a kind of edit."""
    return Command(
        config=f"{config_class.__module__}.{config_class.__qualname__}",
        parse="mimicbrush.edit.parsing.parse",
        check="mimicbrush.edit.missing_files.refuse_missing_files",
        run="mimicbrush.edit.command.edit_pictures",
        then=config_class.after_stop,
        examples=config_class.examples,
        ordinary=config_class.ordinary,
    )


COMMANDS = CommandGroup(
    program=PROGRAM,
    commands={kind: edit_command(config_class) for kind, config_class in KINDS.items()},
    examples=(
        *(each.examples[0] for each in KINDS.values()),
        f"{PROGRAM} --replay e.png --output again.png",
    ),
    # A command line without a subcommand, as all were in 0.1.0, is an edit from a reference, or replays any kind.
    default=edit_command(ReferenceEditConfig)._replace(parse="mimicbrush.edit.parsing.parse_without_subcommand"),
)

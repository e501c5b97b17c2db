"""The subcommands of `python -m mimicbrush.edit`: one for each kind of request."""

from mimicbrush.command import Command, CommandGroup

PROGRAM = "python -m mimicbrush.edit"
EXAMPLES = (
    f"{PROGRAM} reference --source s.png --mask m.png --reference r.png --output e.png --weights asset:tiny",
    f'{PROGRAM} text --source s.png --mask m.png --prompt "a red hat" --output e.png',
    f"{PROGRAM} --replay e.png --output again.png",
)


def edit_command(config: str, **fields: object) -> Command:
    """Make a subcommand. config: name of the class of its options, which makes its kind of request from them."""
    return Command(
        config=f"mimicbrush.edit.config.{config}",
        parse="mimicbrush.edit.parsing.parse",
        check="mimicbrush.edit.missing_files.refuse_missing_files",
        run="mimicbrush.edit.command.edit_pictures",
        then="run the same command again; a batch then makes only what is missing",
        **fields,
    )


REFERENCE = edit_command(
    "EditConfig",
    examples=(
        EXAMPLES[0],
        f"{PROGRAM} reference --batch edits.csv --weights runs/demo/train",
        f"{PROGRAM} reference --replay e.png --output again.png",
    ),
    ordinary=("weights", "source", "mask", "reference", "output", "keep_shape", "seed"),
)
TEXT = edit_command(
    "TextEditConfig",
    examples=(
        EXAMPLES[1],
        f"{PROGRAM} text --batch edits.csv --editor my_package.MyEditor --init_args '{{strength: 0.5}}'",
    ),
    ordinary=("source", "mask", "prompt", "output", "editor", "init_args", "seed"),
)
COMMANDS = CommandGroup(
    program=PROGRAM,
    commands={"reference": REFERENCE, "text": TEXT},
    examples=EXAMPLES,
    # A command line without a subcommand, as all were in 0.1.0, is an edit from a reference, or replays any kind.
    default=REFERENCE._replace(parse="mimicbrush.edit.parsing.parse_without_subcommand"),
)

"""Edit pictures on the command line: one picture, or all that a CSV lists."""

from mimicbrush.command import Command, run_command

COMMAND = Command(
    program="python -m mimicbrush.edit",
    config="mimicbrush.edit.config.EditConfig",
    parse="mimicbrush.edit.replay.parse_command",
    check="mimicbrush.edit.missing_files.refuse_missing_files",
    run="mimicbrush.edit.command.edit_pictures",
    examples=(
        "python -m mimicbrush.edit --source s.png --mask m.png --reference r.png --output e.png --weights asset:tiny",
        "python -m mimicbrush.edit --batch edits.csv --weights runs/demo/train",
        "python -m mimicbrush.edit --replay e.png --output again.png",
    ),
    ordinary=("weights", "source", "mask", "reference", "output", "keep_shape", "seed"),
    then="run the same command again; a batch then makes only what is missing",
)

if __name__ == "__main__":
    run_command(COMMAND)

"""Edit pictures on the command line: one picture, or all that a CSV lists."""

from mimicbrush.command import run_command
from mimicbrush.edit.subcommands import COMMANDS as COMMAND

if __name__ == "__main__":
    run_command(COMMAND)

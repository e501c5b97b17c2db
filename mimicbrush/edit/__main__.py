"""Edit pictures from the shell: one, or all that a CSV lists.

python -m mimicbrush.edit --weights runs/demo/train --source s.png --mask m.png --reference r.png --output e.png
python -m mimicbrush.edit --weights runs/demo/train --batch edits.csv
python -m mimicbrush.edit --replay e.png --output again.png
"""

from mimicbrush.errors import run_command

STOPPED = "stopped; the same command begins anew"


def main() -> None:
    # Imported in what is guarded: Ctrl-C while libraries load ends in one line, too.
    from mimicbrush.edit import command

    command.main()


if __name__ == "__main__":
    run_command(main, stopped=STOPPED)

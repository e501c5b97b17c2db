"""Edit pictures in the browser."""

from mimicbrush.command import Command, run_command

COMMAND = Command(
    program="python -m mimicbrush.demo",
    config="mimicbrush.demo.config.DemoConfig",
    check="mimicbrush.demo.preconditions.announce",
    run="mimicbrush.demo.server.serve",
    examples=("python -m mimicbrush.demo", "python -m mimicbrush.demo --weights runs/demo/train --port 8000"),
    ordinary=("weights", "host", "port", "open_browser"),
    then="",
    waits_for_threads=False,
)

if __name__ == "__main__":
    run_command(COMMAND)

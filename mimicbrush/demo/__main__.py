"""`python -m mimicbrush.demo --weights runs/demo/train`: edit pictures in the browser."""

from mimicbrush.errors import run_command


def main() -> None:
    # In here, so that Ctrl-C while libraries load ends in a line, too; and --help need not wait for Gradio.
    from mimicbrush.config import parse_config
    from mimicbrush.demo.config import DemoConfig

    config = parse_config(DemoConfig, program="python -m mimicbrush.demo")
    from mimicbrush.demo.server import serve

    serve(config)


if __name__ == "__main__":
    run_command(main, stopped="stopped")

"""`python -m mimicbrush.evaluation.build inner_id | inter_id | heldout | check`."""

from collections.abc import Callable
from typing import TypeVar

from mimicbrush.config import run_subcommand
from mimicbrush.errors import run_command
from mimicbrush.evaluation.build.check import check_folder
from mimicbrush.evaluation.build.config import CheckConfig, HeldoutSetConfig, InnerIdConfig, InterIdConfig
from mimicbrush.evaluation.build.heldout import build_heldout
from mimicbrush.evaluation.build.inner_id import build_inner_id
from mimicbrush.evaluation.build.inter_id import build_inter_id
from mimicbrush.folder_lock import held

T = TypeVar("T", InnerIdConfig, InterIdConfig, HeldoutSetConfig)


def main() -> None:
    commands = {
        "inner_id": (InnerIdConfig, _alone(build_inner_id)),
        "inter_id": (InterIdConfig, _alone(build_inter_id)),
        "heldout": (HeldoutSetConfig, _alone(build_heldout)),
        "check": (CheckConfig, check_folder),
    }
    run_subcommand(commands, program="python -m mimicbrush.evaluation.build")


def _alone(build: Callable[[T], None]) -> Callable[[T], None]:
    """Hold the output folder while a set is built in it."""

    def build_alone(config: T) -> None:
        with held(config.output):
            build(config)

    return build_alone


if __name__ == "__main__":
    run_command(main)

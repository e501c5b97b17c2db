"""`python -m mimicbrush.evaluation.build inner_id | inter_id | heldout | check`."""

from mimicbrush.config import run_subcommand
from mimicbrush.errors import run_command
from mimicbrush.evaluation.build.check import CheckConfig, check_folder
from mimicbrush.evaluation.build.heldout import HeldoutSetConfig, build_heldout
from mimicbrush.evaluation.build.inner_id import InnerIdConfig, build_inner_id
from mimicbrush.evaluation.build.inter_id import InterIdConfig, build_inter_id


def main() -> None:
    commands = {
        "inner_id": (InnerIdConfig, build_inner_id),
        "inter_id": (InterIdConfig, build_inter_id),
        "heldout": (HeldoutSetConfig, build_heldout),
        "check": (CheckConfig, check_folder),
    }
    run_subcommand(commands, program="python -m mimicbrush.evaluation.build")


if __name__ == "__main__":
    run_command(main)

"""Run every editor on every benchmark set and report: `python evaluate.py --config configs/eval/tiny.yaml`.

The options are in mimicbrush/evaluation/config.py, checks before torch is imported in preconditions.py, and the
evaluation itself in command.py.
"""

from pathlib import Path

from mimicbrush.command import Command, run_command

COMMAND = Command(
    program="python evaluate.py",
    config="mimicbrush.evaluation.config.EvaluateConfig",
    check="mimicbrush.evaluation.preconditions.check_evaluation",
    announce="mimicbrush.evaluation.preconditions.announce_evaluation",
    run="mimicbrush.evaluation.command.evaluate",
    default=Path(__file__).parent / "configs" / "eval" / "tiny.yaml",
    examples=(
        "python evaluate.py --config configs/eval/tiny.yaml",
        "python evaluate.py --config configs/eval/tiny.yaml --output runs/mine --metrics '[ssim, psnr]'",
    ),
    ordinary=("config", "output", "metrics", "seeds", "batch_size"),
)

if __name__ == "__main__":
    run_command(COMMAND)

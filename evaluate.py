"""Evaluate: editors x sets -> pictures, tables, a report. `python evaluate.py --config configs/eval/tiny.yaml`

What can be set, what is looked at before torch is imported, and the evaluation itself are in mimicbrush/evaluation:
config.py, preconditions.py and command.py.
"""

from pathlib import Path

from mimicbrush.command import Command, run_command

COMMAND = Command(
    program="python evaluate.py",
    config="mimicbrush.evaluation.config.EvaluateConfig",
    check="mimicbrush.evaluation.preconditions.check_evaluation",
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

"""Train a small CLIP of transformers' class, with its tokenizer, and measure it on held-out combinations.

python -m mimicbrush.world.clip --output runs/clip
"""

from mimicbrush.command import Command, run_command

PROGRAM = "python -m mimicbrush.world.clip"
COMMAND = Command(
    program=PROGRAM,
    config="mimicbrush.world.clip.config.ClipTrainingConfig",
    run="mimicbrush.world.clip.clip_training.train_clip",
    examples=(f"{PROGRAM} --output runs/clip", f"{PROGRAM} --output runs/short --max_steps 200 --num_samples 2000"),
    ordinary=("output", "max_steps", "num_samples", "seed"),
)

if __name__ == "__main__":
    run_command(COMMAND)

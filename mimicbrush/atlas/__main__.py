"""Make the layered atlas of a clip.

python -m mimicbrush.atlas --clip clip.mp4 --masks masks --output runs/atlas
"""

from mimicbrush.command import Command, run_command

PROGRAM = "python -m mimicbrush.atlas"
COMMAND = Command(
    program=PROGRAM,
    config="mimicbrush.atlas.config.AtlasConfig",
    check="mimicbrush.atlas.missing_inputs.check_files",
    run="mimicbrush.atlas.atlas_training.make_atlas",
    examples=(
        f"{PROGRAM} --clip clip.mp4 --masks masks --output runs/atlas",
        f"{PROGRAM} --clip clip.mp4 --box '[40, 20, 90, 70]' --output runs/atlas",
    ),
    ordinary=("clip", "masks", "box", "output", "flow", "num_frames", "short_side", "num_steps"),
)

if __name__ == "__main__":
    run_command(COMMAND)

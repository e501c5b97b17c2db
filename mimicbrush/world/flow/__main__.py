"""Train a small RAFT on moving objects and warped photographs, and measure it on held-out ones.

python -m mimicbrush.world.flow --output runs/flow
"""

from mimicbrush.command import Command, run_command

PROGRAM = "python -m mimicbrush.world.flow"
COMMAND = Command(
    program=PROGRAM,
    config="mimicbrush.world.flow.config.FlowTrainingConfig",
    run="mimicbrush.world.flow.flow_training.train_flow",
    examples=(f"{PROGRAM} --output runs/flow", f"{PROGRAM} --output runs/short --max_steps 200 --num_samples 1000"),
    ordinary=("output", "max_steps", "num_samples", "seed"),
)

if __name__ == "__main__":
    run_command(COMMAND)

"""Inspect, convert and upload trained weights: inspect, convert, push, lora."""

from mimicbrush.command import Command, CommandGroup, run_command

PACKAGE = "mimicbrush.model.weights"
PROGRAM = "python -m mimicbrush.model.weights"
COMMANDS = CommandGroup(
    program=PROGRAM,
    commands={
        "inspect": Command(
            config=f"{PACKAGE}.config.InspectConfig",
            check=f"{PACKAGE}.preconditions.check_inspect",
            run=f"{PACKAGE}.commands.inspect",
            examples=(f"{PROGRAM} inspect runs/tiny", f"{PROGRAM} inspect asset:tiny"),
            ordinary=("weights",),
            positional=("weights",),
            then="",
        ),
        "convert": Command(
            config=f"{PACKAGE}.config.ConvertConfig",
            check=f"{PACKAGE}.preconditions.check_convert",
            run=f"{PACKAGE}.commands.convert",
            examples=(
                f"{PROGRAM} convert --weights runs/tiny --output exported",
                f"{PROGRAM} convert --weights mimicbrush.bin --output exported --dtype float16",
            ),
            ordinary=("weights", "output", "dtype", "use_ema"),
            then="nothing was written",
        ),
        "push": Command(
            config=f"{PACKAGE}.config.PushConfig",
            check=f"{PACKAGE}.preconditions.check_push",
            run=f"{PACKAGE}.commands.push",
            examples=(
                f"{PROGRAM} push --weights runs/own/train --repo_id me/mine --licence apache-2.0",
                f"{PROGRAM} push --weights runs/own/train --repo_id me/mine --licence other --evaluation runs/own/e",
            ),
            ordinary=("weights", "repo_id", "licence", "evaluation", "private"),
            then="run the same command again",
        ),
        "lora": Command(
            config=f"{PACKAGE}.config.LoraConfig",
            check=f"{PACKAGE}.preconditions.check_lora",
            run=f"{PACKAGE}.commands.lora",
            examples=(
                f"{PROGRAM} lora --weights runs/lora --output lora.safetensors",
                f"{PROGRAM} lora --weights runs/lora --output lora.safetensors --base base",
            ),
            ordinary=("weights", "output", "base"),
            then="run the same command again",
        ),
    },
)

if __name__ == "__main__":
    run_command(COMMANDS)

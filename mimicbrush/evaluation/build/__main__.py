"""Build and check benchmark sets: inner_id, inter_id, heldout, clips, rebuild, overlap, check."""

from mimicbrush.command import Command, CommandGroup, run_command

PACKAGE = "mimicbrush.evaluation.build"
PROGRAM = "python -m mimicbrush.evaluation.build"
COMMANDS = CommandGroup(
    program=PROGRAM,
    commands={
        "inner_id": Command(
            config=f"{PACKAGE}.config.InnerIdConfig",
            check=f"{PACKAGE}.preconditions.check_inner_id",
            run=f"{PACKAGE}.inner_id.build_inner_id",
            examples=(
                f"{PROGRAM} inner_id --subjects.folder photographs --task texture --output data/benchmark/inner",
                f"{PROGRAM} inner_id --subjects.folder photographs --subjects.masks.method box"
                " --subjects.masks.regions boxes.json --task parts --output data/benchmark/inner",
            ),
            ordinary=("subjects.folder", "subjects.metadata", "output", "task", "subjects.masks.method"),
        ),
        "inter_id": Command(
            config=f"{PACKAGE}.config.InterIdConfig",
            check=f"{PACKAGE}.preconditions.check_inter_id",
            run=f"{PACKAGE}.inter_id.build_inter_id",
            examples=(
                f"{PROGRAM} inter_id --sources.folder sources --references.folder references --task texture"
                " --output data/benchmark/inter",
                f"{PROGRAM} inter_id --sources.folder sources --references.folder references --pairs pairs.csv"
                " --task texture --output data/benchmark/inter",
            ),
            ordinary=("sources.folder", "references.folder", "output", "task", "pairs", "num_triplets"),
        ),
        "heldout": Command(
            config=f"{PACKAGE}.config.HeldoutSetConfig",
            check=f"{PACKAGE}.preconditions.check_heldout",
            run=f"{PACKAGE}.heldout.build_heldout",
            examples=(
                f"{PROGRAM} heldout --shards '[data/shards/heldout]' --output data/benchmark/heldout",
                f"{PROGRAM} heldout --shards '[data/shards/heldout]' --output data/benchmark/heldout --num_pairs 128",
            ),
            ordinary=("shards", "output", "num_pairs", "size"),
        ),
        "clips": Command(
            config=f"{PACKAGE}.config.ClipSetConfig",
            check=f"{PACKAGE}.preconditions.check_clips",
            run=f"{PACKAGE}.clip_set.build_clip_set",
            examples=(f"{PROGRAM} clips --samples clips.csv --output data/benchmark/clips",),
            ordinary=("samples", "output", "max_side"),
        ),
        "rebuild": Command(
            config=f"{PACKAGE}.config.RebuildConfig",
            check=f"{PACKAGE}.preconditions.check_rebuild",
            run=f"{PACKAGE}.rebuild.rebuild_set",
            examples=(
                f"{PROGRAM} rebuild --recipe recipe.json --photographs '[photographs]' --output data/benchmark/inner",
                f"{PROGRAM} rebuild --recipe recipe.json --photographs '[sources, references]' --output inter",
            ),
            ordinary=("recipe", "photographs", "output"),
        ),
        "overlap": Command(
            config=f"{PACKAGE}.config.OverlapConfig",
            check=f"{PACKAGE}.preconditions.check_overlap",
            run=f"{PACKAGE}.overlap.find_overlap",
            examples=(
                f"{PROGRAM} overlap --folder data/benchmark --shards '[runs/own/shards/videos]'",
                f"{PROGRAM} overlap --folder data/benchmark/inner --shards '[runs/shards/videos, runs/shards/stills]'",
            ),
            ordinary=("folder", "shards"),
            then="",
        ),
        "check": Command(
            config=f"{PACKAGE}.config.CheckConfig",
            check=f"{PACKAGE}.preconditions.check_check",
            run=f"{PACKAGE}.check.check_folder",
            examples=(f"{PROGRAM} check data/benchmark", f"{PROGRAM} check data/benchmark --needs '[prompt]'"),
            ordinary=("folder", "needs"),
            positional=("folder",),
            then="",
        ),
    },
)

if __name__ == "__main__":
    run_command(COMMANDS)

"""Measure speed and memory: `python -m mimicbrush.bench COMMAND`."""

from mimicbrush.command import Command, CommandGroup, run_command

PACKAGE = "mimicbrush.bench"
PROGRAM = "python -m mimicbrush.bench"
THEN = "run the same command again"
COMMANDS = CommandGroup(
    program=PROGRAM,
    commands={
        "train": Command(
            config=f"{PACKAGE}.config.TrainBenchConfig",
            check=f"{PACKAGE}.preconditions.check_reading",
            run=f"{PACKAGE}.training_speed.bench_training",
            examples=(
                f"{PROGRAM} train",
                f"{PROGRAM} train --network full --batch_size 8 --output runs/bench/train.json",
            ),
            ordinary=("network", "train_config", "batch_size", "rows", "output"),
            then=THEN,
        ),
        "sample": Command(
            config=f"{PACKAGE}.config.SampleBenchConfig",
            run=f"{PACKAGE}.sampling_speed.bench_sampling",
            examples=(
                f"{PROGRAM} sample",
                f"{PROGRAM} sample --widths '[320, 640, 1280, 1280]' --cross_attention_dim 768 --dtype bfloat16",
            ),
            ordinary=("widths", "cross_attention_dim", "latent_sizes", "dtype", "num_edits"),
            then=THEN,
        ),
        "samplers": Command(
            config=f"{PACKAGE}.editors.config.SamplerBenchConfig",
            check=f"{PACKAGE}.preconditions.check_samplers",
            run=f"{PACKAGE}.editors.sampler_quality.bench_samplers",
            examples=(
                f"{PROGRAM} samplers --weights asset:tiny",
                f"{PROGRAM} samplers --samplers '[UniPCMultistepScheduler]' --steps '[8]' --num_sources 4",
            ),
            ordinary=("weights", "output", "samplers", "steps", "num_sources"),
            then="run the same command again for the remaining rows",
        ),
        "new_material": Command(
            config=f"{PACKAGE}.editors.config.NewMaterialConfig",
            run=f"{PACKAGE}.editors.new_material.render_new_material",
            examples=(f"{PROGRAM} new_material", f"{PROGRAM} new_material --material 'purple dotted' --num_pairs 1"),
            ordinary=("output", "material", "num_pairs", "num_sources"),
            then=THEN,
        ),
        "layer": Command(
            config=f"{PACKAGE}.editors.config.LayerBenchConfig",
            run=f"{PACKAGE}.editors.layer_speed.bench_layers",
            examples=(f"{PROGRAM} layer", f"{PROGRAM} layer --clip asset:clip --preset small --size 128"),
            ordinary=("clip", "preset", "size", "whole", "repeats"),
            then=THEN,
        ),
        "atlas": Command(
            config=f"{PACKAGE}.atlases.config.AtlasBenchConfig",
            run=f"{PACKAGE}.atlases.atlas_quality.bench_atlas",
            examples=(f"{PROGRAM} atlas", f"{PROGRAM} atlas --clips '[3]' --published_seconds 0"),
            ordinary=("clips", "num_frames", "width", "num_steps", "published_seconds"),
            then=THEN,
        ),
        "motion": Command(
            config=f"{PACKAGE}.editors.config.MotionBenchConfig",
            run=f"{PACKAGE}.editors.motion_passes.bench_motion",
            examples=(f"{PROGRAM} motion --output runs/bench/motion.json", f"{PROGRAM} motion --num_samples 1"),
            ordinary=("motion_set", "num_samples", "rows", "output"),
            then="run the same command again for the remaining edits",
        ),
        "motion_memory": Command(
            config=f"{PACKAGE}.editors.config.MotionMemoryConfig",
            run=f"{PACKAGE}.editors.motion_memory.bench_motion_memory",
            examples=(f"{PROGRAM} motion_memory", f"{PROGRAM} motion_memory --size 768 --output memory.json"),
            ordinary=("size", "output"),
            then=THEN,
        ),
        "tuning_memory": Command(
            config=f"{PACKAGE}.editors.config.TuningMemoryConfig",
            run=f"{PACKAGE}.editors.tuning_memory.bench_tuning_memory",
            examples=(f"{PROGRAM} tuning_memory", f"{PROGRAM} tuning_memory --num_frames 24 --output memory.json"),
            ordinary=("num_frames", "size", "output"),
            then=THEN,
        ),
        "data": Command(
            config=f"{PACKAGE}.config.PreparationBenchConfig",
            run=f"{PACKAGE}.preparation_speed.bench_preparation",
            examples=(f"{PROGRAM} data", f"{PROGRAM} data --frames '[6]' --memory_clips 0"),
            ordinary=("clips", "frames", "repeats"),
            then=THEN,
        ),
        "loader": Command(
            config=f"{PACKAGE}.config.LoaderBenchConfig",
            check=f"{PACKAGE}.preconditions.check_reading",
            run=f"{PACKAGE}.loader_speed.bench_loader",
            examples=(f"{PROGRAM} loader", f"{PROGRAM} loader --shards data/shards/videos --workers '[1, 2, 4]'"),
            ordinary=("train_config", "shards", "workers", "seconds"),
            then=THEN,
        ),
        "metrics": Command(
            config=f"{PACKAGE}.config.MetricsBenchConfig",
            run=f"{PACKAGE}.metric_speed.bench_metrics",
            examples=(f"{PROGRAM} metrics", f"{PROGRAM} metrics --networks tiny --picture_size 64"),
            ordinary=("networks", "picture_size", "num_edits"),
            then=THEN,
        ),
        "memory": Command(
            config=f"{PACKAGE}.config.MemoryBenchConfig",
            check=f"{PACKAGE}.preconditions.check_memory",
            run=f"{PACKAGE}.edit_memory.bench_memory",
            examples=(f"{PROGRAM} memory", f"{PROGRAM} memory --dtype bfloat16 --output memory.json"),
            ordinary=("network", "weights", "ways", "output"),
            then=THEN,
        ),
        "start": Command(
            config=f"{PACKAGE}.config.StartBenchConfig",
            run=f"{PACKAGE}.start_memory.bench_start",
            examples=(f"{PROGRAM} start", f"{PROGRAM} start --network tiny"),
            ordinary=("network", "output"),
            then=THEN,
        ),
        "gpu": Command(
            config=f"{PACKAGE}.config.GpuCheckConfig",
            run=f"{PACKAGE}.gpu_checks.check_gpu",
            examples=(f"{PROGRAM} gpu", f"{PROGRAM} gpu --device cpu --network tiny"),
            ordinary=("checks", "network", "minutes", "output"),
            then="run the same command again for the remaining checks",
        ),
    },
)

if __name__ == "__main__":
    run_command(COMMANDS)

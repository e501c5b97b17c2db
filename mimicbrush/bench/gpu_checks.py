"""The checks of `python -m mimicbrush.bench gpu`, in order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from mimicbrush.bench.config import CheckName
from mimicbrush.bench.gpu_edits import check_edit, check_offload, check_sampling
from mimicbrush.bench.gpu_facts import Facts, Setup
from mimicbrush.bench.gpu_training import check_ranks, check_resume, check_steps, check_waits


class Check(NamedTuple):
    """A line of the table."""

    title: str
    seconds: int
    """Planned, for the full-size network on one H100; most of it builds networks, counts, and compiles."""
    run: Callable[[Setup], Facts]


BF16 = {"precision": "bf16-mixed"}
CHECKS: dict[CheckName, Check] = {
    "float32": Check("step, float32 with TF32", 30, partial(check_steps, run={})),
    "bfloat16": Check("step, bfloat16", 25, partial(check_steps, run=BF16)),
    "channels_last": Check("step, channels last", 25, partial(check_steps, run=BF16 | {"channels_last": True})),
    "frozen": Check(
        "step, frozen weights in bfloat16", 25, partial(check_steps, run=BF16 | {"frozen_precision": "bfloat16"})
    ),
    "checkpointing": Check(
        "step, activations twice", 25, partial(check_steps, run=BF16 | {"gradient_checkpointing": True})
    ),
    "train_reference": Check(
        "step, both U-Nets trained", 30, partial(check_steps, run=BF16, recipe={"train_reference": True})
    ),
    "lora": Check("step, LoRA of rank 64", 25, partial(check_steps, run=BF16, recipe={"imitative_lora": 64})),
    "adamw8bit": Check("step, 8-bit AdamW", 25, partial(check_steps, run=BF16, recipe={"optimizer": "adamw8bit"})),
    "waits": Check("waiting for the GPU", 10, check_waits),
    "resume": Check("exact resume, tiny preset", 20, check_resume),
    "edit": Check("edit", 25, check_edit),
    "offload_model": Check("edit, models offloaded", 25, partial(check_offload, kind="model")),
    "offload_sequential": Check("edit, layers offloaded", 30, partial(check_offload, kind="sequential")),
    "sampling": Check("sampling against the released algorithm", 20, check_sampling),
    "compile": Check(
        "step, compiled U-Nets and encoders",
        150,
        partial(check_steps, run=BF16 | {"compile": True}, compile_encoders=True),
    ),
    "ranks": Check("two ranks, tiny preset", 45, check_ranks),
    "all": Check(
        "step, compiled, activations twice, both U-Nets trained",
        180,
        partial(
            check_steps,
            run=BF16 | {"compile": True, "gradient_checkpointing": True, "channels_last": True},
            recipe={"train_reference": True},
        ),
    ),
}
"""In order: what takes minutes comes last, so that it alone is skipped where a card is slow.

Steps are few: 8 of 4 pairs at 8.63 TFLOP each are 276 TFLOP, about a second of an H100 at 200 TFLOP/s.
"""

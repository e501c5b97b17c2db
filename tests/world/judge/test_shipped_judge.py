"""The judge that comes with the package knows the world as it is rendered now."""

from __future__ import annotations

from pathlib import Path

from mimicbrush.evaluation.metrics.judge_network import Judge, load_judge
from mimicbrush.hub.locations import shipped
from mimicbrush.world.judge.labelled_crops import MATERIAL_NAMES, OBJECTS


def judge() -> Judge:
    return load_judge(Path(shipped("asset:judge")))


def test_its_classes_are_the_objects_and_materials_of_the_world():
    """If this fails, train it again: `python -m mimicbrush.world.judge`."""
    assert (judge().objects, judge().materials) == (OBJECTS, MATERIAL_NAMES)

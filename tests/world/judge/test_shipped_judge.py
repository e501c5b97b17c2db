"""The judge that comes with the package knows the world as it is rendered now."""

from __future__ import annotations

from pathlib import Path

from mimicbrush.evaluation.metrics.judge_network import Judge, load_judge
from mimicbrush.hub.locations import shipped
from mimicbrush.world.judge.labelled_crops import MATERIAL_NAMES, OBJECTS, render_crops


def judge() -> Judge:
    return load_judge(Path(shipped("asset:judge")))


def test_its_classes_are_the_objects_and_materials_of_the_world():
    """If this fails, train it again: `python -m mimicbrush.world.judge`."""
    assert (judge().objects, judge().materials) == (OBJECTS, MATERIAL_NAMES)


def test_it_names_held_out_renders(tmp_path):
    crops = render_crops(tmp_path, 48, sizes=(64,), seed=1, is_held_out=True)
    objects, materials = (logits.argmax(dim=1) for logits in judge()(crops.pixels / 255))
    assert (objects == crops.objects).float().mean() > 0.85
    assert (materials == crops.materials).float().mean() > 0.85

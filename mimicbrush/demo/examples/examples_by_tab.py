"""The examples of each tab. Their pictures in the gallery are made by `python -m mimicbrush.demo.example_results`."""

from __future__ import annotations

from mimicbrush.demo.examples.drawn_examples import (
    SMALL_SIDE,
    atlas_clip,
    atlas_frame,
    brush,
    photograph,
    replaced_in_clip,
    scene,
    to_paint,
    to_show,
)
from mimicbrush.demo.examples.example import Example, TabExamples
from mimicbrush.demo.motion.motion_handles import HandlesData
from mimicbrush.world.renderer.scene import Scene
from mimicbrush.world.renderer.scene_motion import SceneMotion
from mimicbrush.world.sets.edit_ingredients import with_subject

WEIGHTS = "the small weights that come with the package"

LAYER_SETTINGS = {
    "num_steps": 20,
    "resolution": 64,
    "crop_to_mask": True,
    "num_scales": 4,
    "num_channels": 32,
    "canvas_side": 64,
    "num_starts": 512,
    "num_views": 4,
    "view_changes": "mild",
    "structure_weight": 0.0,
    "learning_rate": 0.01,
    "learning_rate_decay": 0.97,
    "bootstrap_weight": 30.0,
    "min_bootstrap_weight": 10.0,
}
"""Those of configs/eval/world_layer.yaml, for pictures of 64 pixels."""


def _by_reference(name: str, title: str, source: Scene, reference: Scene) -> Example:
    shown = {"source": to_paint(source), "references": [to_show(reference)]}
    truth = to_show(with_subject(source, material=reference.subject.material))
    return Example(name, title, shown | {"keep_shape": False, "crop_to_mask": False, "quick": True}, truth)


_LEAF_FALLS = SceneMotion(
    (
        scene("leaf", "brown", "a cream wall", x=0.4, y=0.58, angle=-10, scale=0.2),
        scene("leaf", "brown", "a cream wall", x=0.6, y=0.45, angle=10, scale=0.2),
    )
)
_LEAF, _LEAF_MASK = replaced_in_clip(_LEAF_FALLS, "umbrella", scale=1.4)

EXAMPLES: dict[str, TabExamples] = {
    "reference": TabExamples(
        WEIGHTS,
        (
            _by_reference(
                "umbrella",
                "Umbrella after another one",
                scene("umbrella", "grey", "a brick wall", scale=0.36),
                scene("umbrella", "blue striped", "a cream wall", scale=0.36, angle=15),
            ),
            _by_reference(
                "fish",
                "Fish after another one",
                scene("fish", "orange", "a blue wall", scale=0.36),
                scene("fish", "yellow striped", "a dark wall", scale=0.36, angle=-20),
            ),
            _by_reference(
                "leaf",
                "Leaf in the red of a ball",
                scene("leaf", "green", "a marble table", scale=0.36),
                scene("ball", "red", "grass", scale=0.36),
            ),
            _by_reference(
                "heart",
                "Heart with the dots of a ball",
                scene("heart", "pink", "a checkered floor", scale=0.34),
                scene("ball", "blue dotted", "a cream wall", scale=0.4),
            ),
        ),
    ),
    "text": TabExamples(
        "NamedColours, an editor that only recolours and needs no weights,",
        (
            Example(
                "cat",
                "“a steel blue eye”",
                {"source": photograph("chelsea", brush(56, (173, 115))), "prompt": "a steel blue eye"},
            ),
        ),
        {"class_path": "mimicbrush.editors.baselines.NamedColours"},
    ),
    "layer": TabExamples(
        "Text2LIVE with the small CLIP that comes with the package",
        (
            Example(
                "mug",
                "“a teal marbled mug”",
                {
                    "source": to_paint(scene("mug", "grey", "a rose wall", scale=0.34), SMALL_SIDE),
                    "prompt": "a teal marbled mug",
                    "source_prompt": "a grey mug",
                    "screen": "",
                    "region": "",
                    "mask_use": "guide",
                },
            ),
        ),
        {
            "class_path": "mimicbrush.editors.text2live.Text2LiveEditor",
            "init_args": {"clip": "asset:clip", "settings": LAYER_SETTINGS},
        },
        "It knows few words: colours, patterns such as striped or marbled, and things such as a ball, a mug or a fish.",
    ),
    "motion": TabExamples(
        "classical inpainting, which needs no weights,",
        (
            Example(
                "rocket",
                "Rocket takes off",
                {
                    "source": photograph("rocket", brush(44, (321, 148), (321, 384))),
                    "handles": HandlesData(motion="translate 0 -90"),
                },
            ),
            Example(
                "coin",
                "Coin turns and grows",
                {
                    "source": photograph("coins", brush(58, (211, 193))),
                    "handles": HandlesData(motion="scale 1.3; rotate 40"),
                },
            ),
        ),
    ),
    "video": TabExamples(
        f"MimicBrush for clips, with {WEIGHTS},",
        (
            Example(
                "umbrella_clip",
                "Umbrella in the place of a leaf",
                {
                    "clip": _LEAF,
                    "source": to_show(scene("umbrella", "blue striped", "a blue wall", scale=0.36, angle=15)),
                    "mask": _LEAF_MASK,
                    "source_prompt": "a brown leaf",
                    "target_prompt": "a blue striped umbrella",
                },
            ),
        ),
        {
            "class_path": "mimicbrush.editors.mimicbrush_clips.MimicBrushClipsEditor",
            "init_args": {"checkpoint": "asset:tiny", "settings": {"feature_block": 1}},
        },
    ),
    "atlas": TabExamples(
        WEIGHTS,
        (
            Example(
                "fish_clip",
                "Fish after another one, in all frames",
                {
                    "clip": atlas_clip(),
                    "source": atlas_frame(
                        4,
                        brush(15, (22, 32), (34, 32)),
                        brush(9, (30, 24), (33, 25)),
                        brush(7, (40, 31), (46, 26)),
                        brush(7, (40, 32), (46, 38)),
                        brush(7, (33, 41), (34, 41)),
                    ),
                    "number": 4,
                    "reference": to_show(scene("fish", "yellow striped", "a cream wall", scale=0.38, angle=-12)),
                    "guide": "reference",
                    "prompts": ["", ""],
                    "atlas_layer": "foreground",
                    "within_layer": True,
                    "keep_shape": False,
                    "quick": True,
                },
            ),
        ),
    ),
}
"""By the names of the tabs in the browser's store."""

"""The examples of all tabs: what they give, and their pictures in the gallery."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mimicbrush.config import load_config
from mimicbrush.demo.example_results import example_page
from mimicbrush.demo.examples.drawn_examples import SHIPPED
from mimicbrush.demo.examples.examples_by_tab import EXAMPLES, LAYER_SETTINGS
from mimicbrush.demo.examples.gallery import PANEL, joined
from mimicbrush.demo.shared_editor import SharedEditor
from mimicbrush.demo.tabs import TABS, atlas_tab
from mimicbrush.evaluation.config import EvaluateConfig
from tests.conftest import REPOSITORY

ALL = {(kind, each.name): each for kind, tab in EXAMPLES.items() for each in tab.examples}
BYTES = 400_000
"""Largest size of all pictures in the galleries."""
LEVELS = 6
"""Largest mean difference from the pictures, which are compressed."""


@pytest.mark.parametrize("key", ALL, ids="-".join)
def test_an_example_is_ready_to_be_edited(key, folders):
    kind, _ = key
    tabs = {tab.config_class.kind: tab for tab in TABS.values()} | {"atlas": atlas_tab.TAB}
    config, given = example_page("asset:tiny"), ALL[key].given(folders, example_page("asset:tiny").limits)
    made = tabs[kind].handlers(SharedEditor(None, config.limits), config, folders).make_config(**given)
    assert isinstance(made, tabs[kind].config_class) and made.seed == 0
    files = [path for paths in made.pictures.values() for path in paths if path is not None]
    assert files and all(path.is_file() for path in files) and made.source.is_file()


@pytest.mark.parametrize("key", ALL, ids="-".join)
def test_the_gallery_shows_what_an_example_gives_and_its_result(key):
    shown = np.asarray(Image.open(SHIPPED / f"{ALL[key].name}.webp").convert("RGB")).astype(int)
    given = np.asarray(joined(ALL[key]._replace(truth=None), [])).astype(int)
    assert len(shown) == PANEL and shown.shape[1] >= given.shape[1] + PANEL / 2, "make its picture again"
    assert np.abs(shown[:, : given.shape[1]] - given).mean() < LEVELS, "make its picture again"


def test_the_pictures_are_small_and_each_belongs_to_an_example():
    files = list(SHIPPED.glob("*.webp"))
    assert {path.stem for path in files} == {name for _, name in ALL}
    assert sum(path.stat().st_size for path in files) < BYTES


def test_the_layers_settings_are_those_of_its_evaluation():
    measured = load_config(EvaluateConfig, REPOSITORY / "configs" / "eval" / "world_layer.yaml")
    assert measured.editor("mask").init_args["settings"] == LAYER_SETTINGS

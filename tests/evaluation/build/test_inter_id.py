from __future__ import annotations

import json
from pathlib import Path

import pytest

from mimicbrush.errors import UserError
from mimicbrush.evaluation.benchmark import list_samples
from mimicbrush.evaluation.benchmark_faults import find_faults
from mimicbrush.evaluation.build.config import CollectionConfig, InterIdConfig, SizeConfig
from mimicbrush.evaluation.build.inter_id import build_inter_id, draw_pairs
from mimicbrush.evaluation.config import BenchmarkSet
from mimicbrush.segmentation.photographs import list_photographs
from tests.evaluation.build.conftest import write_photograph

NEEDS = frozenset({"prompt", "reference_mask"})


@pytest.fixture
def folders(tmp_path) -> tuple[Path, Path]:
    """Three sources and two references, all different, two of them under one name."""
    for seed, file in enumerate(("sources/0.jpg", "sources/1.jpg", "sources/2.jpg", "refs/0.jpg", "refs/fur.jpg")):
        write_photograph(tmp_path / file, seed=seed)
    return tmp_path / "sources", tmp_path / "refs"


def config_of(folders, output: Path, **options) -> InterIdConfig:
    sources, references = (CollectionConfig(folder=folder) for folder in folders)
    size = SizeConfig(max_side=128, min_side=64)
    return InterIdConfig(sources=sources, references=references, output=output, task="texture", size=size, **options)


def samples_of(output: Path):
    return list_samples(BenchmarkSet(folder=output, task="texture", track="inter_id"))


def test_draw_uses_every_source_before_one_comes_twice(folders):
    sources, references = map(list_photographs, folders)
    pairs = [(each.source, each.reference) for each in draw_pairs(sources, references, seed=3)]
    assert len(set(pairs)) == len(pairs) == 6
    assert {source for source, _ in pairs[:3]} == set(sources)
    assert {reference for _, reference in pairs[:2]} == set(references)
    assert pairs == [(each.source, each.reference) for each in draw_pairs(sources, references, seed=3)]


def test_drawn_set_waits_for_its_prompts_and_keeps_them(folders, tmp_path, capsys):
    output = tmp_path / "set"
    config = config_of(folders, output, num_triplets=4)
    build_inter_id(config)
    benchmark = BenchmarkSet(folder=output, task="texture", track="inter_id")
    assert find_faults(benchmark) == []
    (fault,) = find_faults(benchmark, NEEDS)
    assert "no prompt in prompts.json" in fault and "000, 001, 002, 003 (4 samples)" in fault
    assert f"prompts to fill in: 4, in {output / 'prompts.json'}" in capsys.readouterr().out
    groups = [sample.group for sample in samples_of(output)]
    assert groups[3] == groups[0] and len(set(groups)) == 3

    prompts = json.loads((output / "prompts.json").read_text())
    (output / "prompts.json").write_text(json.dumps(prompts | {"001": "a #blue# hat"}))
    build_inter_id(config)
    assert [sample.prompt for sample in samples_of(output)] == [None, "a #blue# hat", None, None]

    (output / "prompts.json").write_text('{"001": "a #blue# hat",')
    with pytest.raises(UserError, match=r"prompts\.json is not JSON"):
        build_inter_id(config)
    assert "blue" in (output / "prompts.json").read_text()


def test_pairs_of_a_csv_are_taken_in_order_with_their_prompts(folders, tmp_path):
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("source,reference,prompt\n2.jpg,fur.jpg,a hat of #fur#\n0.jpg,0.jpg,\n")
    build_inter_id(config_of(folders, tmp_path / "set", pairs=pairs))
    found = json.loads((tmp_path / "set" / "provenance.json").read_text())["triplets"]
    assert [(each["source"]["file"], each["reference"]["file"]) for each in found.values()] == [
        ("2.jpg", "fur.jpg"),
        ("0.jpg", "0.jpg"),
    ]
    first, second = samples_of(tmp_path / "set")
    assert (first.prompt, second.prompt) == ("a hat of #fur#", None)
    assert (tmp_path / "set" / "masks" / "sources" / "0.png").is_file()
    assert (tmp_path / "set" / "masks" / "references" / "0.png").is_file()


def test_every_bad_pair_is_named(folders, tmp_path):
    write_photograph(folders[1] / "same.jpg", seed=1)
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("source,reference\n9.jpg,8.jpg\n0.jpg,0.jpg\n0.jpg,0.jpg\n1.jpg,same.jpg\n")
    with pytest.raises(UserError) as caught:
        build_inter_id(config_of(folders, tmp_path / "set", pairs=pairs))
    assert str(caught.value).splitlines() == [
        f"{pairs}: 4 faults; fix them:",
        "- row 1: 9.jpg is not among the sources, or has no mask",
        "- row 1: 8.jpg is not among the references, or has no mask",
        "- row 3: 0.jpg with 0.jpg is repeated",
        "- row 4: source and reference are the same picture",
    ]
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "not a readable CSV"), ("a,b\n1,2\n", "expected the columns source, reference; found a, b")],
)
def test_csv_of_other_columns_is_refused(folders, tmp_path, text, message):
    if text:
        (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        build_inter_id(config_of(folders, tmp_path / "set", pairs=tmp_path / "pairs.csv"))


def test_metadata_tells_which_sources_belong_together(folders, tmp_path):
    (tmp_path / "metadata.csv").write_text("file,group\n0.jpg,hats\n1.jpg,hats\n")
    config = config_of(folders, tmp_path / "set", num_triplets=3)
    sources = CollectionConfig(folder=folders[0], metadata=tmp_path / "metadata.csv")
    build_inter_id(InterIdConfig(**{**vars(config), "sources": sources}))
    assert sorted(sample.group for sample in samples_of(tmp_path / "set")) == ["2.jpg", "hats", "hats"]

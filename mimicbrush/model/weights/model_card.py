"""The card of weights on the hub, made of what their run and its evaluation recorded: recipe, data, metrics, limits.

The card says what is not known, and claims nothing that was not measured.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from huggingface_hub import ModelCardData

from mimicbrush.data.licences import UNSTATED, count_licences
from mimicbrush.data.shard_index import list_shards
from mimicbrush.errors import spaced
from mimicbrush.files import read_object
from mimicbrush.hub.upload import markdown_table
from mimicbrush.model.weights.find import INDEX_NAME, OPTIONS_NAME, is_checkpoint_of_run, is_run, run_of
from mimicbrush.run_folder import CONFIG_NAME
from mimicbrush.statistics import MIN_GROUPS
from mimicbrush.yaml_reading import parse_yaml

TAGS = ["mimicbrush", "image-editing", "inpainting", "reference-based"]
RECIPE = {
    "seed": "seed",
    "run.samples_per_step": "samples in a step",
    "recipe.learning_rate": "peak learning rate",
    "recipe.imitative_lora": "rank of adapters; 0: all weights",
    "recipe.train_reference": "reference U-Net trained as well",
    "recipe.reference_drop_prob": "references dropped",
    "recipe.matching_weight": "weight of the matching loss",
    "run.precision": "precision",
    "run.ema_decay": "decay of the averaged weights",
    "network.weights": "weights that training started from",
}
"""Field of a training config -> its words in the card."""


def model_card(exported: Path, *, repo_id: str, weights: Path | None, evaluation: Path | None, licence: str) -> str:
    """Write the card of an exported folder, as Markdown with the hub's metadata.

    weights: the folder that was exported, of which the recipe is read if it is a run; evaluation: the output folder of
    its evaluate.py; licence: identifier of the hub. Raises UserError where one of these is damaged.
    """
    run = _read_config(weights) if weights is not None and is_run(weights) else None
    data = ModelCardData(license=licence, library_name="mimicbrush", pipeline_tag="image-to-image", tags=TAGS)
    sections = {
        "Use": [_use(repo_id)],
        "Recipe": list(_recipe(run, weights)),
        "Data": list(_data(run)),
        "Metrics": list(_metrics(evaluation)),
        "Limits": [f"- {limit}" for limit in _limits(exported, run, evaluation)],
    }
    body = "\n\n".join(f"## {title}\n\n" + "\n".join(lines) for title, lines in sections.items())
    name = repo_id.rpartition("/")[2]
    intro = (
        "Weights that repaint the masked part of a picture so that it imitates a reference picture, in the manner of "
        "MimicBrush ([arXiv 2406.07547](https://arxiv.org/abs/2406.07547)). This page was generated when they were "
        "uploaded."
    )
    return f"---\n{data.to_yaml()}\n---\n\n# {name}\n\n{intro}\n\n{body}\n"


def _use(repo_id: str) -> str:
    return f"""```python
from PIL import Image
from mimicbrush import MimicBrushPipeline

pipe = MimicBrushPipeline.from_pretrained("{repo_id}")
pictures = {{name: Image.open(f"{{name}}.png") for name in ("image", "mask_image", "reference_image")}}
edited = pipe(**pictures).images[0]
```"""


def _recipe(run: Mapping | None, weights: Path | None) -> Iterator[str]:
    if run is None:
        yield "The weights were not uploaded from a training run, so how they were trained is not recorded here."
        return
    steps = _steps_of(weights)
    if steps is not None:
        yield f"Trained for {spaced(steps)} of {spaced(run['run']['max_steps'])} planned steps.\n"
    elif is_checkpoint_of_run(weights):
        yield f"The weights are those of the run's checkpoint {weights.name}.\n"
    rows = [(words, value) for field, words in RECIPE.items() if (value := _value_of(run, field)) is not None]
    parts = {name: part.get("pretrained") for name, part in run["network"].items() if isinstance(part, dict)}
    rows += [(f"{name.replace('_', ' ')} before training", origin) for name, origin in parts.items() if origin]
    yield markdown_table(("setting", "value"), [(words, _portable(value)) for words, value in rows])


def _data(run: Mapping | None) -> Iterator[str]:
    if run is None:
        yield "Not recorded."
        return
    rows, licences = [], Counter()
    for source in run["data"]["sources"]:
        folder = Path(str(source["shards"]))
        summary = read_object(folder / "summary.json") if (folder / "summary.json").is_file() else {}
        kept = (
            f"{spaced(summary['kept'])} of {spaced(summary['inputs'])} {summary['noun']}" if summary else "not recorded"
        )
        pairs = spaced(summary["pairs"]) if summary else "not recorded"
        rows.append((folder.name, source["weight"], kept, pairs))
        licences.update(count_licences(list_shards(folder)) if summary else {UNSTATED: 1})
    yield markdown_table(("shards", "share of the samples", "inputs used", "pairs or samples"), rows)
    stated = [licence for licence, _ in licences.most_common() if licence != UNSTATED]
    others = " For other pictures none is stated." if licences[UNSTATED] else ""
    yield f"\nLicences of the training pictures: {', '.join(stated) or 'none is stated'}.{others if stated else ''}"


def _metrics(evaluation: Path | None) -> Iterator[str]:
    if evaluation is None:
        yield "No evaluation was given."
        return
    results = read_object(evaluation / "results.json", "means", "metrics", "date", "config")
    first = next(iter(results["config"]["editors"]))
    yield f"Means of `evaluate.py` with 95 % bootstrap intervals over groups, {results['date']}; editor `{first}`.\n"
    rows = [
        (each["set"], _title(results["metrics"][each["metric"]]), _mean(each), each["count"], each["groups"])
        for each in results["means"]
        if each["editor"] == first and each["mean"] is not None
    ]
    yield markdown_table(("set", "metric", "mean", "edits", "groups"), rows)


def _limits(exported: Path, run: Mapping | None, evaluation: Path | None) -> Iterator[str]:
    size = read_object(exported / OPTIONS_NAME).get("size")
    yield f"Edits are computed at {size} x {size} pixels and scaled to the picture; finer detail is not drawn."
    recommended = read_object(exported / INDEX_NAME).get("recommended", {})
    if recommended:
        yield "Recommended for edits: " + ", ".join(f"{name} {value}" for name, value in recommended.items()) + "."
    if evaluation is None:
        yield "Nothing is known here about the quality of the edits."
    else:
        results = read_object(evaluation / "results.json", "means")
        groups = max((each["groups"] for each in results["means"]), default=0)
        few = f", fewer than the {MIN_GROUPS} that a comparison needs" if groups < MIN_GROUPS else ""
        yield f"The evaluation covers {groups} independent groups{few}; other pictures may give other results."
    if run is not None and run["data"].get("heldout") is None:
        yield "Training had no held-out data, so overfitting was not watched."
    yield "Edits are not filtered: they show what a reference shows."


def _read_config(run: Path) -> dict:
    return parse_yaml((run_of(run) / CONFIG_NAME).read_text(encoding="utf-8"))


def _steps_of(run: Path) -> int | None:
    """Number of steps in the last line of a run's metrics.csv; None for a checkpoint that is named by its file."""
    path = run / "metrics.csv"
    if is_checkpoint_of_run(run) or not path.is_file():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        steps = [row["step"] for row in csv.DictReader(file) if (row.get("step") or "").isdigit()]
    return int(steps[-1]) if steps else None


def _value_of(config: Mapping, field: str) -> object:
    for name in field.split("."):
        config = config.get(name) if isinstance(config, Mapping) else None
    return config


def _portable(value: object) -> object:
    """The value without the folders of this machine: of an absolute path, its name."""
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _title(metric: Mapping) -> str:
    arrow = {"higher": " ↑", "lower": " ↓"}.get(metric["better"], "")
    unit = f" ({metric['unit']})" if metric["unit"] else ""
    return f"{metric['title']}{unit}{arrow}"


def _mean(each: Mapping) -> str:
    if not isinstance(each["mean"], int | float):
        return str(each["mean"])
    interval = f" [{each['low']:.3f}, {each['high']:.3f}]" if isinstance(each["low"], int | float) else ""
    return f"{each['mean']:.3f}{interval}"

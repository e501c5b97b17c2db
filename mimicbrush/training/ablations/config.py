"""Configuration of ablations: variants of one training run, and the options that each changes."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from functools import cached_property

from mimicbrush.config import config_from_dict, to_plain
from mimicbrush.config_layers import merge_mappings
from mimicbrush.errors import Faults, UserError
from mimicbrush.training.config import TrainConfig

VARIANT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True, kw_only=True)
class AblationsConfig(TrainConfig):
    """Train several variants of one run, one after the other, each in its own folder inside `output`.

    The options of the run apply to all variants.
    """

    variants: dict[str, dict]
    """Variants by name; each lists only the options that it changes, nested as in the run's own YAML."""
    only: str = ""
    """Names of the variants to train, separated by commas; empty: all."""

    def __post_init__(self) -> None:
        faults = Faults()
        with faults.collect():
            super().__post_init__()
        for name, options in self.variants.items():
            faults.check(
                VARIANT_NAME.fullmatch(name) is not None,
                f"variants: {name!r} names a folder; use letters, digits, dots, dashes, underscores",
            )
            faults.check(
                "output" not in options, f"variants.{name}.output: the folder is {self.output / name}; leave it out"
            )
        unknown = [name for name in self.chosen if name not in self.variants]
        if unknown or not self.chosen:
            missing = f"only names {', '.join(unknown)}" if unknown else "there is no variant"
            faults.add(f"{missing}; variants are {', '.join(self.variants) or 'not given'}")
        faults.refuse()
        _ = self.runs  # raises UserError where a variant's options do not fit

    @property
    def chosen(self) -> list[str]:
        """Names of the variants to train, in order."""
        return [name.strip() for name in self.only.split(",")] if self.only else list(self.variants)

    @cached_property
    def runs(self) -> dict[str, TrainConfig]:
        """Training run of each variant; raises UserError that names every fault of their options."""
        faults, runs = Faults(), {}
        for name in self.variants:
            with faults.collect():
                runs[name] = self._run(name)
        faults.refuse()
        return runs

    def _run(self, name: str) -> TrainConfig:
        run = {each.name: to_plain(getattr(self, each.name)) for each in fields(TrainConfig)}
        changed = merge_mappings(run, {**self.variants[name], "output": str(self.output / name)})
        try:
            return config_from_dict(TrainConfig, changed)
        except UserError as error:
            raise UserError(*(f"variants.{name}: {fault}" for fault in error.faults)) from None

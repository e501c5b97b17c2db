"""What the page shows, where, and how much it lets visitors ask for."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mimicbrush.edit.config import LoadConfig
from mimicbrush.editors.mimicbrush.settings import EditSettings
from mimicbrush.errors import Faults

LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")
NAME = re.compile(r"\*|(\*\.)?[\w.-]+|\[[\da-fA-F:.]+\]")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one visitor may ask of the machine."""

    upload_mb: int = 50
    """Of one uploaded file."""
    megapixels: int = 25
    """Of one picture."""
    steps: int = 100
    """Of one edit."""
    results: int = 4
    """Of one edit."""
    references: int = 4
    """Of one edit, side by side on one canvas."""
    seconds: int = 600
    """That one edit may compute; then it is stopped."""
    waiting: int = 8
    """Edits that wait for the one that is computed; more are refused."""

    def __post_init__(self) -> None:
        faults = Faults()
        for name, value in vars(self).items():
            least = 0 if name == "waiting" else 1
            faults.check(value >= least, f"limits.{name} is {value}, expected at least {least}")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class DemoConfig(LoadConfig, EditSettings):
    """A page in the browser: paint a mask on a picture, show a reference, and edit.

    The settings of an edit are those that the page proposes.
    """

    weights: str = "asset:tiny"
    """A training run, a folder or hub repository made by `python -m mimicbrush.model.weights convert`, a released
    mimicbrush.bin, or the small weights that are shipped."""
    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0 lets other machines in, and is answered under every name unless allowed_hosts
    are given."""
    port: int = 7860
    """Port to listen at."""
    allowed_hosts: list[str] = field(default_factory=list)
    """Names under which the page is asked for beside 127.0.0.1, localhost, [::1] and host, for instance a proxy's:
    '[mimic.example.org]', '["*.example.org"]'; requests for others get 400."""
    open_browser: bool = False
    """Show the page at once."""
    limits: Limits = field(default_factory=Limits)
    """What one visitor may ask of the machine."""

    @property
    def names(self) -> list[str]:
        """All that the page answers to, without ports; `*` is any."""
        if self.host in ("0.0.0.0", "::") and not self.allowed_hosts:
            return ["*"]
        return [*LOCAL_NAMES, f"[{self.host}]" if ":" in self.host else self.host, *self.allowed_hosts]

    def __post_init__(self) -> None:
        faults = Faults()
        with faults.collect():
            LoadConfig.__post_init__(self)
        with faults.collect():
            EditSettings.__post_init__(self)
        faults.check(1 <= self.port <= 65535, f"port is {self.port}, expected 1 to 65535")
        for name in self.allowed_hosts:
            faults.check(
                NAME.fullmatch(name) is not None,
                f"allowed_hosts has {name}, expected a name or address without a port, or *.a.name",
            )
        faults.check(
            self.num_inference_steps is None or self.num_inference_steps <= self.limits.steps,
            f"num_inference_steps is {self.num_inference_steps}, expected 1 to limits.steps = {self.limits.steps}",
        )
        faults.refuse()

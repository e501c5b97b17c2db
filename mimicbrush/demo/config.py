"""Configuration of the demo page: its address, the proposed settings, and limits for visitors."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from mimicbrush.edit.kinds.reference_edit import LoadConfig, ReferenceEditConfig
from mimicbrush.edit.subcommands import KINDS
from mimicbrush.editors.mimicbrush.settings import EditSettings
from mimicbrush.editors.text2live.clip_settings import CLIP_PRESETS
from mimicbrush.errors import Faults

LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")
NAME = re.compile(r"\*|(\*\.)?[\w.-]+|\[[\da-fA-F:.]+\]")

GUIDANCE_ON_PAGE = (1, 20)
"""Smallest and largest value of the page's slider; 1 or less means no guidance."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits on the edits that a visitor may ask for."""

    upload_mb: int = 50
    """Largest size of an uploaded file, in megabytes."""
    megapixels: int = 25
    """Largest size at which a picture is edited, in megapixels: a larger one is scaled down, and the result put back
    into the full-size picture. Frames of clips are refused if they are larger."""
    upload_megapixels: int = 64
    """Largest size of an uploaded picture, in megapixels."""
    steps: int = 100
    """Largest number of sampling steps of an edit."""
    results: int = 4
    """Largest number of results of an edit."""
    references: int = 4
    """Largest number of references of an edit."""
    seconds: int = 600
    """Longest computation of an edit, in seconds; then it is stopped."""
    uploads_per_minute: int = 60
    """Largest number of files that a client may upload within a minute."""
    client_mb: int = 1000
    """Largest volume of uploads of a client within an hour, in megabytes."""
    workspace_mb: int = 5000
    """Largest size of all uploads and results together, in megabytes; beyond it, the oldest are deleted."""
    waiting: int = 8
    """Largest number of edits that wait while another one is computed; further requests are refused."""

    def __post_init__(self) -> None:
        faults = Faults()
        for name, value in vars(self).items():
            least = 0 if name == "waiting" else 1
            faults.check(value >= least, f"limits.{name} is {value}, expected at least {least}")
        faults.check(
            self.upload_megapixels >= self.megapixels,
            f"limits.upload_megapixels is {self.upload_megapixels}, expected at least limits.megapixels ="
            f" {self.megapixels}",
        )
        for name in ("client_mb", "workspace_mb"):
            faults.check(
                getattr(self, name) >= self.upload_mb,
                f"limits.{name} is {getattr(self, name)}, expected at least limits.upload_mb = {self.upload_mb}",
            )
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class DemoConfig(LoadConfig, EditSettings):
    """A page in the browser: paint a mask on a picture, choose a reference, and edit. Settings of an edit given here
    are the page's initial values."""

    weights: str = "asset:tiny"
    """A training run, a folder or hub repository made by `python -m mimicbrush.model.weights convert`, a released
    mimicbrush.bin, or asset:tiny, the small weights shipped with this package."""
    quick: bool | None = None
    """Whether the box *Quick*, for few steps without guidance, is ticked at first; null: where the weights come with
    that mode, in which asset:tiny is better. true: weights without it are refused."""
    editors: dict[str, dict] = field(default_factory=dict)
    """Editors by kind of edit, each with a tab of its own: '{text: {class_path: my_package.MyEditor, init_args: {}}}'.
    Without one for reference, the weights edit by references."""
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 makes the page available to other machines, under any host name unless
    allowed_hosts is given. Then password_file or open is needed."""
    port: int = 7860
    """Port to listen on, 1 to 65535."""
    allowed_hosts: list[str] = field(default_factory=list)
    """Further host names under which the page answers, for instance that of a proxy: '[mimic.example.org]',
    '["*.example.org"]'. Requests for other names get status 400; 127.0.0.1, localhost, [::1] and host are always
    allowed."""
    password_file: Path | None = None
    """File whose first line is the password that visitors have to enter."""
    open: bool = False
    """Let everybody who reaches the address use the page without a password."""
    open_browser: bool = False
    """Open the page in a browser once it is ready."""
    flow_network: str | None = None
    """RAFT weights that estimate the motion of two frames, loaded when they are first needed: a file, a folder, a hub
    repository, or asset:flow; null: DIS, a classical method of OpenCV, which needs no weights and is better than
    asset:flow on real clips."""
    flow_side: int = 512
    """Longer side in pixels to which frames are scaled before their motion is estimated; 128 for asset:flow."""
    atlases: Path | None = None
    """Folder with a folder for each atlas that python -m mimicbrush.atlas has made; the page then has a tab that edits
    the clips of these atlases."""
    layer_clip: str | None = None
    """The CLIP that judges layers which prompts draw over these clips, in transformers' layout: a folder, a repository
    of the hub, or asset:clip; null: that tab takes references alone."""
    layer_preset: str = "release"
    """Settings of these layers: release, as published, or small, for small machines."""
    segmenter: str | None = None
    """Weights of Segment Anything, by which a click selects a thing, loaded when they are first needed: a folder or hub
    repository; null: GrabCut, which needs no weights, within a box that the visitor drags."""
    limits: Limits = field(default_factory=Limits)
    """Limits on the edits that a visitor may ask for."""

    @property
    def loads_weights(self) -> bool:
        """Whether MimicBrush edits by references, and not another editor."""
        return ReferenceEditConfig.kind not in self.editors

    @property
    def announcement(self) -> str:
        """The first words of the command, printed before heavy imports."""
        others = [f"loading {spec['class_path']}" for spec in self.editors.values()]
        return "; ".join([super().announcement, *others] if self.loads_weights else others)

    @property
    def is_local(self) -> bool:
        """Whether only programs on this machine can reach the page."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def names(self) -> list[str]:
        """All host names that the page answers to, without ports; `*` is any."""
        if self.host in ("0.0.0.0", "::") and not self.allowed_hosts:
            return ["*"]
        return [*LOCAL_NAMES, f"[{self.host}]" if ":" in self.host else self.host, *self.allowed_hosts]

    def __post_init__(self) -> None:
        faults = Faults()
        with faults.collect():
            LoadConfig.__post_init__(self)
        with faults.collect():
            EditSettings.__post_init__(self)
        for kind, spec in self.editors.items():
            faults.check(
                kind in KINDS,
                f"editors.{kind}: no such kind of edit; choose from {', '.join(KINDS)}",
            )
            faults.check(
                isinstance(spec.get("class_path"), str) and not set(spec) - {"class_path", "init_args"},
                f"editors.{kind} is {spec}, expected {{class_path: ..., init_args: ...}}",
            )
        faults.check(
            self.is_local or self.open or self.password_file is not None,
            f"host is {self.host}, which other machines can reach; give --password_file FILE, or --open if everybody"
            " may use the page",
        )
        faults.check(
            not (self.open and self.password_file is not None),
            f"open and password_file ({self.password_file}) exclude each other; give one of them",
        )
        self._check_atlases(faults)
        faults.check(self.flow_side >= 16, f"flow_side is {self.flow_side}, expected at least 16 pixels")
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
        faults.check(
            self.guidance_scale is None or self.guidance_scale <= GUIDANCE_ON_PAGE[1],
            f"guidance_scale is {self.guidance_scale}, expected at most {GUIDANCE_ON_PAGE[1]}, the page's largest",
        )
        faults.refuse()

    def _check_atlases(self, faults: Faults) -> None:
        faults.check(
            self.atlases is None or self.atlases.is_dir(),
            f"atlases is {self.atlases}, where no folder is; make an atlas with python -m mimicbrush.atlas --clip CLIP"
            f" --output {self.atlases}/NAME",
        )
        faults.check(
            self.layer_clip is None or self.atlases is not None,
            "layer_clip draws layers over clips that have an atlas; give the folder of atlases, too",
        )
        faults.check(
            self.layer_preset in CLIP_PRESETS,
            f"layer_preset is {self.layer_preset}, expected one of {', '.join(CLIP_PRESETS)}",
        )

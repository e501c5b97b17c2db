"""Add LoRA files to a network's weights, scale them, and remove them exactly."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from diffusers import SchedulerMixin
from torch import Tensor

from mimicbrush.config import to_plain
from mimicbrush.errors import UserError
from mimicbrush.model.config import RecommendedSettings
from mimicbrush.model.lora import add_low_rank
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.weights.exported_folder import recommended_scheduler
from mimicbrush.model.weights.find import FEW_STEPS_NAME
from mimicbrush.model.weights.lora_file import LoraFile, fingerprint, read_lora, require_lora_fits
from mimicbrush.model.weights.run_checkpoint import split_parts

QUICK = "quick"
"""Name of the adapter that `set_quick` loads."""

log = logging.getLogger(__name__)


class LoraLoader:
    """A pipeline's methods for LoRA files, named as in diffusers.

    At scale s, an adapter adds s B A to its layer's weight, and a whole trained tensor is interpolated with the base's:
    at 0 the network equals the base, bit for bit, at 1 the run. Weights are changed in place, so that edits are as fast
    as without adapters; the base's tensors are kept on their device.
    """

    network: MimicBrushNetwork
    scheduler: SchedulerMixin
    few_steps: Path | None = None
    """The LoRA file for few steps that came with the weights, if there is one."""

    def load_lora_weights(
        self, path: str | Path, adapter_name: str | None = None, *, weight_name: str | None = None
    ) -> None:
        """Add a file made by `python -m mimicbrush.model.weights lora`, at scale 1, to those that are active.

        weight_name: name of the file, if `path` is its folder. Warns where the file was trained on another base. A file
        for few steps brings its sampler and its recommended settings, which hold while it is active. Raises UserError
        where the file is damaged or does not fit, or weights are offloaded layer by layer.
        """
        lora = read_lora(Path(path, weight_name or ""))
        network, loras = self.network, self._loras
        name = adapter_name or f"default_{len(loras.files)}"
        if name in loras.files:
            raise UserError(f"an adapter {name} is loaded already; choose another adapter_name or unload it")
        require_lora_fits(lora, network)
        loras.require_weights(network)
        _warn_of_other_base(lora, loras.base_tensors(network))
        loras.files[name] = lora
        self.set_adapters([*loras.scales, name], [*loras.scales.values(), 1.0])

    def set_adapters(self, adapter_names: str | Sequence[str], adapter_weights: float | Sequence[float] = 1.0) -> None:
        """Activate adapters at these scales, one for all or one each; all other adapters are at 0.

        Raises UserError where an adapter is not loaded.
        """
        names = [adapter_names] if isinstance(adapter_names, str) else list(adapter_names)
        scales = [adapter_weights] * len(names) if isinstance(adapter_weights, int | float) else list(adapter_weights)
        loaded = ", ".join(self._loras.files) or "none"
        if unknown := [name for name in names if name not in self._loras.files]:
            raise UserError(f"no adapter {unknown[0]} is loaded; loaded: {loaded}")
        if len(names) != len(scales):
            raise UserError(f"{len(scales)} adapter_weights for {len(names)} adapters; give one for all, or one each")
        self._loras.apply(self.network, dict(zip(names, scales, strict=True)))
        self._take_settings()

    def set_quick(self, is_quick: bool) -> None:
        """Edit in few steps, with the LoRA file that came with the weights; false: without it.

        Raises UserError where the weights came without one.
        """
        others = {name: scale for name, scale in self._loras.scales.items() if name != QUICK}
        if not is_quick:
            if len(others) < len(self._loras.scales):
                self.set_adapters(list(others), list(others.values()))
        elif self.few_steps is None:
            raise UserError(
                f"these weights come without {FEW_STEPS_NAME}; leave quick out, or give such a file as lora"
            )
        elif QUICK not in self._loras.files:
            self.load_lora_weights(self.few_steps, QUICK)
        elif len(others) == len(self._loras.scales):
            self.set_adapters([*others, QUICK], [*others.values(), 1.0])

    def get_active_adapters(self) -> list[str]:
        """Names of the active adapters, in the order of `set_adapters`."""
        return list(self._loras.scales)

    def unload_lora_weights(self) -> None:
        """Restore the base's tensors and forget all adapters."""
        self._loras.apply(self.network, {})
        self._take_settings()
        self._loras.files.clear()

    def _take_settings(self) -> None:
        """Take sampler and recommended settings of the last active file that has some, or else the base's again."""
        loras, options = self._loras, self.network.options
        found = [loras.files[name].recommended for name, scale in loras.scales.items() if scale]
        recommended = next((each for each in reversed(found) if each is not None), None)
        if recommended is None and loras.base_settings is None:
            return
        if loras.base_settings is None:
            loras.base_settings = options.recommended, self.scheduler
        if recommended is None:
            (recommended, scheduler), loras.base_settings = loras.base_settings, None
        else:
            scheduler = recommended_scheduler(replace(options, recommended=recommended))
        # The pipeline builds its network anew from its config where a component is replaced.
        self.register_to_config(network_options=to_plain(replace(options, recommended=recommended)))
        self.scheduler = scheduler

    @property
    def _loras(self) -> LoadedLoras:
        return vars(self).setdefault("_loaded_loras", LoadedLoras())


def load_lora(network: MimicBrushNetwork, path: Path) -> None:
    """Add a LoRA file to a network for good, at scale 1, with the settings that it recommends.

    Raises UserError where the file is damaged or does not fit; warns where it was trained on another base.
    """
    lora, loras = read_lora(path), LoadedLoras()
    require_lora_fits(lora, network)
    _warn_of_other_base(lora, network.state_dict())
    loras.files["lora"] = lora
    loras.apply(network, {"lora": 1.0})
    if lora.recommended is not None:
        network.options = replace(network.options, recommended=lora.recommended)


class LoadedLoras:
    """Loaded files by adapter name, the scales of active ones, and the base's tensors that they change."""

    def __init__(self) -> None:
        self.files: dict[str, LoraFile] = {}
        self.scales: dict[str, float] = {}
        self.base: dict[str, Tensor] = {}
        self.base_settings: tuple[RecommendedSettings, SchedulerMixin] | None = None
        """Settings and sampler of the base, while those of a file are in use."""

    @torch.no_grad()
    def apply(self, network: MimicBrushNetwork, scales: dict[str, float]) -> None:
        """Set the network's weights to the base's plus the adapters at these scales; other adapters add nothing."""
        self.require_weights(network)
        parameters = dict(network.named_parameters())
        for name in {name: None for lora in self.files.values() for name in _changed(lora)}:
            base = self.base.setdefault(name, parameters[name].data)
            value = base
            for adapter_name, scale in scales.items():
                value = _added(value, base, self.files[adapter_name], name, scale)
            parameters[name].data = value.to(parameters[name])
        self.scales = scales

    def base_tensors(self, network: MimicBrushNetwork) -> dict[str, Tensor]:
        """The network's tensors without the adapters."""
        return {**network.state_dict(), **self.base}

    def require_weights(self, network: MimicBrushNetwork) -> None:
        """Raise UserError where weights are offloaded layer by layer, as in sequential offload."""
        if any(parameter.is_meta for parameter in network.parameters()):
            raise UserError("weights that are offloaded layer by layer cannot be changed; load LoRA files before that")


def _changed(lora: LoraFile) -> list[str]:
    """Names of the parameters that the file changes."""
    return [*(f"{layer}.weight" for layer in lora.adapters), *lora.whole]


def _added(value: Tensor, base: Tensor, lora: LoraFile, name: str, scale: float) -> Tensor:
    """Add the file's update of this parameter to `value`, in float32; at scale 0 return `value` itself."""
    adapter, trained = lora.adapters.get(name.removesuffix(".weight")), lora.whole.get(name)
    if scale == 0:
        return value
    if adapter is not None:
        up, down = (each.to(value.device) for each in (adapter.up, adapter.down))
        value = add_low_rank(value, up=up, down=down, scale=scale * adapter.alpha / adapter.rank)
    if trained is not None:
        value = value.float() + scale * (trained.to(base.device, torch.float32) - base.float())
    return value


def _warn_of_other_base(lora: LoraFile, tensors: dict[str, Tensor]) -> None:
    parts = split_parts({name: tensor for name, tensor in tensors.items() if name not in lora.whole})
    other = [
        part
        for part, by_precision in lora.fingerprints.items()
        if all(fingerprint(parts.get(part, {}), precision) != found for precision, found in by_precision.items())
    ]
    if other:
        log.warning(
            f"{lora.path} was trained on {lora.base}, and these weights have another {', '.join(other)}: edits will"
            " not be those of its run; load it on that base"
        )

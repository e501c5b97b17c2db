"""A second device on a machine that has none, to see where the host waits for it.

The device computes on the CPU, behind tensors that claim to be elsewhere: values are right, every copy between the two
is an operation that can be seen, and tensors of both do not mix. Operations for which the host would wait for a GPU
are recorded.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from lightning.pytorch.accelerators import Accelerator
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode

from tests.conftest import REPOSITORY

aten = torch.ops.aten
NAME = "far"
PACKAGE = str(REPOSITORY / "mimicbrush")

READS = {
    aten._local_scalar_dense,
    aten.nonzero,
    aten.masked_select,
    aten._unique2,
    aten.unique_dim,
    aten.unique_consecutive,
    aten.repeat_interleave,
    aten.bincount,
    aten.equal,
    aten.is_nonzero,
    aten._linalg_check_errors,
}
"""Operations whose result the host needs: a number, or the size of the output."""
COPIES = {aten._to_copy, aten.copy_}
INDEXING = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_}
# The device counts boolean indices before it uses them.
BOOLEANS = (torch.bool, torch.uint8)


class Wait(NamedTuple):
    """Place at which the host waits until the device has finished all its work."""

    operation: str
    where: str
    """The innermost function of the project, and that of a library if it is the one that waits."""


class FarTensor(Tensor):
    """Tensor that claims to be on the device; `near` holds its values."""

    near: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, near: Tensor) -> FarTensor:
        far = Tensor._make_wrapper_subclass(
            cls, near.shape, strides=near.stride(), dtype=near.dtype, device=torch.device(NAME, 0)
        )
        far.near = near
        return far

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _compute(func, args, kwargs or {})


class FarDevice(TorchDispatchMode):
    """Context in which tensors can be sent to the device; `waits` lists where the host has waited."""

    def __init__(self) -> None:
        super().__init__()
        if not hasattr(torch, NAME):
            _register()
        self.device = torch.device(NAME, 0)
        self.waits: list[Wait] = []
        self._python = _PythonCalls(self)

    def __enter__(self) -> FarDevice:
        self._python.__enter__()
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._python.__exit__(*error)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if not _is_far(kwargs.get("device")) and not any(map(_is_far, _leaves((args, kwargs)))):
            return func(*args, **kwargs)
        if _makes_wait(func, args, kwargs):
            self.note(str(func.overloadpacket))
        return _compute(func, args, kwargs)

    def note(self, operation: str) -> None:
        """Record that the host waits at this place."""
        self.waits.append(Wait(operation, _where()))


class FarAccelerator(Accelerator):
    """Accelerator for Lightning."""

    def setup_device(self, device: torch.device) -> None: ...

    def teardown(self) -> None: ...

    def get_device_stats(self, device: torch.device) -> dict:
        return {}

    @staticmethod
    def parse_devices(devices: object) -> int:
        return 1

    @staticmethod
    def get_parallel_devices(devices: object) -> list[torch.device]:
        return [torch.device(NAME, 0)]

    @staticmethod
    def auto_device_count() -> int:
        return 1

    @staticmethod
    def is_available() -> bool:
        return True

    @staticmethod
    def name() -> str:
        return NAME


class _Module(backend_registration._DummyBackendModule):
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]


class _PythonCalls(TorchFunctionMode):
    """Intercepts calls that do not pass through the dispatcher."""

    def __init__(self, device: FarDevice) -> None:
        super().__init__()
        self.device = device

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is Tensor.pin_memory:
            pinned = args[0].clone()
            pinned.is_pinned_for_far = True
            return pinned
        if func is Tensor.tolist and _is_far(args[0]):
            return args[0].cpu().tolist()
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") and not _is_far(args[0]):
            return func(*args, **kwargs | {"device": "cpu"}).to(kwargs["device"])
        return func(*args, **kwargs)


def _register() -> None:
    backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=_Module())
    # Autocast does not cast on this device.
    FarDevice.autocast = torch.library.Library("_", "IMPL", "AutocastPrivateUse1")
    FarDevice.autocast.fallback(torch.library.fallthrough_kernel)


def _is_far(value: object) -> bool:
    """Whether a tensor is on the device, or a device is this one."""
    return value.type == NAME if isinstance(value, torch.device) else isinstance(value, FarTensor)


# Torch's own functions for trees take three times as long, which matters in 40,000 operations.
def _leaves(tree: object) -> Iterator[object]:
    if isinstance(tree, list | tuple | dict):
        for branch in tree.values() if isinstance(tree, dict) else tree:
            yield from _leaves(branch)
    else:
        yield tree


def _map(function: Callable[[object], object], tree: object) -> object:
    """Replace each leaf of a tree by the function's result."""
    if isinstance(tree, dict):
        return {name: _map(function, branch) for name, branch in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)([_map(function, branch) for branch in tree])
    return function(tree)


def _compute(func, args: tuple, kwargs: dict) -> object:
    """Result of the operation, on the device of its operands or the one that it names."""
    device = kwargs.get("device")
    leaves = list(_leaves((args, kwargs)))
    far = [value for value in leaves if isinstance(value, FarTensor)]
    is_far = bool(far) if device is None else _is_far(device)
    if far and func.overloadpacket not in COPIES | INDEXING:
        strays = [value for value in leaves if type(value) is Tensor and value.dim()]
        assert not strays, f"{func} mixes tensors of two devices"
    args, kwargs = _map(lambda value: value.near if isinstance(value, FarTensor) else value, (args, kwargs))
    if device is not None:
        kwargs["device"] = torch.device("cpu")
    result = func(*args, **kwargs)
    if func.overloadpacket is aten._to_copy and device is not None:
        # A copy to another device is a new tensor; a copy within the CPU may be the same one.
        result = result.clone()
    if not is_far:
        return result
    owners = {id(value.near): value for value in far}

    def wrap(value: object) -> object:
        if not isinstance(value, Tensor):
            return value
        # In-place operations return their input.
        return owners[id(value)] if id(value) in owners else FarTensor(value)

    return _map(wrap, result)


def _makes_wait(func, args: tuple, kwargs: dict) -> bool:
    packet = func.overloadpacket
    if packet is aten.repeat_interleave:
        return kwargs.get("output_size") is None
    if packet in READS:
        return True
    if packet in INDEXING:
        indices = [index for index in args[1] if index is not None]
        return any(index.dtype in BOOLEANS or not _is_far(index) for index in indices)
    if packet not in COPIES:
        return False
    if packet is aten.copy_:
        source, goes_far = args[1], _is_far(args[0])
        non_blocking = args[2] if len(args) > 2 else kwargs.get("non_blocking", False)
    else:
        device = kwargs.get("device")
        source, non_blocking = args[0], kwargs.get("non_blocking", False)
        goes_far = _is_far(source) if device is None else _is_far(device)
    if _is_far(source) == goes_far:
        return False
    # A driver copies pageable memory after all earlier work, so `non_blocking` alone does not help.
    return not non_blocking or (goes_far and not getattr(source, "is_pinned_for_far", False))


def _where() -> str:
    """Find the innermost functions of the project and of a library on the stack, without those of this file."""
    ours, library = "", ""
    frame = sys._getframe()
    while frame and not ours:
        path = frame.f_code.co_filename
        place = f"{path.rpartition('/')[2]}:{frame.f_code.co_qualname}"
        if path.startswith(PACKAGE):
            ours = place
        elif "site-packages" in path and "/torch/" not in path and not library:
            library = place
        frame = frame.f_back
    return " < ".join(place for place in (library, ours) if place)

"""A GPU that is not there: code runs as it would on one, and whatever would make the host wait for it is an error.

Tensors on it are PyTorch's fake ones: they have shape, dtype and device, and no values. So all that looks at values
fails on them by itself: ``item``, ``nonzero``, a mask as an index, sizes that depend on what was found. Copies would
not, and are refused here: to the host always, to the GPU unless ``non_blocking`` asks not to wait.

PyTorch computes no gradients for a device that it cannot find: they are taken to be zero. `HostWaits` looks at those,
on the CPU.
"""

from __future__ import annotations

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

GPU = torch.device("cuda", 0)

_TO_HOST = {torch.Tensor.cpu, torch.Tensor.numpy, torch.Tensor.tolist}
_CONSTANTS = {torch.tensor, torch.as_tensor, torch.asarray}


class WaitedError(Exception):
    """The host would have waited for the GPU."""


class ImaginedGenerator(torch.Generator):
    """Says that it draws on the GPU."""

    device = GPU


class ImaginedGpu(TorchFunctionMode):
    """Inside, tensors may be made on `GPU`.

    Attributes:
        constants: whether constants may be copied there; they are kept, so that they are copied once.
        trained: what ``backward`` gives gradients to.
    """

    def __init__(self) -> None:
        self._fake = FakeTensorMode()
        self.constants = True
        self.trained: list[torch.Tensor] = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if isinstance(kwargs.get("generator"), ImaginedGenerator) and _is_gpu(kwargs.get("device")):
            del kwargs["generator"]
        if func is torch.Tensor.pin_memory:
            return args[0]
        if func is torch.Tensor.backward:
            for each in self.trained:
                each.grad = torch.zeros_like(each)
            return None
        on_gpu = [each for each in tree_leaves((args, kwargs)) if isinstance(each, FakeTensor)]
        if func in _TO_HOST and on_gpu:
            raise WaitedError(f"{func.__name__}() of {on_gpu[0].shape}")
        if func is torch.Tensor.to and isinstance(args[0], torch.Tensor):
            return self._moved(func, args, kwargs)
        if not on_gpu and not _is_gpu(kwargs.get("device")):
            return func(*args, **kwargs)
        if func in _CONSTANTS and not self.constants:
            raise WaitedError(f"{func.__name__}() copies {args[0]} to the GPU")
        with self._fake:
            return func(*args, **kwargs)

    def _moved(self, func, args, kwargs):
        device = next((each for each in (*args[1:], kwargs.get("device")) if _is_device(each)), None)
        if isinstance(args[0], FakeTensor):
            if device is not None and not _is_gpu(device):
                raise WaitedError(f"{args[0].shape} is copied to the host")
        elif _is_gpu(device):
            if not kwargs.get("non_blocking") and not self.constants:
                raise WaitedError(f"{args[0].shape} is copied to the GPU")
            with self._fake:
                return func(self._fake.from_tensor(args[0]), *args[1:], **kwargs)
        return func(*args, **kwargs)


class HostWaits(TorchDispatchMode):
    """Records operations that would make the host wait for a GPU, gradients included, while they run on the CPU.

    Attributes:
        found: their names, one for each time.
    """

    _NAMES = ("nonzero", "local_scalar_dense", "masked_select", "unique", "bincount", "equal")

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__.lstrip("_")
        if name.startswith(self._NAMES):
            self.found.append(name)
        if name.startswith(("index", "unsafe_index")) and isinstance(args[1], list | tuple):
            masks = [each for each in args[1] if each is not None and each.dtype in (torch.bool, torch.uint8)]
            self.found += [name] * bool(masks)
        return func(*args, **(kwargs or {}))


def _is_device(value: object) -> bool:
    return isinstance(value, torch.device) or (isinstance(value, str) and value.split(":")[0] in ("cpu", "cuda"))


def _is_gpu(value: object) -> bool:
    return _is_device(value) and torch.device(value).type == "cuda"

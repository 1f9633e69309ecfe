"""Building modules whose weights are about to be loaded: drawing random ones first takes longer than the load."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch.nn import init
from torch.overrides import TorchFunctionMode

# The functions of nn.init that can be overridden come here themselves, and what they call then does not.
_DRAWN = frozenset(
    {
        *(torch.Tensor.normal_, torch.Tensor.uniform_),
        *(init.uniform_, init.normal_, init.kaiming_uniform_, init.kaiming_normal_),
    }
)


class WithoutRandomInit(TorchFunctionMode):
    """Inside, ``normal_``, ``uniform_`` and what `torch.nn.init` makes of them leave tensors as they were allocated.

    For modules of which every parameter and buffer is then loaded, as `Detector.from_files` checks; what else they
    hold must not come from these functions. Of this thread alone.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Runs any other function as it is."""
        given = kwargs or {}
        if func in _DRAWN:
            return args[0] if args else given["tensor"]
        return func(*args, **given)

"""A moving average of the weights while they train: noise of single steps evens out, at the cost of one more copy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from kdzoo.errors import CheckpointError


class WeightAverage:
    """The exponential moving average of what a stage trains: its weights, and the statistics of its batch norms.

    After step t the average keeps ``min(decay, (1 + t) / (10 + t))`` of itself, so that it soon forgets the weights
    that training started from. It takes the memory of the weights once more, and a step one more pass over them.

    Args:
        modules: what trains; the average starts as they are.
        decay: what the average keeps of itself in the long run, in (0, 1).
    """

    def __init__(self, modules: Sequence[nn.Module], decay: float) -> None:
        self._decay = decay
        self._steps = 0
        named = {f"{index}.{name}": tensor for index, each in enumerate(modules) for name, tensor in _tensors(each)}
        self._names, self._live = list(named), list(named.values())
        self._kept = [tensor.detach().clone() for tensor in self._live]

    @torch.no_grad()
    def update(self) -> None:
        """After a step."""
        self._steps += 1
        weight = 1 - min(self._decay, (1 + self._steps) / (10 + self._steps))
        torch._foreach_lerp_(self._kept, self._live, weight)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside, the modules hold the averages; no step may be taken."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def settle(self) -> None:
        """The modules hold the averages from now on; for the end of a stage."""
        self._swap()

    def state(self) -> dict[str, Any]:
        """Steps and averages, the tensors the average's own."""
        return {"steps": self._steps, "tensors": dict(zip(self._names, self._kept, strict=True))}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Goes on from a `state`.

        Raises:
            CheckpointError: it is of other modules, or not finite.
        """
        tensors = state["tensors"]
        if set(tensors) != set(self._names):
            raise CheckpointError("the averaged weights are not those of this stage")
        for name, kept in zip(self._names, self._kept, strict=True):
            given = tensors[name]
            if not isinstance(given, Tensor) or given.shape != kept.shape or not torch.isfinite(given).all():
                raise CheckpointError(f"the averaged weights do not fit this stage: '{name}'")
            kept.copy_(given)
        self._steps = int(state["steps"])

    def _swap(self) -> None:
        for live, kept in zip(self._live, self._kept, strict=True):
            live.data, kept.data = kept.data, live.data


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters, and buffers of floating point: counters are not averaged."""
    yield from module.named_parameters()
    yield from ((name, buffer) for name, buffer in module.named_buffers() if buffer.is_floating_point())

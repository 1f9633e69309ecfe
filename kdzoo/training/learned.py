"""Weights on their way into a method: all that it learns and nothing else, finite and of the right shapes."""

from __future__ import annotations

import torch
from torch import Tensor

from kdzoo.errors import CheckpointError
from kdzoo.methods.base import Method
from kdzoo.training.checkpoint import fits


def load_learned(method: Method, state: dict[str, Tensor]) -> None:
    """Loads the weights of everything but the teacher, all of them and no others.

    Raises:
        CheckpointError: they do not fit, and the method is left as it was.
    """
    check_learned(method, state)
    with torch.no_grad():
        for name in method.lengths():
            method.get_buffer(name).resize_(state[name].shape)
        for name, tensor in method.learned_state().items():
            tensor.copy_(state[name])


def check_learned(method: Method, state: dict[str, Tensor]) -> None:
    """Checks names, shapes and values of a method's weights.

    Raises:
        CheckpointError: a tensor is missing, unknown, misshapen, NaN or infinite.
    """
    current, lengths = method.learned_state(), method.lengths()
    if set(state) != set(current):
        odd = min(set(state) ^ set(current))
        raise CheckpointError(f"the weights do not fit the method: '{odd}' is missing or unknown")
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor) or not fits(tensor, current[name], lengths.get(name)):
            raise CheckpointError(f"the weights do not fit the method: '{name}' has another shape")
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise CheckpointError(f"the weights do not fit the method: '{name}' holds NaN or infinite values")

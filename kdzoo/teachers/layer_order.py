"""Weights under anybody's names, for a backbone with the same layers in the same order.

A state dict that PyTorch wrote lists tensors as the layers stand in the model's code. Two ports of one network mostly
keep that order, whatever they call the layers. So tensors are paired by their place, and each pair must have the same
shape and agree on the last part of the name: ``_blocks.0._bn1.running_var`` with ``blocks.0.0.bn1.running_var``.

What shapes do not show is not checked: activations, padding, the epsilon of batch norms.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import zip_longest

from torch import Tensor

from kdzoo.errors import CheckpointError

_COUNT = "num_batches_tracked"
_WITHIN = "model."


def named_by_order(
    given: Mapping[str, Tensor], model: Mapping[str, Tensor], *, needed: Collection[str]
) -> dict[str, Tensor]:
    """A state dict under the names of a model that has the same layers in the same order.

    Counts of batches may be absent on either side and are left out. After the last tensor that is needed the two may
    part: a file without a classifier, or with another one, gives what stands before it.

    Args:
        given: the file's tensors, in its order.
        model: the model's own state dict, in its order, for names and shapes.
        needed: names of the model's that must be found; dots and underscores in them count the same.

    Returns:
        The needed tensors, and those around them as far as the two agree.

    Raises:
        CheckpointError: they part before all that is needed is found; says where.
    """
    missing = {plain(name) for name in needed if not name.endswith(_COUNT)}
    found: dict[str, Tensor] = {}
    theirs = (name for name in given if not name.endswith(_COUNT))
    ours = (name for name in model if not name.endswith(_COUNT))
    for own, name in zip_longest(theirs, ours):
        if own is None or name is None or not _alike(own, given[own], name, model[name]):
            if missing:
                raise CheckpointError(_parting(given, own, model, name, len(found)))
            break
        found[name] = given[own]
        missing.discard(plain(name))
    if missing:
        raise CheckpointError(f"the model has no '{min(missing)}'")
    return found


def _alike(own: str, value: Tensor, name: str, like: Tensor) -> bool:
    return value.shape == like.shape and own.rpartition(".")[2] == name.rpartition(".")[2]


def _parting(
    given: Mapping[str, Tensor], own: str | None, model: Mapping[str, Tensor], name: str | None, agreed: int
) -> str:
    """Says where the two part."""
    here = "nothing" if own is None else f"'{own}' {tuple(given[own].shape)}"
    there = "nothing" if name is None else f"'{name}' {tuple(model[name].shape)}"
    return f"after {agreed} tensors that agree the file has {here} where the backbone has {there}"


def plain(name: str) -> str:
    """A tensor's name, the same for a whole model as for one of timm's that gives features only.

    There timm writes ``stages.0`` as ``stages_0``, or as ``model.stages.0`` where it keeps the whole model within.
    """
    return name.removeprefix(_WITHIN).replace("_", ".")

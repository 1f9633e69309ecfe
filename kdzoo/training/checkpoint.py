"""Files of a trial: its resume state and its weights, written whole or not at all, read without running any code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load, save
from torch import Tensor

from kdzoo.errors import CheckpointError, StorageError
from kdzoo.storage import write_file
from zoo_registry.store.files import open_regular


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Writes tensors as safetensors; the same tensors give the same bytes."""
    write_file(path, tensor_bytes(tensors))


def tensor_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Tensors as safetensors; the same tensors give the same bytes."""
    made: bytes = save({key: value.detach().cpu().contiguous() for key, value in tensors.items()})
    return made


def read_whole(path: Path, what: str) -> bytes:
    """All of a plain file at once: what is compared with a digest is what is used, whoever writes to it meanwhile.

    Args:
        path: the file.
        what: it holds, for the message.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        with open_regular(path) as file:
            return file.read()
    except OSError as error:
        raise StorageError(f"cannot read {what} '{path}': {error.strerror or error}") from error


def load_tensors(
    path: Path,
    expected: Mapping[str, Tensor],
    *,
    optional: Mapping[str, Tensor] | None = None,
    lengths: Mapping[str, int] | None = None,
    data: bytes | None = None,
) -> dict[str, Tensor]:
    """Reads a safetensors file that must hold just the expected tensors.

    Args:
        path: the file.
        expected: names to tensors of the right shape and dtype.
        optional: likewise, of tensors that may be there as well: all of them or none.
        lengths: of tensors whose first axis may have any length but 0: the longest it may have.
        data: what the file held when it was compared with a digest; it is not read again then.

    Raises:
        CheckpointError: damaged, or a tensor is missing, extra, misshapen, of another dtype or not finite.
    """

    def check(names: set[str]) -> Mapping[str, Tensor]:
        asked = {**expected, **optional} if optional and names & optional.keys() else expected
        _check_names(path, names, set(asked))
        return asked

    try:
        if data is not None:
            loaded: dict[str, Tensor] = load(data)
            expected = check(set(loaded))
        else:
            with safe_open(path, framework="pt") as file:
                expected = check(set(file.keys()))
                loaded = {name: file.get_tensor(name) for name in expected}
    except CheckpointError:
        raise
    except Exception as error:  # of a damaged header the reader raises several kinds, some of them PyTorch's
        raise CheckpointError(f"cannot read '{path}': {_first_line(error)}") from error
    for name, tensor in loaded.items():
        wanted, longest = expected[name], (lengths or {}).get(name)
        if not fits(tensor, wanted, longest, shortest=1) or tensor.dtype != wanted.dtype:
            found, shape = f"{tuple(tensor.shape)} {tensor.dtype}", _shape_of(wanted, longest)
            raise CheckpointError(f"'{path}': '{name}' is {found}, expected {shape} {wanted.dtype}")
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise CheckpointError(f"'{path}': '{name}' holds NaN or infinite values")
    return loaded


def fits(tensor: Tensor, wanted: Tensor, longest: int | None = None, *, shortest: int = 0) -> bool:
    """Whether a tensor has the shape of another; with ``longest`` the first axis may have any length up to that."""
    if longest is None:
        return tensor.shape == wanted.shape
    return (
        tensor.ndim == wanted.ndim and tensor.shape[1:] == wanted.shape[1:] and shortest <= tensor.shape[0] <= longest
    )


def _shape_of(wanted: Tensor, longest: int | None) -> str:
    shape = tuple(wanted.shape)
    return str(shape) if longest is None else f"({', '.join(map(str, (f'1 to {longest}', *shape[1:])))})"


def _check_names(path: Path, found: set[str], expected: set[str]) -> None:
    missing, extra = sorted(expected - found), sorted(found - expected)
    if missing:
        raise CheckpointError(f"'{path}' lacks {len(missing)} tensors, the first '{missing[0]}'")
    if extra:
        raise CheckpointError(f"'{path}' holds {len(extra)} unknown tensors, the first '{extra[0]}'")


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Writes a resume state of tensors, numbers, strings, lists and dicts."""
    from io import BytesIO

    buffer = BytesIO()
    torch.save(dict(state), buffer)
    write_file(path, buffer.getbuffer())


def load_state(path: Path) -> dict[str, Any]:
    """Reads a resume state; only plain values and tensors are accepted.

    Raises:
        CheckpointError: missing, damaged or holding anything else.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of a damaged archive the reader raises a dozen kinds, down to AssertionError
        raise CheckpointError(f"cannot read the resume state '{path}': {_first_line(error)}") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"'{path}' is no resume state")
    return state


@contextmanager
def fitting() -> Iterator[None]:
    """Whatever a resume state lacks or has too much of is told as one kind of error.

    Raises:
        CheckpointError: the block took it for another trial's.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
        raise CheckpointError(f"the resume state does not fit this trial: {error}") from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__

"""Weights of a backbone: from the timm hub (safetensors only), its local cache, a file, or under a digest."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit
from urllib.request import getproxies

from kdzoo.errors import TeacherError, TeacherUnavailableError
from kdzoo.teachers.card import TeacherCard
from kdzoo.teachers.package_file import ways_out as ways_to_package
from kdzoo.teachers.packaged import PACKAGED
from kdzoo.teachers.shipping import REINSTALL, SHIPPED, SHIPPED_NAMES

if TYPE_CHECKING:
    from torch import Tensor

    from kdzoo.teachers.names import TeacherName

HUB_FILE = "model.safetensors"
SAFETENSORS = ".safetensors"
_CONNECT_SECONDS = 5.0


def read_weights(name: TeacherName, *, offline: bool) -> dict[str, Tensor]:
    """Reads the weights that a teacher name asks for.

    Args:
        name: a teacher of any source but ``random``.
        offline: look in the local cache only.

    Returns:
        The state dict as it is in the file; `kdzoo.teachers.backbone` fits it to the backbone.

    Raises:
        TeacherUnavailableError: not to be had; the hint names the ways out.
        TeacherError: the file is damaged, holds more than tensors, or is not the one that its card names.
    """
    if name.packaged is not None:
        raise TeacherUnavailableError(
            f"no weights for teacher '{name}': they are not fetched yet",
            hint=f"kdzoo teacher fetch {name}; {ways_to_package(name.packaged)}",
        )
    if name.card is not None and name.file is not None:
        return read_carded_file(name.file, name.card)
    path = name.file if name.file is not None else _hub_file(name.architecture, offline=offline)
    return read_weight_file(path)


def read_weight_file(path: Path) -> dict[str, Tensor]:
    """Reads a ``.safetensors`` file, or a ``.pth``/``.pt`` one without running any pickled code.

    Raises:
        TeacherError: the file is damaged, or holds more than tensors.
    """
    from safetensors.torch import load_file

    if path.suffix != SAFETENSORS:
        return read_pickled(path, what=f"'{path}'")
    try:
        loaded = load_file(path)
    except Exception as error:  # of a damaged file the reader raises several kinds, some of them PyTorch's
        raise _unreadable(f"'{path}'", error) from error
    return _state_dict(loaded, what=f"'{path}'")


def read_pickled(file: Path | BinaryIO, *, what: str) -> dict[str, Tensor]:
    """Reads what PyTorch wrote without running any pickled code; the order is that of the file.

    Args:
        file: a path, or an open file.
        what: its name, for messages.

    Raises:
        TeacherError: the file is damaged, or holds more than tensors.
    """
    import torch

    try:
        loaded = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # of a damaged file the reader raises a dozen kinds, down to AssertionError
        raise _unreadable(what, error) from error
    return _state_dict(loaded, what=what)


def _unreadable(what: str, error: Exception) -> TeacherError:
    return TeacherError(
        f"cannot read teacher weights {what}: {_first_line(error)}",
        hint="the file must hold tensors only: a state dict, best as .safetensors",
    )


def _state_dict(loaded: Any, *, what: str) -> dict[str, Tensor]:
    """The state dict that a file holds, or that lies in the checkpoint it holds.

    Raises:
        TeacherError: it holds none.
    """
    for key in ("state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not all(map(_is_plain_tensor, loaded.values())):
        raise TeacherError(f"{what} holds no state dict (a mapping of names to dense tensors)")
    return {str(key).removeprefix("module."): value for key, value in loaded.items()}


def read_carded_file(path: Path, card: TeacherCard) -> dict[str, Tensor]:
    """Reads the weights that a card names: the very bytes that were found to have its digest.

    Raises:
        TeacherError: not there, other bytes than the card's, or no safetensors file.
    """
    from safetensors.torch import load

    again = f"kdzoo teacher pull {card.name}, or kdzoo teacher remove {card.name} and add it again"
    if card.name in PACKAGED:
        again = f"kdzoo teacher fetch {card.name}"
    hint = REINSTALL if card.name in SHIPPED_NAMES else f"bring it back: {again}"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TeacherError(
            f"cannot read the weights of teacher '{card.name}', '{path}': {error.strerror or error}", hint=hint
        ) from error
    if hashlib.sha256(data).hexdigest() != card.sha256:
        raise TeacherError(
            f"the weights of teacher '{card.name}' are damaged: '{path}' does not have sha256 {card.sha256}", hint=hint
        )
    try:
        return dict(load(data))
    except Exception as error:  # of a damaged header the reader raises several kinds, some of them PyTorch's
        raise TeacherError(
            f"cannot read the weights of teacher '{card.name}': {_first_line(error)}", hint=hint
        ) from error


def _is_plain_tensor(value: object) -> bool:
    import torch

    return isinstance(value, torch.Tensor) and value.layout is torch.strided and not value.is_quantized


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _hub_file(architecture: str, *, offline: bool) -> Path:
    """The published weights' file: from the local cache if it is there, else downloaded."""
    import timm
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    config = timm.get_pretrained_cfg(architecture)
    repository = getattr(config, "hf_hub_id", None)
    if not repository:
        raise TeacherUnavailableError(f"timm publishes no weights for '{architecture}'", hint=ways_out(architecture))
    cached = try_to_load_from_cache(repository, HUB_FILE)
    if isinstance(cached, str):
        return Path(cached)
    if offline or not _reachable():
        why = "KDZOO_OFFLINE is set" if offline else "the weight hub cannot be reached"
        raise TeacherUnavailableError(f"no weights for teacher '{architecture}': {why}", hint=ways_out(architecture))
    try:
        return Path(hf_hub_download(repository, HUB_FILE))
    except Exception as error:  # the client lets through errors of whichever HTTP library its version uses
        raise TeacherUnavailableError(
            f"no weights for teacher '{architecture}': {_first_line(error)}", hint=ways_out(architecture)
        ) from error


def ways_out(architecture: str) -> str:
    """What a person can do when the hub cannot be reached."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return (
        f"three ways out: (1) a file: --teacher {architecture}@weights.safetensors; "
        f"(2) a machine that has them: kdzoo teacher push {architecture} --zoo ZOO, or copy its {HF_HUB_CACHE}; "
        "(3) a teacher that needs no hub: --teacher lite0 (ImageNet weights from a Python package) "
        f"or --teacher {SHIPPED} (trained on formula images, ships with kdzoo)"
    )


def _reachable() -> bool:
    """Whether the hub answers at all: a few seconds here instead of a minute of retries inside the client.

    Behind a proxy names may not resolve here, so the client is left to find out.
    """
    from huggingface_hub.constants import ENDPOINT

    endpoint = urlsplit(ENDPOINT)
    if getproxies().get(endpoint.scheme):
        return True
    port = endpoint.port or (80 if endpoint.scheme == "http" else 443)
    try:
        with socket.create_connection((endpoint.hostname or "", port), timeout=_CONNECT_SECONDS):
            return True
    except OSError:
        return False

"""Weights of a backbone: from the timm hub (safetensors only), its local cache, or a file."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from kdzoo.errors import TeacherError

if TYPE_CHECKING:
    from torch import Tensor

    from kdzoo.teachers.names import TeacherName

HUB_FILE = "model.safetensors"
_CONNECT_SECONDS = 5.0


def read_weights(name: TeacherName, *, offline: bool) -> dict[str, Tensor]:
    """Reads the weights that a teacher name asks for.

    Args:
        name: a teacher of source ``hub`` or ``file``.
        offline: look in the local cache only.

    Returns:
        The state dict as it is in the file; `kdzoo.teachers.backbone` fits it to the backbone.

    Raises:
        TeacherError: not to be had; the hint names the ways out.
    """
    path = name.file if name.file is not None else _hub_file(name.architecture, offline=offline)
    return read_weight_file(path)


def read_weight_file(path: Path) -> dict[str, Tensor]:
    """Reads a ``.safetensors`` file, or a ``.pth``/``.pt`` one without running any pickled code.

    Raises:
        TeacherError: the file is damaged, or holds more than tensors.
    """
    import torch
    from safetensors.torch import load_file

    loaded: Any
    try:
        if path.suffix == ".safetensors":
            loaded = load_file(path)
        else:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of a damaged file the two readers raise a dozen kinds, down to AssertionError
        raise TeacherError(
            f"cannot read teacher weights '{path}': {_first_line(error)}",
            hint="the file must hold tensors only: a state dict, best as .safetensors",
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not all(map(_is_plain_tensor, loaded.values())):
        raise TeacherError(f"'{path}' holds no state dict (a mapping of names to dense tensors)")
    return {str(key).removeprefix("module."): value for key, value in loaded.items()}


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
        raise TeacherError(f"timm publishes no weights for '{architecture}'", hint=ways_out(architecture))
    cached = try_to_load_from_cache(repository, HUB_FILE)
    if isinstance(cached, str):
        return Path(cached)
    if offline or not _reachable():
        why = "KDZOO_OFFLINE is set" if offline else "the weight hub cannot be reached"
        raise TeacherError(f"no weights for teacher '{architecture}': {why}", hint=ways_out(architecture))
    try:
        return Path(hf_hub_download(repository, HUB_FILE))
    except Exception as error:  # the client lets through errors of whichever HTTP library its version uses
        raise TeacherError(
            f"no weights for teacher '{architecture}': {_first_line(error)}", hint=ways_out(architecture)
        ) from error


def ways_out(architecture: str) -> str:
    """What a person can do when the hub cannot be reached."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return (
        f"three ways out: (1) a file: --teacher {architecture}@weights.safetensors; "
        f"(2) a cache: copy {HF_HUB_CACHE} from a machine that loaded '{architecture}' before; "
        f"(3) a teacher that needs no download: --teacher random-{architecture} (random weights, for trying things out)"
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

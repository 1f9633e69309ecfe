"""What a run leaves behind: the weights, and a card that says what they are and how to make them again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from kdzoo._version import __version__
from kdzoo.data.formula import FORMULA
from kdzoo.pretraining.run import Pretraining
from kdzoo.storage import write_file

CARD_SCHEMA = "kdzoo-teacher/1"


def write_teacher(run: Pretraining, name: str, folder: Path) -> tuple[Path, Path]:
    """Writes ``<name>.safetensors`` and ``<name>.json``.

    The weights are those of the backbone up to the third level, rounded to float16: half the file, and far below what
    any method can see. The card comes last, so that a card's weights are always whole.

    Args:
        run: a finished run.
        name: the teacher's name.
        folder: where to write.

    Returns:
        The paths of weights and card.

    Raises:
        StorageError: a file cannot be written.
    """
    import hashlib

    state = {
        key: value.detach().cpu().to(torch.float16).contiguous()
        for key, value in run.backbone.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    data = save(state)
    weights, card = folder / f"{name}.safetensors", folder / f"{name}.json"
    write_file(weights, data)
    write_file(
        card, (json.dumps(_card(run, name, hashlib.sha256(data).hexdigest(), len(data)), indent=2) + "\n").encode()
    )
    return weights, card


def _card(run: Pretraining, name: str, digest: str, size: int) -> dict[str, Any]:
    teacher = run.teacher
    return {
        "schema": CARD_SCHEMA,
        "name": name,
        "architecture": run.config.architecture,
        "sha256": digest,
        "bytes": size,
        "mean": list(teacher.mean),
        "std": list(teacher.std),
        "licence": "Apache-2.0",
        "trained_on": "images made by formula (kdzoo.pretraining.scenes); no photograph",
        "recipe": run.config.as_dict(),
        "formula": FORMULA,
        "images": run.config.images,
        "seconds": round(run.seconds, 1),
        "device": _device(run),
        "versions": {"kdzoo": __version__, "torch": torch.__version__},
    }


def _device(run: Pretraining) -> str:
    if run.device.type == "cuda":
        return torch.cuda.get_device_name(run.device)
    return f"{run.device.type}, {torch.get_num_threads()} threads"

"""Results of first stages that trials share: whoever needs the same one next need not train it again.

A result is found by a key over everything that takes part in it: the method's code, its knobs but those that the stage
says have no say in it, data, teacher, options, seed, kind of device, the precision used on it. So what is taken is, bit
for bit, what the trial would have trained itself, as far as the device repeats itself.

<folder>/<category>/<key>.safetensors    the weights of the stage's modules; digest and seconds in its metadata
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from kdzoo.errors import CheckpointError, StorageError
from kdzoo.methods.base import Method, Phase, Stage
from kdzoo.storage import write_file
from kdzoo.training.checkpoint import load_tensors
from kdzoo.training.digests import digest_of_sources, digest_of_tensors
from kdzoo.training.precision import Hardware, choose_precision
from kdzoo.training.spec import TrialSpec

log = logging.getLogger(__name__)

_SCHEMA: Final = "kdzoo-stage/1"
_SUFFIX: Final = ".safetensors"
_CODE: Final = ("config.py", "data", "methods", "teachers", "training")
"""Of the package: what has a say in a stage's result."""
_ABANDONED_SECONDS: Final = 3600.0


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """A trained stage.

    Attributes:
        tensors: as `stage_tensors` names them.
        seconds: that training it took.
    """

    tensors: dict[str, Tensor]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class StageResults:
    """The results that the trials of a sweep share, in a folder that all workers see.

    Losing, damaging or never finding a result costs time alone: then the stage is trained.

    Attributes:
        folder: where they are; made when the first one is written, in a folder that is there.
        keep: category to how many of its results are kept, those that were used last; the others share nothing.
        teacher: sha256 hex digest of the teacher's weights.
    """

    folder: Path
    keep: Mapping[str, int]
    teacher: str

    def key(self, spec: TrialSpec, stage: Phase, method: Method, device: torch.device, data: Mapping[str, str]) -> str:
        """What the result of a trial's first stage is found by.

        Args:
            spec: the trial.
            stage: its first stage.
            method: the built method.
            device: where it trains.
            data: digests of the images, such as fingerprint and split.
        """
        on_gpu = device.type == "cuda"
        config = {knob: value for knob, value in spec.config.as_dict().items() if knob not in stage.untouched_by}
        takes_part = {
            "schema": _SCHEMA,
            "trial": {**spec.as_dict(), "config": config},
            "stage": stage.name,
            "data": dict(data),
            "teacher": self.teacher,
            "device": torch.cuda.get_device_name(device) if on_gpu else device.type,
            "precision": choose_precision(spec.options.precision, Hardware.of(device)).label,
            "threads": torch.get_num_threads() if not on_gpu else 0,
            "torch": str(torch.__version__),
            "code": [self._code, digest_of_sources([Path(inspect.getfile(type(method))).parent])],
        }
        return hashlib.sha256(json.dumps(takes_part, sort_keys=True).encode()).hexdigest()

    def take(self, category: str, key: str, expected: Mapping[str, Tensor]) -> StageResult | None:
        """A result, if there is a whole one.

        Args:
            category: of the trial.
            key: as `key` gives it.
            expected: tensors of the right names, shapes and dtypes.
        """
        path = self._path(category, key)
        if not self.keep.get(category) or not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                told = file.metadata() or {}
            tensors = load_tensors(path, expected)
            if told.get("digest") != digest_of_tensors(tensors):
                raise CheckpointError(f"the digest of '{path}' is not that of its tensors")
            seconds = float(told["seconds"])
        except FileNotFoundError:
            return None  # another worker made room meanwhile
        except (CheckpointError, SafetensorError, OSError, LookupError, ValueError) as error:
            log.warning("a stage is trained again, since its kept result cannot be used: %s", error)
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return StageResult(tensors=tensors, seconds=max(seconds, 0.0))

    def give(self, category: str, key: str, tensors: Mapping[str, Tensor], seconds: float) -> None:
        """Keeps a result for other trials, and lets the one go that was used longest ago when there are too many.

        Writers of the same key write the same: the last one stays. A disk that takes nothing is only warned of.

        Args:
            category: of the trial.
            key: as `key` gives it.
            tensors: of the stage's modules, finite.
            seconds: that training took.
        """
        if not self.keep.get(category) or not self.folder.parent.is_dir():
            return
        path = self._path(category, key)
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        told = {"schema": _SCHEMA, "digest": digest_of_tensors(plain), "seconds": repr(float(seconds))}
        try:
            write_file(path, save(plain, metadata=told))
            self._make_room(path)
        except (StorageError, OSError) as error:
            log.warning("other trials cannot use this one's first stage: %s", error)

    def _path(self, category: str, key: str) -> Path:
        return self.folder / category / (key + _SUFFIX)

    def _make_room(self, newest: Path) -> None:
        ages: list[tuple[float, Path]] = []
        for path in newest.parent.iterdir():
            with contextlib.suppress(FileNotFoundError):
                used = path.stat().st_mtime
                if path.suffix == _SUFFIX and path != newest:
                    ages.append((used, path))
                elif path.suffix == ".tmp" and used < time.time() - _ABANDONED_SECONDS:
                    path.unlink()  # a worker was killed while it wrote
        too_many = len(ages) + 1 - self.keep[newest.parent.name]
        for _, path in sorted(ages)[: max(too_many, 0)]:
            path.unlink(missing_ok=True)

    @cached_property
    def _code(self) -> str:
        package = Path(__file__).parents[1]
        return digest_of_sources([package / part for part in _CODE])


def sharable(stages: Sequence[Phase]) -> bool:
    """Whether a method's first stage can be taken from elsewhere: another follows, and nothing is measured in it.

    A single look at the images is not worth keeping.
    """
    return len(stages) > 1 and not stages[0].detects and isinstance(stages[0], Stage)


def stage_tensors(stage: Phase) -> dict[str, Tensor]:
    """The weights and buffers of the modules that a stage trains, themselves."""
    return {
        f"{index}.{name}": tensor
        for index, module in enumerate(stage.modules)
        for name, tensor in module.state_dict().items()
    }


def copy_tensors(source: Mapping[str, Any], target: Mapping[str, Tensor]) -> None:
    """Puts a result's tensors into the modules."""
    with torch.no_grad():
        for name, tensor in target.items():
            tensor.copy_(source[name])

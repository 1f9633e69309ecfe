"""A trained method again, from its document and its two weight files, none of which is trusted."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from kdzoo.errors import CheckpointError, KdzooError
from kdzoo.methods.base import Method
from kdzoo.methods.registry import build_method
from kdzoo.teachers.backbone import Teacher, build_teacher
from kdzoo.teachers.names import TeacherName
from kdzoo.training.checkpoint import load_tensors, read_whole
from kdzoo.training.document import DetectorPlan, parse_document
from kdzoo.training.learned import load_learned


def rebuild(document: dict[str, Any], weights: Path, teacher: Path) -> Method:
    """The method of a document, with its weights.

    Both files must have the digests that the document names. Documents of before name that of the teacher alone: there
    the weights are compared by names, shapes and dtypes only.

    Args:
        document: as `kdzoo.training.document.read_document` gives it.
        weights: safetensors of what was learned.
        teacher: safetensors of the teacher.

    Raises:
        CheckpointError: the document lacks something, or a file does not fit it.
        StorageError: a file cannot be read.
    """
    plan, data = parse_document(document), None
    if plan.weights_sha256 is not None:
        data = read_whole(weights, "weights")
        if hashlib.sha256(data).hexdigest() != plan.weights_sha256:
            raise CheckpointError(
                f"'{weights}' does not hold the weights that the document names by their digest",
                hint="the files of a detector belong together: copy or pull all of them again",
            )
    method = build_method(plan.method, plan.config, release_teacher(plan, teacher))
    expected, retired = method.learned_state(), method.retired_state()
    learned = load_tensors(weights, expected, optional=retired, lengths=method.lengths(), data=data)
    load_learned(method, {name: learned[name] for name in expected})
    return method


def release_teacher(plan: DetectorPlan, path: Path) -> Teacher:
    """The teacher of a document, its weights read from a file whose digest must be the document's.

    Args:
        plan: of the document.
        path: safetensors of the teacher.

    Raises:
        CheckpointError: it is another one, or does not fit.
        StorageError: the file cannot be read.
    """
    return kept_teacher(plan.teacher, path, sha256=plan.teacher_sha256, mean=plan.mean, std=plan.std)


def kept_teacher(
    name: TeacherName, path: Path, *, sha256: str, mean: tuple[float, ...], std: tuple[float, ...]
) -> Teacher:
    """A teacher by what was written down of it, its weights read from a file that must have the digest.

    Args:
        name: its backbone, and where its weights came from.
        path: safetensors of it.
        sha256: hex digest of that file.
        mean: channel means of the input transform.
        std: channel standard deviations of the input transform.

    Raises:
        CheckpointError: it is another one, or does not fit.
        StorageError: the file cannot be read.
    """
    data = read_whole(path, "teacher weights")
    if hashlib.sha256(data).hexdigest() != sha256:
        raise CheckpointError(f"'{path}' is not the teacher that the document names by its digest")
    try:
        teacher = build_teacher(name)
    except KdzooError as error:
        raise CheckpointError(f"the detector's document cannot be used: {error}", hint=error.hint) from error
    teacher.load_release(load_tensors(path, teacher.backbone.state_dict(), optional=teacher.unread, data=data))
    teacher.mean, teacher.std = mean, std
    return teacher

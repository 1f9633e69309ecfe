"""The driver's teacher on its way to the workers, which may have neither the internet nor the weight file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import ray
from safetensors import SafetensorError
from safetensors.torch import load

from kdzoo.errors import CheckpointError, TeacherError
from kdzoo.teachers.backbone import Teacher, build_teacher, fit_weights
from kdzoo.teachers.names import TeacherName


@dataclass(frozen=True, kw_only=True)
class SentTeacher:
    """A teacher whose weights lie in Ray's object store, once for all workers.

    Attributes:
        name: how the person named it, as parsed by the driver: a worker may not see the file.
        weights: reference to the backbone's weights as safetensors bytes.
        sha256: hex digest of these bytes.
    """

    name: TeacherName
    weights: ray.ObjectRef[bytes]
    sha256: str

    @classmethod
    def send(cls, name: TeacherName, weights: bytes) -> SentTeacher:
        """Puts a teacher's weights into the store of the cluster that is joined."""
        return cls(name=name, weights=ray.put(weights), sha256=hashlib.sha256(weights).hexdigest())

    def build(self) -> Teacher:
        """The same teacher, on whichever node this runs.

        Raises:
            TeacherError: the bytes that arrived are not those that were sent, or this node's timm builds another
                backbone of that name.
        """
        weights = ray.get(self.weights)
        if hashlib.sha256(weights).hexdigest() != self.sha256:
            raise TeacherError(f"the weights of teacher '{self.name}' did not arrive as they were sent")
        teacher = build_teacher(self.name)
        try:
            fit_weights(teacher.backbone, load(weights))
        except (CheckpointError, SafetensorError) as error:
            raise TeacherError(
                f"the driver's weights do not fit teacher '{self.name}' here: {error}",
                hint="install the same version of timm on every node",
            ) from error
        return teacher
